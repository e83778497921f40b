/*
 * fork.c - makes the child of a fork whole again.
 *
 * The child sees the memory of the parent at one moment; the other threads have vanished in the middle of whatever they did.
 * State words and blocks are sound at every moment, since each step of the protocol is one store or one CAS; lists, stacks and
 * counts need not be. So the child trusts the words alone and builds the rest anew: pool, free runs, lists, stacks of heaps, the
 * counts of spans of other heaps. No lock is held across the fork. A block that was in flight may stay counted as live. O(spans),
 * and O(free blocks) of the other heaps.
 */
#include "fork.h"

#include "guard.h"
#include "large.h"
#include "nursery.h"
#include "os.h"
#include "pool.h"
#include "purge.h"
#include "runs.h"
#include "walk.h"

static bool vanished(const heap *h, const heap *mine) { return h != mine && h->kind == HEAP_THREAD && h->status == HEAP_LIVE; }

/*
 * A thread that vanished between two stores may have left `used` one off its lists. It may have been linking blocks that were
 * never carved before: they reach a page past `bump`, and `dirty` does not tell.
 */
static void recount(span *s) {
  uint32_t carved = (s->bump - s->first) / s->block;
  uint32_t free = walk_list(s, s->free, carved), spare = walk_list(s, s->spare, carved);
  if (free > carved) s->free = NULL, free = 0;
  if (spare > carved || free + spare > carved) s->spare = NULL, spare = 0;
  half_store_relaxed(&s->used, carved - free - spare);
  uint32_t linked = s->bump + PAGE < s->limit ? s->bump + PAGE : s->limit;
  if (span_state_now(s) == SPAN_HOT && s->dirty < linked) s->dirty = linked;
}

/* Tracked builds: another thread may have been closing, opening or clearing it. */
static void reopen(span *s) {
  os_open(span_start(s), SPAN_BYTES);
  purge_run(span_index(s), 1);
}

/* A span in nobody's hands, perhaps taken out of some structure a moment ago. */
static void repool(span *s, bool dirty) {
  if (TRACKED) reopen(s);
  span_set_state(s, SPAN_FREE);
  word_store_relaxed(&s->owner, 0);
  s->in_list = 0;
  if (dirty) s->dirty = SPAN_BYTES;
  if (s->dirty == 0) s->charged = 0; /* it was being purged or charged; nobody discharges a clean span */
  pool_put(s, span_index(s));
}

/* A free run: its spans one by one, since what was being split or merged is not known. */
static void repool_run(uint32_t first, uint32_t count) {
  bool dirty = !span_at(first)->run_clean;
  for (uint32_t i = first; i < first + count; i++) {
    span_at(i)->dirty = 0;
    repool(span_at(i), dirty);
  }
}

static void repair(span *s, heap *mine) {
  heap *h = owner_heap(word_load_relaxed(&s->owner));
  span_state state = span_state_now(s);
  if (state == SPAN_LENT) return; /* who borrowed it makes it whole */
  s->in_list = 0;
  if (state == SPAN_HOT && span_is_nursery(s)) {
    if (!cells_restore(s, word_load_relaxed(&s->cells))) repool(s, false);
    return;
  }
  if (state == SPAN_LARGE) {
    large_repair(s);
    if (h) heap_relink(h, s);
    return;
  }
  if (state == SPAN_FREE || state == SPAN_TAIL || h == NULL) {
    repool(s, state == SPAN_TAIL);
    return;
  }
  if (h != mine) recount(s);
  heap_relink(h, s);
  if (state == SPAN_HOT && (vanished(h, mine) || h->hot[heap_hot_slot(s->class_index)] != s)) heap_cool_span(h, s);
}

/*
 * A heap that was being ended, or one that was changing a hot span, may still name spans that are no longer its hot ones, and
 * may not have the same one in all the entries of a class.
 */
static void repair_hot(heap *h) {
  for (unsigned c = 0; c < CLASSES; c++) {
    span *s = h->hot[heap_hot_slot(c)];
    bool its = nursery_has_bin(h, s) ? s == nursery_span(h, c)
                                     : s != &heap_no_span && span_state_now(s) == SPAN_HOT && !span_is_nursery(s) &&
                                           s->class_index == c && owner_heap(word_load_relaxed(&s->owner)) == h;
    heap_install(h, c, its ? s : &heap_no_span);
  }
}

static bool repair_heap(heap *h, void *context) {
  (void)context;
  heap_reset_lists(h);
  repair_hot(h);
  if (heap_is_young(h)) nursery_repair(h);
  return true;
}

static bool claim_cells(heap *h, void *context) {
  (void)context;
  if (!heap_is_young(h)) return true;
  span_of_inside(h)->cells |= cell_bit(h);
  for (const char *cell = nursery_of(h)->more; cell != NULL; cell = ((const cell_more *)(const void *)cell)->next)
    span_of_inside(cell)->cells |= cell_bit(cell);
  return true;
}

/* Only what a live heap has is in use. */
static void repair_cells(uint32_t end) {
  heap_reset_locks();
  cells_reset();
  for (uint32_t i = 1; i < end; i++)
    if (span_state_now(span_at(i)) == SPAN_HOT && span_is_nursery(span_at(i))) span_at(i)->cells = 0;
  heap_each(claim_cells, NULL);
}

/* What the spans say they are charged with is the truth; the sum may have been a step ahead or behind. */
static void recharge(uint32_t end) {
  size_t charged = 0;
  for (uint32_t i = 1; i < end; i += walk_step(span_at(i))) charged += span_at(i)->charged;
  arena_recharge(charged);
}

void fork_child(heap *mine) {
  uint32_t end = arena_high_water();
  arena_after_fork();
  if (end == 0) return;
  if (TRACKED) guard_after_fork();
  runs_reset();
  pool_reset();
  heap_reset_lists(heap_orphans());
  for (uint32_t id = 1; id <= heap_count(); id++) heap_reset_lists(heap_at(id));
  heap_each(repair_heap, NULL);
  repair_cells(end);
  for (uint32_t i = 1, step; i < end; i += step) {
    span *s = span_at(i);
    step = walk_step(s);
    if (span_state_now(s) == SPAN_RUN)
      repool_run(i, step);
    else
      repair(s, mine);
  }
  heap_rebuild_stacks();
  for (uint32_t id = 1; id <= heap_count(); id++)
    if (vanished(heap_at(id), mine)) heap_retire(heap_at(id));
  heap_settle_all(mine);
  recharge(end);
}
