/*
 * span.c - the protocol of the state word.
 *
 * Data: the slots. Who may touch which field, and why a foreign thread may conclude from `used`, is said in span.h. Every
 * function here is lock-free; a CAS is retried only because another thread's CAS succeeded.
 */
#include "span.h"

#include "options.h"
#include "tools.h"

static uint32_t blocks_of(const span *s) { return (s->limit - s->first) / s->block; }

uint32_t span_threshold(const span *s) { return (uint32_t)((uint64_t)blocks_of(s) * options.reuse_threshold / 100); }

/*
 * The mark of a hot span. With a thread that purges while the program sleeps (options.purge_thread) a span that has grown does not
 * stay hot when the last of its blocks is freed: what is hot is out of that thread's reach.
 */
static unsigned hot_mark(const span *s) { return options.purge_thread && s->bump - s->first >= SPAN_WORTH_A_PURGE ? 0 : NEVER; }

void span_open(span *s, struct scalloc_heap *owner, unsigned class_index) {
  s->block = (uint32_t)class_size(class_index);
  s->first = (uint32_t)class_first_offset(class_index, span_index(s));
  s->class_index = (uint16_t)class_index;
  s->free = s->spare = NULL;
  s->bump = s->first;
  s->limit = (uint32_t)class_initial_limit(class_index, s->first);
  s->notify = NEVER;
  half_store_relaxed(&s->reusable_below, 0);
  half_store_relaxed(&s->used, 0);
  word_store_release(&s->owner, (word_t)owner);
  span_set_state(s, SPAN_HOT);
}

/* The remote list of `w` becomes one of the owner's, which must have room for it; its blocks no longer count as used. */
static void take_list(span *s, word_t w) {
  if (word_count(w) == 0) return;
  void *list = span_start(s) + ((size_t)word_head(w) << GRANULE_SHIFT);
  if (s->free == NULL)
    s->free = list;
  else
    s->spare = list;
  half_store_relaxed(&s->used, half_load_relaxed(&s->used) - word_count(w));
}

bool span_make_hot(span *s, struct scalloc_heap *owner, word_t seen) {
  word_t w;
  do {
    w = word_load_acquire(&s->word);
    if (word_state(w) != SPAN_REUSABLE || word_generation(w) != word_generation(seen)) return false;
  } while (!word_cas_full(&s->word, w, word_next(w, SPAN_HOT, word_head(w), word_count(w))));
  word_store_relaxed(&s->owner, (word_t)owner); /* no longer shared; visible before the next word of this span */
  s->notify = hot_mark(s);
  /* Only now are the owner's lists this thread's to look at: until the CAS the span may have been another heap's. */
  if (s->free != NULL && s->spare != NULL) return true;
  do w = word_load_acquire(&s->word);
  while (word_count(w) != 0 && !word_cas_full(&s->word, w, word_with_list(w, 0, 0)));
  take_list(s, w);
  return true;
}

/* The state that a span with these figures belongs in after a free. */
static span_state state_for(uint32_t live, uint32_t reusable_below) {
  if (live == 0 && !ABLATED(RETURN)) return SPAN_FREE;
  return live < reusable_below ? SPAN_REUSABLE : SPAN_FLOATING;
}

static span_step step_to(span_state state) {
  return state == SPAN_FREE ? STEP_FREE : state == SPAN_REUSABLE ? STEP_REUSABLE : STEP_NONE;
}

span_step span_leave_hot(span *s, word_t *now) {
  uint32_t used = half_load_relaxed(&s->used);
  uint32_t below = blocks_of(s) - span_threshold(s); /* more than the threshold must be free */
  half_store_relaxed(&s->reusable_below, below);
  for (;;) {
    word_t w = word_load_acquire(&s->word);
    assert_that(word_state(w) == SPAN_HOT);
    uint32_t count = word_count(w);
    span_state state = ABLATED(RETURN) && used == count ? SPAN_FREE : state_for(used - count, below);
    /* The owner's plain frees notify where this span, with the remote frees it has now, would change its state. */
    s->notify = count + (state == SPAN_FLOATING && below > 1 ? below - 1 : 0);
    *now = word_next(w, state, word_head(w), count);
    if (word_cas_full(&s->word, w, *now)) return step_to(state);
  }
}

bool span_collect(span *s, uint32_t more_than) {
  word_t w;
  assert_that(s->free == NULL && s->spare == NULL);
  do {
    w = word_load_acquire(&s->word);
    if (word_count(w) <= more_than) return false;
  } while (!word_cas_full(&s->word, w, word_with_list(w, 0, 0)));
  take_list(s, w);
  return true;
}

bool span_carve(span *s) {
  uint32_t size = s->block, room = (s->limit - s->bump) / size, n = PAGE / size;
  assert_that(s->free == NULL);
  if (n == 0) n = 1;
  if (n > room) n = room;
  if (n == 0) return false;
  char *block = span_start(s) + s->bump;
  s->free = block;
  if (TRACKED) notes_clear(block, (size_t)n * size);
  tool_unused(block, (size_t)n * size);
  for (uint32_t i = 1; i < n; i++, block += size) block_set_next(block, block + size);
  block_set_next(block, NULL);
  s->bump += n * size;
  s->notify = hot_mark(s);
  if (s->bump > s->dirty) s->dirty = s->bump;
  return true;
}

/* Sets the shared bit, before any use of the word. True: this thread did it. */
static bool share(span *s) {
  word_t owner = word_load_acquire(&s->owner);
  while (!(owner & OWNER_SHARED)) {
    if (word_cas_full(&s->owner, owner, owner | OWNER_SHARED)) return true;
    owner = word_load_acquire(&s->owner);
  }
  return false;
}

span_step span_free_public(span *s, void *block, word_t *now, bool *first) {
  *first = false;
  for (;;) {
    word_t w = word_load_acquire(&s->word);
    span_state state = word_state(w), next = state;
    uint32_t count = word_count(w) + 1, used = 0;
    if (state != SPAN_HOT) {
      if (share(s)) *first = true;
      used = half_load_acquire(&s->used);
      next = state_for(used - count, half_load_relaxed(&s->reusable_below));
      if (state == SPAN_REUSABLE && next != SPAN_FREE) next = SPAN_REUSABLE;
    }
    struct scalloc_heap *owner = owner_heap(word_load_acquire(&s->owner)); /* while `block` keeps the span in its life */
    uint32_t head = span_link_block(block, w);
    *now = next == state ? word_with_list(w, head, count) : word_next(w, next, head, count);
    if (!word_cas_full(&s->word, w, *now)) continue;
    if (next != state) return step_to(next);
    /* A plain free of the owner, begun before the span was shared, may have come between the look at `used` and the CAS. */
    return state != SPAN_HOT && half_load_acquire(&s->used) != used ? span_settle(s, owner, now) : STEP_NONE;
  }
}

void span_queue(span *s, void *block) {
  word_t w, queued;
  do {
    w = word_load_acquire(&s->word);
    queued = word_with_list(w, span_link_block(block, w), word_count(w) + 1);
  } while (!word_cas_full(&s->word, w, queued));
}

span_step span_settle(span *s, const struct scalloc_heap *owner, word_t *now) {
  for (;;) {
    /* The word before the owner: if the owner is right now, the word's generation belongs to its time. */
    word_t w = word_load_acquire(&s->word);
    span_state state = word_state(w), next;
    if (owner_heap(word_load_acquire(&s->owner)) != owner) return STEP_NONE;
    if (state != SPAN_FLOATING && state != SPAN_REUSABLE) return STEP_NONE;
    next = state_for(half_load_acquire(&s->used) - word_count(w), half_load_relaxed(&s->reusable_below));
    if (next == state || next == SPAN_FLOATING) return STEP_NONE;
    *now = word_next(w, next, word_head(w), word_count(w));
    if (word_cas_full(&s->word, w, *now)) return step_to(next);
  }
}

bool span_clear(span *s) {
  word_t w;
  do {
    w = word_load_acquire(&s->word);
    if (word_state(w) == SPAN_FREE) return false;
  } while (!word_cas_full(&s->word, w, word_next(w, SPAN_FREE, 0, 0)));
  return true;
}
