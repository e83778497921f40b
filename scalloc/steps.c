/*
 * steps.c - every free that is not a plain one, and what follows when a span became reusable, empty or shared.
 *
 * A thread that made a span reusable links it only if, under the owner's lock, the state word still carries the generation it
 * made: whoever empties the span later unlinks it under the same lock.
 */
#include "steps.h"

#include <errno.h>

#include "lists.h"
#include "pool.h"
#include "purge.h"

/* The span is FREE by this thread's doing and empty: out of its owner's lists, into the pool. */
static void release(span *s, uint32_t hint) {
  heap *h = list_lock_owner(s);
  for (unsigned which = 0; which < LISTS; which++) list_remove(h, s, which);
  word_store_relaxed(&s->owner, 0);
  list_unlock(h);
  pool_put(s, hint);
  purge_tick();
}

/* The span is REUSABLE by this thread's doing: into its owner's set, or, if that heap has no user, adopted. */
static void became_reusable(heap *user, span *s, word_t made) {
  heap *h = list_lock_owner(s);
  if (h == NULL) return; /* emptied and given away by another thread already */
  if (same_life(s, made) && h->kind == HEAP_THREAD && word_load_relaxed(&h->status) == HEAP_RETIRED) {
    /* Not into a heap that may be ended with all its blocks: these are not its own. */
    heap *to = user && user->kind == HEAP_THREAD ? user : heap_orphans();
    list_change_owner(s, h, to);
    list_unlock(h);
    list_lock(to);
    if (user && to == user) user->adoptions++;
    if (same_life(s, made)) {
      list_append(to, s, LIST_ALL);
      list_append(to, s, LIST_SET);
    }
    list_unlock(to);
    return;
  }
  if (same_life(s, made)) list_append(h, s, LIST_SET);
  list_unlock(h);
}

void steps_follow(heap *user, span *s, span_step step, word_t made) {
  if (step == STEP_FREE) release(s, user ? user->id : 0);
  if (step == STEP_REUSABLE) became_reusable(user, s, made);
}

/* The slow half of a plain free: the block is still live until `used` falls, so the span cannot change hands before. */
void heap_notified(heap *h, span *s, void *block) {
  word_t now, w = word_load_acquire(&s->word);
  if (word_state(w) == SPAN_LARGE) { /* its `used` and `notify` are set so that it comes here */
    heap_free_any(h, block);
    return;
  }
  bool hot = word_state(w) == SPAN_HOT;
  if (!hot) s->notify = word_count(w); /* the next mark: empty */
  block_set_next(block, s->free);
  s->free = block;
  half_store_release(&s->used, half_load_relaxed(&s->used) - 1);
  if (hot) { /* empty, and not to stay hot */
    heap_cool_span(h, s);
    return;
  }
  span_step step = span_settle(s, h, &now);
  steps_follow(h, s, step, now);
}

/*
 * The first foreign free of a span since it was last hot: its owner, whose plain frees of that instant the other side may not
 * have seen, looks at it again. An owner without a user has no such frees any more, so this thread settles at once, under the
 * lock: the exit of a thread may be handing its spans on.
 */
static void mail(heap *user, span *s) {
  span_step step = STEP_NONE;
  word_t now = 0;
  heap *h = list_lock_owner(s);
  if (h == NULL) return;
  if (h->kind == HEAP_ORPHANS || word_load_relaxed(&h->status) == HEAP_RETIRED) {
    step = span_settle(s, h, &now);
  } else if (h->kind != HEAP_EXCLUSIVE && !(s->in_list >> LIST_MAIL & 1)) {
    probe(mail, span_start(s), h);
    list_append(h, s, LIST_MAIL);
    half_store_release(&h->mailed, 1);
  }
  list_unlock(h);
  steps_follow(user, s, step, now);
}

/* Frees by threads that have no heap, since they never allocated; spread so that they do not meet on one line. */
static word_t others[16][CACHE_LINE / sizeof(word_t)];

static void count_without_heap(void) {
  int here;
  word_add_full(&others[(uintptr_t)&here >> 16 & 15][0], 1);
}

/* A free of another heap's block, by a thread that may have no heap. */
static void count_remote(heap *user) {
  if (user)
    user->remote_frees++;
  else
    count_without_heap();
}

uint64_t heap_remote_frees_without_heap(void) {
  uint64_t sum = 0;
  for (unsigned i = 0; i < sizeof others / sizeof *others; i++) sum += word_load_relaxed(&others[i][0]);
  return sum;
}

static never_inline void free_public(heap *user, span *s, void *block) {
  heap *h = owner_heap(word_load_acquire(&s->owner));
  int saved = errno;
  word_t now;
  bool first;
  if (user != NULL && h == user && span_state_now(s) == SPAN_HOT) { /* shared in vain, just before it became hot again */
    block_set_next(block, s->free);
    s->free = block;
    half_store_release(&s->used, half_load_relaxed(&s->used) - 1);
    return;
  }
  if (user == NULL || h != user) count_remote(user);
  if (h->kind == HEAP_EXCLUSIVE) {
    span_queue(s, block);
    return;
  }
  span_step step = span_free_public(s, block, &now, &first);
  if (first && step != STEP_FREE) mail(user, s);
  steps_follow(user, s, step, now);
  errno = saved;
}

/* The owner freed into the span while another block of it was being queued. */
static never_inline void settle_again(heap *user, span *s, const heap *owner) {
  int saved = errno;
  word_t now;
  span_step step = span_settle(s, owner, &now);
  steps_follow(user, s, step, now);
  errno = saved;
}

void heap_free_elsewhere(heap *user, span *s, void *block) {
  word_t owner = span_free_quietly(s, block, user);
  if (unlikely(owner == 0)) {
    free_public(user, s, block);
    return;
  }
  heap *h = (heap *)(owner & ~SPAN_LOOK_AGAIN);
  if (h != user) count_remote(user);
  if (unlikely(owner & SPAN_LOOK_AGAIN)) settle_again(user, s, h);
}

void heap_settle(heap *h) {
  while (half_load_acquire(&h->mailed)) {
    list_lock(h);
    span *s = h->mail.head ? span_at(h->mail.head) : NULL;
    if (s)
      list_remove(h, s, LIST_MAIL);
    else
      half_store_relaxed(&h->mailed, 0);
    list_unlock(h);
    word_t now;
    if (s) {
      span_step step = span_settle(s, h, &now);
      steps_follow(h, s, step, now);
    }
  }
}

void heap_settle_all(heap *user) {
  uint32_t end = arena_high_water();
  for (uint32_t i = 1; i < end; i++) {
    span *s = span_at(i);
    heap *h = owner_heap(word_load_acquire(&s->owner));
    word_t now;
    if (h == NULL || heap_kind_of(h) == HEAP_EXCLUSIVE) continue;
    span_step step = span_settle(s, h, &now);
    steps_follow(user, s, step, now);
  }
}
