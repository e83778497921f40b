/*
 * heap.c - the slow paths: refilling, cooling down, what follows when a span became reusable, empty or shared, and the life
 * and death of heaps.
 *
 * Lock order: none; no thread holds two list locks. A span is in the lists of the heap its owner word names, and the owner word
 * of a listed span changes only under that heap's lock. A thread that made a span reusable links it only if, under the lock,
 * the state word still carries the generation it made: whoever empties the span later unlinks it under the same lock.
 */
#include "heap.h"

#include <errno.h>
#include <string.h>

#include "large.h"
#include "os.h"
#include "pool.h"
#include "purge.h"
#include "runs.h"
#include "stack.h"

span heap_no_span;

static heap orphans = {.kind = HEAP_ORPHANS, .status = HEAP_LIVE};
static stack retired_heaps, unused_heaps;
static volatile word_t heaps_made;

heap *heap_at(uint32_t id) { return (heap *)(void *)(arena.heaps + (size_t)(id - 1) * sizeof(heap)); }
uint32_t heap_count(void) { return (uint32_t)word_load_acquire(&heaps_made); }
heap *heap_orphans(void) { return &orphans; }
static volatile unsigned *link_of_heap(uint32_t id) { return &heap_at(id)->next; }

/* ---- lists ---------------------------------------------------------------------------------------------------------- */

static void list_lock(heap *h) {
  if (h->kind != HEAP_EXCLUSIVE) lock_take(&h->lock);
}
static void list_unlock(heap *h) {
  if (h->kind != HEAP_EXCLUSIVE) lock_give(&h->lock);
}

static span_list *list_of(heap *h, span *s, unsigned which) {
  return which == LIST_ALL ? &h->all : which == LIST_MAIL ? &h->mail : &h->sets[s->class_index];
}

static void list_append(heap *h, span *s, unsigned which) {
  span_list *list = list_of(h, s, which);
  uint32_t index = span_index(s);
  assert_that(!(s->in_list >> which & 1));
  s->link[which] = (span_link){.next = 0, .prev = list->tail};
  if (list->tail)
    span_at(list->tail)->link[which].next = index;
  else
    half_store_relaxed(&list->head, index);
  list->tail = index;
  s->in_list |= (uint8_t)(1u << which);
}

static void list_remove(heap *h, span *s, unsigned which) {
  span_list *list = list_of(h, s, which);
  span_link at = s->link[which];
  if (!(s->in_list >> which & 1)) return;
  if (at.next)
    span_at(at.next)->link[which].prev = at.prev;
  else
    list->tail = at.prev;
  if (at.prev)
    span_at(at.prev)->link[which].next = at.next;
  else
    half_store_relaxed(&list->head, at.next);
  s->in_list &= (uint8_t) ~(1u << which);
}

/* Locks the heap that owns the span now; NULL if it is nobody's any more. */
static heap *lock_owner(span *s) {
  for (;;) {
    heap *h = owner_heap(word_load_acquire(&s->owner));
    if (h == NULL) return NULL;
    list_lock(h);
    if (owner_heap(word_load_acquire(&s->owner)) == h) return h;
    list_unlock(h);
  }
}

void heap_link(heap *h, span *s) {
  list_lock(h);
  list_append(h, s, LIST_ALL);
  list_unlock(h);
}

void heap_unlink(heap *h, span *s) {
  list_lock(h);
  list_remove(h, s, LIST_ALL);
  list_unlock(h);
}

/* ---- what follows a step of a span ------------------------------------------------------------------------------------ */

/* The span is FREE by this thread's doing and empty: out of its owner's lists, into the pool. */
static void release(span *s, uint32_t hint) {
  heap *h = lock_owner(s);
  for (unsigned which = 0; which < LISTS; which++) list_remove(h, s, which);
  word_store_relaxed(&s->owner, 0);
  list_unlock(h);
  pool_put(s, hint);
  purge_tick();
}

/* Gives a listed span to another heap; the caller holds the lock of `from`. Others may be setting the shared bit. */
static void change_owner(span *s, heap *from, heap *to) {
  word_t owner;
  for (unsigned which = 0; which < LISTS; which++) list_remove(from, s, which);
  do owner = word_load_acquire(&s->owner);
  while (!word_cas_full(&s->owner, owner, (word_t)to | OWNER_SHARED));
}

static bool same_life(span *s, word_t made) { return word_generation(word_load_acquire(&s->word)) == word_generation(made); }

/* The span is REUSABLE by this thread's doing: into its owner's set, or, if that heap has no user, adopted. */
static void became_reusable(heap *user, span *s, word_t made) {
  heap *h = lock_owner(s);
  if (h == NULL) return; /* emptied and given away by another thread already */
  if (same_life(s, made) && h->kind == HEAP_THREAD && word_load_relaxed(&h->status) == HEAP_RETIRED) {
    heap *to = user ? user : &orphans;
    change_owner(s, h, to);
    list_unlock(h);
    list_lock(to);
    if (user) user->adoptions++;
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

static void follow(heap *user, span *s, span_step step, word_t made) {
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
  s->notify = word_count(w); /* the next mark: empty */
  *(void **)block = s->free;
  s->free = block;
  half_store_release(&s->used, half_load_relaxed(&s->used) - 1);
  span_step step = span_settle(s, h, &now);
  follow(h, s, step, now);
}

/*
 * The first foreign free of a span since it was last hot: its owner, whose plain frees of that instant the other side may not
 * have seen, looks at it again. An owner without a user has no such frees any more, so this thread settles at once.
 */
static void mail(heap *user, span *s) {
  heap *h = lock_owner(s);
  if (h == NULL) return;
  bool deserted = h->kind == HEAP_ORPHANS || word_load_relaxed(&h->status) == HEAP_RETIRED;
  if (!deserted && !(s->in_list >> LIST_MAIL & 1)) {
    list_append(h, s, LIST_MAIL);
    half_store_release(&h->mailed, 1);
  }
  list_unlock(h);
  if (deserted) {
    word_t now;
    span_step step = span_settle(s, h, &now);
    follow(user, s, step, now);
  }
}

void heap_free_elsewhere(heap *user, span *s, void *block) {
  heap *h = owner_heap(word_load_acquire(&s->owner));
  word_t now;
  bool first;
  if (h == user && span_state_now(s) == SPAN_HOT) { /* shared in vain, just before it became hot again */
    *(void **)block = s->free;
    s->free = block;
    half_store_release(&s->used, half_load_relaxed(&s->used) - 1);
    return;
  }
  if (user && h != user) user->remote_frees++;
  if (h->kind == HEAP_EXCLUSIVE) {
    span_queue(s, block);
    return;
  }
  span_step step = span_free_public(s, block, &now, &first);
  if (first && step != STEP_FREE) mail(user, s);
  follow(user, s, step, now);
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
      follow(h, s, step, now);
    }
  }
}

void heap_settle_all(heap *user) {
  uint32_t end = arena_high_water();
  for (uint32_t i = 1; i < end; i++) {
    span *s = span_at(i);
    heap *h = owner_heap(word_load_acquire(&s->owner));
    word_t now;
    if (h == NULL || h->kind == HEAP_EXCLUSIVE) continue;
    span_step step = span_settle(s, h, &now);
    follow(user, s, step, now);
  }
}

/* ---- refill ----------------------------------------------------------------------------------------------------------- */

/* Makes `s` the span that allocations of the class come from. */
static void install(heap *h, unsigned class_index, span *s) {
  unsigned slot = heap_hot_slot(class_index);
  h->hot[slot] = s;
  if (class_index >= HEAP_DIRECT_CLASSES) return;
  for (size_t below = class_index ? class_size(class_index - 1) / 8 : 0; --slot > below;) h->hot[slot] = s;
  if (class_size(class_index) == 16) h->hot[0] = s; /* malloc(0) */
}

static void cool(heap *h, span *s) {
  word_t now;
  span_step step = span_leave_hot(s, &now);
  follow(h, s, step, now);
}

/* Blocks that are at hand in a hot span. */
static bool refill_from(span *s) {
  if (s->free) return true;
  if (s->spare) {
    s->free = s->spare;
    s->spare = NULL;
    return true;
  }
  return span_carve(s) || span_collect(s, span_threshold(s));
}

/* The oldest reusable span of the class, hot now. */
static span *reuse(heap *h, unsigned class_index) {
  for (;;) {
    if (half_load_relaxed(&h->sets[class_index].head) == 0) return NULL;
    list_lock(h);
    span *s = h->sets[class_index].head ? span_at(h->sets[class_index].head) : NULL;
    if (s) list_remove(h, s, LIST_SET);
    list_unlock(h);
    if (s == NULL || span_make_hot(s, h)) return s;
  }
}

/* A reusable span that no heap with a user owns. */
static span *adopt(heap *h, unsigned class_index) {
  while (half_load_relaxed(&orphans.sets[class_index].head) != 0) {
    list_lock(&orphans);
    span *s = orphans.sets[class_index].head ? span_at(orphans.sets[class_index].head) : NULL;
    if (s) change_owner(s, &orphans, h);
    list_unlock(&orphans);
    if (s && span_make_hot(s, h)) {
      heap_link(h, s);
      h->adoptions++;
      return s;
    }
  }
  return NULL;
}

/* Charges a span for its real size; a purge may make room once. */
static bool charge_span(span *s, size_t bytes) {
  if (bytes <= s->charged) return true;
  if (!arena_charge(bytes - s->charged)) {
    purge_all();
    if (bytes > s->charged && !arena_charge(bytes - s->charged)) return false;
  }
  s->charged = bytes;
  return true;
}

/* Raises the end of the real span: twice as much, up to the whole virtual span. */
static bool grow(span *s) {
  size_t limit = s->first + 2 * (size_t)(s->limit - s->first);
  if (s->limit == SPAN_BYTES) return false;
  if (limit > SPAN_BYTES) limit = SPAN_BYTES;
  if (!charge_span(s, limit)) return false;
  s->limit = (uint32_t)limit;
  return span_carve(s);
}

/* One span out of the free runs, as an ordinary empty one. */
static span *take_single_run(void) {
  uint32_t index = runs_take(1, REAL_SPAN_MIN, false);
  if (index == 0) return NULL;
  span *s = span_at(index);
  s->dirty = s->run_clean ? 0 : (uint32_t)(s->run_dirty < SPAN_BYTES ? s->run_dirty : SPAN_BYTES);
  word_store_release(&s->word, word_next(word_load_relaxed(&s->word), SPAN_FREE, 0, 0));
  return s;
}

/* Opens an empty span (or none: NULL) for a class. NULL too if the limit of the process forbids it. */
static span *open_for(heap *h, span *s, unsigned class_index) {
  if (s == NULL) return NULL;
  if (!charge_span(s, class_initial_limit(class_index, class_first_offset(class_index, span_index(s))))) {
    pool_put(s, h->id);
    return NULL;
  }
  s->in_list = 0;
  span_open(s, h, class_index);
  heap_link(h, s);
  return s;
}

/* An empty span from wherever there is one, open for the class. */
static span *acquire(heap *h, unsigned class_index) {
  size_t wanted = class_initial_limit(class_index, 0);
  span *s = pool_take(h->id, wanted);
  if (!s && (s = adopt(h, class_index)) != NULL) return s;
  if (!s) s = take_single_run();
  if (!s) {
    uint32_t index = arena_take(1);
    if (index == 0) return NULL;
    s = span_at(index);
  }
  return open_for(h, s, class_index);
}

span *heap_refill(heap *h, unsigned class_index) {
  span *s = h->hot[heap_hot_slot(class_index)];
  bool hot = s != &heap_no_span;
  if (half_load_relaxed(&h->mailed)) heap_settle(h);
  if (hot && refill_from(s)) return s;
  span *next = reuse(h, class_index);
  /* Pages that are backed already come before new ones: those of this span, then an empty one's. */
  if (!next && hot && s->limit < s->dirty && grow(s)) return s;
  if (!next && hot) next = open_for(h, pool_take_dirty(h->id, s->limit), class_index);
  if (!next && hot && grow(s)) return s;
  if (!next) next = acquire(h, class_index);
  if (!next) {
    if (hot && span_collect(s, 0)) return s; /* no memory: even a few remote blocks help */
    errno = ENOMEM;
    return NULL;
  }
  install(h, class_index, next);
  if (hot) cool(h, s);
  purge_tick();
  if (!refill_from(next)) span_collect(next, 0);
  return next;
}

/* ---- heaps ------------------------------------------------------------------------------------------------------------ */

static void reset(heap *h, heap_kind kind) {
  for (unsigned i = 0; i < HEAP_HOTS; i++) h->hot[i] = &heap_no_span;
  h->all = h->mail = (span_list){0, 0};
  memset(h->sets, 0, sizeof h->sets);
  half_store_relaxed(&h->mailed, 0);
  h->arena_base = arena.base;
  h->table = arena.table;
  h->kind = kind;
}

static heap *fresh(void) {
  heap *h = arena_metadata(sizeof(heap));
  if (h == NULL) {
    errno = ENOMEM;
    return NULL;
  }
  h->id = (uint32_t)(((char *)h - arena.heaps) / (ptrdiff_t)sizeof(heap)) + 1;
  word_add_full(&heaps_made, 1);
  return h;
}

heap *heap_create(heap_kind kind) {
  if (!arena_init()) return NULL;
  uint32_t id = kind == HEAP_THREAD ? stack_pop(&retired_heaps, link_of_heap) : 0;
  if (id != 0) {
    heap *h = heap_at(id);
    list_lock(h);
    word_store_relaxed(&h->status, HEAP_LIVE);
    list_unlock(h);
    return h;
  }
  id = stack_pop(&unused_heaps, link_of_heap);
  heap *h = id != 0 ? heap_at(id) : fresh();
  if (h == NULL) return NULL;
  reset(h, kind);
  word_store_release(&h->status, HEAP_LIVE);
  return h;
}

void heap_cool(heap *h) {
  for (unsigned c = 0; c < CLASSES; c++) {
    span *s = h->hot[heap_hot_slot(c)];
    if (s == &heap_no_span || half_load_relaxed(&s->used) != word_count(word_load_acquire(&s->word))) continue;
    install(h, c, &heap_no_span);
    cool(h, s);
  }
}

/* Hands the reusable spans of a heap that has just lost its user to the orphans. */
static void orphan_sets(heap *h) {
  for (unsigned c = 0; c < CLASSES; c++) {
    for (;;) {
      list_lock(h);
      span *s = h->sets[c].head ? span_at(h->sets[c].head) : NULL;
      word_t w = s ? word_load_acquire(&s->word) : 0;
      if (s) change_owner(s, h, &orphans);
      list_unlock(h);
      if (s == NULL) break;
      list_lock(&orphans);
      if (same_life(s, w) && owner_heap(word_load_acquire(&s->owner)) == &orphans) {
        list_append(&orphans, s, LIST_ALL);
        list_append(&orphans, s, LIST_SET);
      }
      list_unlock(&orphans);
    }
  }
}

void heap_retire(heap *h) {
  heap_settle(h);
  for (unsigned c = 0; c < CLASSES; c++) {
    span *s = h->hot[heap_hot_slot(c)];
    if (s == &heap_no_span) continue;
    install(h, c, &heap_no_span);
    cool(h, s);
  }
  list_lock(h);
  word_store_relaxed(&h->status, HEAP_RETIRED); /* from here on who makes a span of it reusable adopts it */
  list_unlock(h);
  heap_settle(h);
  orphan_sets(h);
  stack_push(&retired_heaps, link_of_heap, h->id);
}

void heap_end(heap *h) {
  uint32_t next;
  for (uint32_t i = h->all.head; i != 0; i = next) {
    span *s = span_at(i);
    next = s->link[LIST_ALL].next;
    s->in_list = 0;
    word_store_relaxed(&s->owner, 0);
    if (span_state_now(s) == SPAN_LARGE) {
      large_release(s);
    } else {
      span_clear(s);
      pool_put(s, h->id);
    }
  }
  reset(h, h->kind);
  word_store_release(&h->status, HEAP_UNUSED);
  stack_push(&unused_heaps, link_of_heap, h->id);
  purge_tick();
}

void heap_each_span(heap *h, void (*visit)(span *s, void *context), void *context) {
  list_lock(h);
  for (uint32_t i = h->all.head; i != 0; i = span_at(i)->link[LIST_ALL].next) visit(span_at(i), context);
  list_unlock(h);
}

/* ---- after a fork ----------------------------------------------------------------------------------------------------- */

void heap_reset_lists(heap *h) {
  h->all = h->mail = (span_list){0, 0};
  memset(h->sets, 0, sizeof h->sets);
  half_store_relaxed(&h->mailed, 0);
  lock_give(&h->lock);
}

void heap_relink(heap *h, span *s) {
  list_append(h, s, LIST_ALL);
  if (span_state_now(s) == SPAN_REUSABLE) list_append(h, s, LIST_SET);
}

void heap_cool_span(heap *h, span *s) {
  if (h->hot[heap_hot_slot(s->class_index)] == s) install(h, s->class_index, &heap_no_span);
  cool(h, s);
}

void heap_rebuild_stacks(void) {
  word_store_release(&retired_heaps, 0);
  word_store_release(&unused_heaps, 0);
  for (uint32_t id = 1; id <= heap_count(); id++) {
    heap *h = heap_at(id);
    if (h->id != id) continue; /* was being made */
    if (h->status == HEAP_RETIRED) stack_push(&retired_heaps, link_of_heap, id);
    if (h->status == HEAP_UNUSED) stack_push(&unused_heaps, link_of_heap, id);
  }
}
