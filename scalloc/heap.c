/*
 * heap.c - the life of heaps: made, retired with their threads and taken again, ended with all their blocks.
 *
 * Data: the heap structures, which lie in the arena's second zone and are never given back, but those of young heaps; the stacks of
 * those without a user.
 */
#include "heap.h"

#include <errno.h>
#include <string.h>

#include "large.h"
#include "lists.h"
#include "nursery.h"
#include "options.h"
#include "os.h"
#include "pool.h"
#include "purge.h"
#include "quarantine.h"
#include "stack.h"
#include "steps.h"
#include "track.h"

span heap_no_span;

static heap orphans = {.kind = HEAP_ORPHANS, .status = HEAP_LIVE, .sets = orphans.own_sets};
static span_list no_sets[CLASSES]; /* of a young heap that has opened no span: never written */
static stack retired_heaps, unused_heaps;
static volatile word_t heaps_made; /* the highest id given */

heap *heap_at(uint32_t id) { return (heap *)(void *)(arena.heaps + (size_t)(id - 1) * sizeof(heap)); }
uint32_t heap_count(void) { return (uint32_t)word_load_acquire(&heaps_made); }
heap *heap_orphans(void) { return &orphans; }
static volatile unsigned *link_of_heap(uint32_t id) { return &heap_at(id)->next; }

static void reset(heap *h, heap_kind kind, span_list *sets) {
  for (unsigned i = 0; i < HEAP_HOTS; i++) h->hot[i] = &heap_no_span;
  h->all = h->mail = (span_list){0, 0};
  if (sets == h->own_sets) memset(sets, 0, sizeof h->own_sets);
  h->sets = sets;
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
  reset(h, kind, h->own_sets);
  h->active = h->rested = os_now_ms();
  word_store_release(&h->status, HEAP_LIVE);
  return h;
}

heap *heap_create_young(void) {
  heap *h = !TRACKED && arena_init() ? (heap *)(void *)cells_take() : NULL;
  if (h == NULL) return heap_create(HEAP_EXCLUSIVE);
  reset(h, HEAP_EXCLUSIVE, no_sets);
  h->active = h->rested = os_now_ms();
  h->remote_frees = h->adoptions = 0;
  h->id = (uint32_t)(((uintptr_t)h - arena.base) >> CELL_SHIFT);
  h->status = HEAP_LIVE;
  nursery_begin(h);
  cells_mark_head((const char *)h);
  return h;
}

/* Pages of a hot span without a block in use, remote ones included. Nobody looks at its lists any more, not even after a fork. */
static void purge_hot(span *s) {
  if (half_load_relaxed(&s->used) != 0 || s->dirty == 0) return;
  s->bump = s->first;
  purge_span(s);
}

static void cool(heap *h, const span *taken, bool purge) {
  for (unsigned c = 0; c < CLASSES; c++) {
    span *s = h->hot[heap_hot_slot(c)];
    if (s == &heap_no_span || s == taken || nursery_has_bin(h, s)) continue;
    if (half_load_relaxed(&s->used) != word_count(word_load_acquire(&s->word))) continue;
    heap_install(h, c, &heap_no_span);
    if (purge) purge_hot(s);
    heap_leave(h, s);
  }
}

void heap_cool(heap *h) { cool(h, NULL, false); }

void heap_cool_span(heap *h, span *s) {
  if (h->hot[heap_hot_slot(s->class_index)] == s) heap_install(h, s->class_index, &heap_no_span);
  heap_leave(h, s);
}

enum { REST_MIN_MS = 10 };

void heap_rest(heap *h, const span *taken) {
  if (options.purge_delay_ms < 0) return;
  uint32_t now = os_now_ms(), delay = (uint32_t)options.purge_delay_ms;
  if (delay < REST_MIN_MS) delay = REST_MIN_MS;
  bool slept = now - h->active >= delay;
  h->active = now;
  if (now - h->rested < delay) return;
  h->rested = now;
  cool(h, taken, slept);
  if (slept) purge_tick(); /* before the operation takes what is old, which would make it young again */
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
}

void heap_empty(heap *h) {
  end_spans(h);
  if (heap_is_young(h)) nursery_empty(h);
  reset(h, h->kind, heap_is_young(h) ? no_sets : h->own_sets);
  purge_tick();
}

void heap_end(heap *h) {
  end_spans(h);
  if (heap_is_young(h)) {
    nursery_end(h);
  } else {
    reset(h, h->kind, h->own_sets);
    word_store_release(&h->status, HEAP_UNUSED);
    stack_push(&unused_heaps, link_of_heap, h->id);
  }
  purge_tick();
}

heap *heap_of_address(const void *address) {
  const span *s = span_of(address);
  if (s == NULL) return NULL;
  if (span_state_now(s) == SPAN_HOT && span_is_nursery(s)) return cell_heap(s, address);
  return owner_heap(word_load_acquire(&s->owner));
}

static bool each_young(bool (*visit)(heap *h, void *context), void *context) {
  for (uint32_t i = 1; i < arena_high_water(); i++) {
    const span *s = span_at(i);
    if (span_state_now(s) != SPAN_HOT || !span_is_nursery(s)) continue;
    for (word_t heads = word_load_acquire(&s->cell_heads); heads != 0; heads &= heads - 1)
      if (!visit((heap *)(void *)cell_at(s, (unsigned)__builtin_ctzll(heads)), context)) return false;
  }
  return true;
}

bool heap_each(bool (*visit)(heap *h, void *context), void *context) {
  for (uint32_t id = 1; id <= heap_count(); id++)
    if (heap_at(id)->status != HEAP_UNUSED && !visit(heap_at(id), context)) return false;
  return each_young(visit, context);
}

void heap_each_span(heap *h, void (*visit)(span *s, void *context), void *context) {
  list_lock(h);
  for (uint32_t i = h->all.head; i != 0; i = span_at(i)->link[LIST_ALL].next) visit(span_at(i), context);
  list_unlock(h);
}

/* ---- after a fork ----------------------------------------------------------------------------------------------------- */

void heap_reset_lists(heap *h) {
  h->all = h->mail = (span_list){0, 0};
  if (h->sets != NULL && h->sets != no_sets) memset(h->sets, 0, sizeof h->own_sets);
  half_store_relaxed(&h->mailed, 0);
  lock_give(&h->lock);
}

void heap_relink(heap *h, span *s) {
  list_append(h, s, LIST_ALL);
  if (span_state_now(s) == SPAN_REUSABLE) list_append(h, s, LIST_SET);
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
