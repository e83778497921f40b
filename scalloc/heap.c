/*
 * heap.c - the life of heaps: made, retired with their threads and taken again, ended with all their blocks.
 *
 * Data: the heap structures, which lie in the arena's second zone and are never given back; the stacks of those without a user.
 */
#include "heap.h"

#include <errno.h>
#include <string.h>

#include "large.h"
#include "lists.h"
#include "pool.h"
#include "purge.h"
#include "quarantine.h"
#include "stack.h"
#include "steps.h"
#include "track.h"

span heap_no_span;

static heap orphans = {.kind = HEAP_ORPHANS, .status = HEAP_LIVE};
static stack retired_heaps, unused_heaps;
static volatile word_t heaps_made; /* the highest id given */

heap *heap_at(uint32_t id) { return (heap *)(void *)(arena.heaps + (size_t)(id - 1) * sizeof(heap)); }
uint32_t heap_count(void) { return (uint32_t)word_load_acquire(&heaps_made); }
heap *heap_orphans(void) { return &orphans; }
static volatile unsigned *link_of_heap(uint32_t id) { return &heap_at(id)->next; }

static void reset(heap *h, heap_kind kind) {
  for (unsigned i = 0; i < HEAP_HOTS; i++) h->hot[i] = &heap_no_span;
  h->all = h->mail = (span_list){0, 0};
  memset(h->sets, 0, sizeof h->sets);
  half_store_relaxed(&h->mailed, 0);
  h->slots = (uintptr_t)arena.table - (arena.base >> SPAN_SHIFT << SLOT_SHIFT);
  h->kind = kind;
  h->verify = NULL;
}

static heap *fresh(void) {
  heap *h = arena_metadata(sizeof(heap));
  if (h == NULL) {
    errno = ENOMEM;
    return NULL;
  }
  h->id = (uint32_t)(((char *)h - arena.heaps) / (ptrdiff_t)sizeof(heap)) + 1;
  for (word_t made = 0; (made = word_load_acquire(&heaps_made)) < h->id;)
    if (word_cas_full(&heaps_made, made, h->id)) break;
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
    heap_install(h, c, &heap_no_span);
    heap_leave(h, s);
  }
}

/* Hands the reusable spans of a heap that has just lost its user to the orphans. Nothing is put into its sets any more. */
static void orphan_sets(heap *h) {
  for (unsigned c = 0; c < CLASSES; c++) {
    while (half_load_relaxed(&h->sets[c].head) != 0) {
      list_lock(h);
      span *s = h->sets[c].head ? span_at(h->sets[c].head) : NULL;
      word_t w = s ? word_load_acquire(&s->word) : 0;
      if (s) list_change_owner(s, h, &orphans);
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
  if (TRACKED) quarantine_flush(h);
  heap_settle(h);
  for (unsigned c = 0; c < CLASSES; c++) {
    span *s = h->hot[heap_hot_slot(c)];
    if (s == &heap_no_span) continue;
    heap_install(h, c, &heap_no_span);
    heap_leave(h, s);
  }
  list_lock(h);
  word_store_relaxed(&h->status, HEAP_RETIRED); /* from here on who makes a span of it reusable adopts it */
  list_unlock(h);
  heap_settle(h);
  orphan_sets(h);
  stack_push(&retired_heaps, link_of_heap, h->id);
}

/* Ends one span of a heap that ends; the caller holds the list lock, and has it back. */
static void end_span(heap *h, span *s) {
  bool large = span_state_now(s) == SPAN_LARGE;
  if (!large && !span_clear(s)) { /* a purge found it empty and will release it as soon as it can have the lock */
    list_unlock(h);
    os_yield();
    list_lock(h);
    return;
  }
  for (unsigned which = 0; which < LISTS; which++) list_remove(h, s, which);
  word_store_relaxed(&s->owner, 0);
  list_unlock(h);
  if (TRACKED) track_ended(s);
  if (large)
    large_release(s);
  else
    pool_put(s, h->id);
  list_lock(h);
}

static void end_spans(heap *h) {
  if (TRACKED) quarantine_flush(h);
  list_lock(h);
  while (h->all.head != 0) end_span(h, span_at(h->all.head));
  list_unlock(h);
  reset(h, h->kind);
}

void heap_empty(heap *h) {
  end_spans(h);
  purge_tick();
}

void heap_end(heap *h) {
  end_spans(h);
  word_store_release(&h->status, HEAP_UNUSED);
  stack_push(&unused_heaps, link_of_heap, h->id);
  purge_tick();
}

heap *heap_of_address(const void *address) {
  const span *s = span_of(address);
  return s ? owner_heap(word_load_acquire(&s->owner)) : NULL;
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
  if (h->hot[heap_hot_slot(s->class_index)] == s) heap_install(h, s->class_index, &heap_no_span);
  heap_leave(h, s);
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
