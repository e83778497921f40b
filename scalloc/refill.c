/*
 * refill.c - where the next hot span of a class comes from.
 */
#include <errno.h>

#include "lists.h"
#include "nursery.h"
#include "pool.h"
#include "purge.h"
#include "steps.h"
#include "supply.h"

/* Makes `s` the span that allocations of the class come from. */
void heap_install(heap *h, unsigned class_index, span *s) {
  unsigned slot = heap_hot_slot(class_index);
  h->hot[slot] = s;
  if (class_index >= HEAP_DIRECT_CLASSES) return;
  for (size_t below = class_index ? class_size(class_index - 1) / 8 : 0; --slot > below;) h->hot[slot] = s;
  if (class_size(class_index) == 16) h->hot[0] = s; /* malloc(0) */
}

void heap_leave(heap *h, span *s) {
  word_t now;
  span_step step = span_leave_hot(s, &now);
  steps_follow(h, s, step, now);
}

/*
 * Blocks that are at hand in a hot span. As long as it has blocks that were never carved a page of remote ones comes before them:
 * what others freed is used while it is warm, and spans stay small. When all are carved it takes more, or another span is asked.
 */
static bool refill_from(span *s) {
  if (s->free) return true;
  if (s->spare) {
    s->free = s->spare;
    s->spare = NULL;
    return true;
  }
  uint32_t few = s->limit - s->bump >= s->block ? PAGE / s->block : span_threshold(s);
  return span_collect(s, few) || span_carve(s);
}

/* Where frees do not return empty spans: this one, taken from the reusable ones, goes if it is empty and not the last. */
static bool returned_late(heap *h, span *s) {
  if (!ABLATED(RETURN) || s->used != 0 || h->sets[s->class_index].head == 0) return false;
  heap_unlink(h, s);
  word_store_relaxed(&s->owner, 0);
  span_set_state(s, SPAN_FREE);
  pool_put(s, h->id);
  return true;
}

/* The oldest reusable span of the class, hot now. */
static span *reuse(heap *h, unsigned class_index) {
  for (;;) {
    if (half_load_relaxed(&h->sets[class_index].head) == 0) return NULL;
    list_lock(h);
    span *s = h->sets[class_index].head ? span_at(h->sets[class_index].head) : NULL;
    word_t seen = s ? word_load_acquire(&s->word) : 0;
    if (s) list_remove(h, s, LIST_SET);
    list_unlock(h);
    if (s == NULL || (span_make_hot(s, h, seen) && !returned_late(h, s))) return s;
  }
}

/* A reusable span that no heap with a user owns; only for a thread's heap, which is never ended with its blocks. */
static span *adopt(heap *h, unsigned class_index) {
  heap *orphans = heap_orphans();
  if (h->kind != HEAP_THREAD) return NULL;
  while (half_load_relaxed(&orphans->sets[class_index].head) != 0) {
    list_lock(orphans);
    span *s = orphans->sets[class_index].head ? span_at(orphans->sets[class_index].head) : NULL;
    word_t seen = s ? word_load_acquire(&s->word) : 0;
    if (s) list_change_owner(s, orphans, h);
    list_unlock(orphans);
    if (s && span_make_hot(s, h, seen)) {
      heap_link(h, s);
      h->adoptions++;
      return s;
    }
  }
  return NULL;
}

/* Raises the end of the real span: twice as much, up to the whole virtual span. */
static bool grow(span *s) {
  size_t limit = s->first + 2 * (size_t)(s->limit - s->first);
  if (s->limit == SPAN_BYTES) return false;
  if (limit > SPAN_BYTES) limit = SPAN_BYTES;
  if (!purge_charge(s, limit)) return false;
  s->limit = (uint32_t)limit;
  return span_carve(s);
}

/* Opens an empty span (or none: NULL) for a class. NULL too if the limit of the process forbids it. */
static span *open_for(heap *h, span *s, unsigned class_index) {
  if (s == NULL) return NULL;
  if (!purge_charge(s, class_initial_limit(class_index, class_first_offset(class_index, span_index(s))))) {
    pool_put(s, h->id);
    return NULL;
  }
  s->in_list = 0;
  if (heap_is_young(h)) nursery_need_sets(h);
  span_open(s, h, class_index);
  heap_link(h, s);
  return s;
}

/* A span for the class from wherever there is one. Where the limit forbids the first that is found, it forbids the others. */
static span *acquire(heap *h, unsigned class_index) {
  return open_for(h, supply_take(h->id, class_initial_limit(class_index, 0)), class_index);
}

/* Is it a span, and not what stands for none or, in young heaps, for one? */
static bool is_span(const heap *h, const span *s) { return s != &heap_no_span && !nursery_has_bin(h, s); }

/* The bin of a young heap is its hot span: until the class has outgrown it, and whenever enough of its blocks are free. */
static span *bin_of(heap *h, unsigned class_index, span *s) {
  span *bin = nursery_refill(h, class_index);
  if (bin == NULL || bin == s) return bin;
  heap_install(h, class_index, bin);
  if (is_span(h, s)) heap_leave(h, s);
  return bin;
}

static span *refuse(const heap *h, unsigned class_index) {
  probe(out_of_memory, class_size(class_index), h);
  errno = ENOMEM;
  return NULL;
}

/* No span is left: a block of a larger class that has any, else NULL and ENOMEM. */
static span *borrow(heap *h, unsigned class_index) {
  for (unsigned c = class_index; !heap_is_young(h) && (c = class_wider(c)) < CLASSES;) {
    span *s = h->hot[heap_hot_slot(c)];
    if (is_span(h, s) && refill_from(s)) return s;
  }
  return refuse(h, class_index);
}

static __attribute__((noinline)) span *refill(heap *h, unsigned class_index) {
  span *s = h->hot[heap_hot_slot(class_index)];
  bool hot = is_span(h, s), young = heap_is_young(h);
  if (half_load_relaxed(&h->mailed)) heap_settle(h);
  if (hot && refill_from(s)) return s;
  span *next = young ? bin_of(h, class_index, s) : NULL;
  if (next) return next;
  next = reuse(h, class_index);
  if (!next) next = adopt(h, class_index);
  /* Pages that are backed already come before new ones: those of this span, then an empty one's. */
  if (!next && hot && s->limit < s->dirty && grow(s)) return s;
  if (!next && hot) next = open_for(h, pool_take_dirty(h->id, s->limit), class_index);
  if (!next && hot && grow(s)) return s;
  if (!next) next = acquire(h, class_index);
  if (!next) { /* the empty hot spans of other classes come before a refusal: they are charged, and they are address space */
    heap_cool(h);
    next = acquire(h, class_index);
    s = h->hot[heap_hot_slot(class_index)]; /* even this one, if all its blocks were on the remote list */
    hot = is_span(h, s);
  }
  if (!next) { /* no memory: even a few blocks help */
    if (hot && span_collect(s, 0)) return s;
    if (young && class_index < NURSERY_CLASSES && nursery_of(h)->bins[class_index].free) return nursery_span(h, class_index);
    return borrow(h, class_index);
  }
  heap_install(h, class_index, next);
  if (hot) heap_leave(h, s);
  heap_rest(h, next);
  purge_tick();
  bool ready = refill_from(next); /* a span that was reusable or empty has blocks */
  assert_that(ready);
  return ready ? next : NULL;
}

/* Is there a span of the class that nobody allocates from? */
static bool is_reusable(const heap *h, unsigned class_index) {
  return half_load_relaxed(&h->sets[class_index].head) != 0 || half_load_relaxed(&heap_orphans()->sets[class_index].head) != 0;
}

/*
 * The class whose span is to serve. Once more than half of the arena was in use, a class without a span begins in the one of the next
 * power of two, so that classes of which little is used do not take 2 MB of address space each. One that fills it gets its own. The
 * span is not installed for the class: its allocations keep coming here. Frees go by the size that the span has; those into a
 * young heap do not.
 */
static unsigned shared_class(heap *h, unsigned class_index) {
  size_t size = class_size(class_index);
  if (!arena_is_scarce() || h->hot[heap_hot_slot(class_index)] != &heap_no_span || (size & (size - 1)) == 0) return class_index;
  if (heap_is_young(h) || is_reusable(h, class_index)) return class_index;
  unsigned wider = class_wider(class_index);
  span *s = h->hot[heap_hot_slot(wider)];
  return !is_span(h, s) || refill_from(s) || grow(s) ? wider : class_index;
}

span *heap_refill(heap *h, unsigned class_index) {
  span *s = h->hot[heap_hot_slot(class_index)];
  probe(refill, class_size(class_index), h);
  if (nursery_has_bin(h, s) && nursery_refill(h, class_index) == s) return s;
  return refill(h, shared_class(h, class_index));
}
