/*
 * check.c - scalloc_check: every span, list and stack is held to the invariants stated in span.h, heap.c and pool.c.
 *
 * Meant for a quiescent point. First everything that a free in flight may have left to its owner is settled, as a purge does.
 */
#include <stdarg.h>
#include <stdio.h>

#include "large.h"
#include "lend.h"
#include "nursery.h"
#include "options.h"
#include "pool.h"
#include "runs.h"
#include "scalloc/scalloc.h"
#include "thread.h"
#include "track.h"
#include "walk.h"

typedef struct {
  char *why;
  size_t size;
  size_t in_pool, in_runs;             /* spans */
  size_t marked[LISTS], listed[LISTS]; /* spans that say they are in a list of their heap; those found there */
  size_t cells, cells_of_heaps;        /* in use; those that heaps have */
  size_t with_room;                    /* nursery spans */
} report;

__attribute__((format(printf, 3, 4))) static bool fail(report *r, const span *s, const char *format, ...) {
  va_list list;
  int n = snprintf(r->why, r->size, "span %u: ", span_index(s));
  va_start(list, format);
  if (n >= 0 && (size_t)n < r->size) vsnprintf(r->why + n, r->size - (size_t)n, format, list);
  va_end(list);
  return false;
}

/* Carved blocks = used + owner's lists; the remote list is as long as its count and part of used. */
static bool check_blocks(report *r, const span *s) {
  if (s->first > s->bump || s->bump > s->limit || s->limit > SPAN_BYTES) return fail(r, s, "bounds out of order");
  if (s->class_index >= CLASSES || s->block != class_size(s->class_index))
    return fail(r, s, "block size %u of class %u", s->block, s->class_index);
  word_t w = word_load_acquire(&s->word);
  uint32_t carved = (s->bump - s->first) / s->block, used = half_load_relaxed(&s->used), count = word_count(w);
  uint32_t free = walk_list(s, s->free, carved), spare = walk_list(s, s->spare, carved);
  if (free > carved || spare > carved) return fail(r, s, "broken free list");
  if (walk_list(s, walk_remote_list(s, w), count) != count && count != 0)
    return fail(r, s, "remote list is not %u long", count);
  if (used + free + spare != carved) return fail(r, s, "%u used + %u + %u free != %u carved", used, free, spare, carved);
  if (count > used) return fail(r, s, "%u remote frees of %u used", count, used);
  return true;
}

static void count_marks(report *r, const span *s) {
  for (unsigned which = 0; which < LISTS; which++) r->marked[which] += s->in_list >> which & 1;
}

static bool check_in_state(report *r, const span *s) {
  word_t w = word_load_acquire(&s->word), owner = word_load_acquire(&s->owner);
  const heap *h = owner_heap(owner);
  int64_t live = (int64_t)half_load_relaxed(&s->used) - word_count(w);
  bool in_set = s->in_list >> LIST_SET & 1, exclusive = h && h->kind == HEAP_EXCLUSIVE;
  count_marks(r, s);
  if (h == NULL) return fail(r, s, "in use without an owner");
  if (!(s->in_list >> LIST_ALL & 1)) return fail(r, s, "in use, but not in its heap's list");
  if (word_state(w) == SPAN_HOT) {
    if (h->hot[heap_hot_slot(s->class_index)] != s) return fail(r, s, "hot, but not its heap's hot span");
    if (s->notify != NEVER && !(s->notify == 0 && options.purge_thread))
      return fail(r, s, "hot, but a free would notify at %u", s->notify);
    return in_set ? fail(r, s, "hot and in a set") : true;
  }
  if (live == 0 && !exclusive) return fail(r, s, "empty, but not in the pool");
  if (word_state(w) == SPAN_REUSABLE) return in_set ? true : fail(r, s, "reusable, but in no set");
  if (in_set) return fail(r, s, "floating, but in a set");
  if (live < s->reusable_below && !exclusive)
    return fail(r, s, "floating with %lld live, reusable below %u", (long long)live, s->reusable_below);
  return true;
}

static bool check_large(report *r, const span *s) {
  if (s->run > arena_high_water() - span_index(s)) return fail(r, s, "run longer than the table");
  if (s->run == 0 || s->large_bytes > (size_t)s->run << SPAN_SHIFT) return fail(r, s, "large block longer than its run");
  count_marks(r, s);
  for (uint32_t i = 1; i < s->run; i++)
    if (large_head(span_at(span_index(s) + i)) != s) return fail(r, s, "tail %u leads elsewhere", i);
  return true;
}

/* Tracked builds: live blocks and free memory are as the program must have left them. */
static bool check_tracked(report *r, const span *s) {
  const void *where;
  const char *what = track_fault(s, &where);
  return what ? fail(r, s, "%p: %s", where, what) : true;
}

/* The first and the last slot of a free run agree. */
static bool check_run(report *r, const span *s) {
  uint32_t first = span_index(s);
  if (s->run == 0 || s->run > arena_high_water() - first) return fail(r, s, "run longer than the table");
  const span *last = span_at(first + s->run - 1);
  if (s->run_head != first || span_state_now(last) != SPAN_RUN || last->run_head != first || last->run_clean != s->run_clean)
    return fail(r, s, "free run without an end");
  r->in_runs += s->run;
  return true;
}

static bool check_lent(report *r, const span *s) {
  const char *what = lend_registered()->fault(s);
  return what ? fail(r, s, "%s", what) : true;
}

static bool check_nursery_span(report *r, const span *s) {
  word_t cells = s->cells, backed = s->cells_backed;
  if (cells == 0) return fail(r, s, "a nursery without a cell in use, but not in the pool");
  if (cells & ~backed) return fail(r, s, "a cell in use that is not charged");
  if (s->cell_heads & ~cells) return fail(r, s, "a heap in a cell that is not in use");
  if (s->charged != cells_in(backed) * CELL_BYTES)
    return fail(r, s, "%zu bytes charged for %u cells", s->charged, cells_in(backed));
  r->cells += cells_in(cells);
  r->with_room += cells != CELLS_ALL;
  return true;
}

static bool check_span(report *r, const span *s) {
  switch (span_state_now(s)) {
  case SPAN_HOT:
    if (span_is_nursery(s)) return check_nursery_span(r, s);
    /* fallthrough */
  case SPAN_FLOATING:
  case SPAN_REUSABLE:
    return check_blocks(r, s) && check_in_state(r, s) && (!TRACKED || check_tracked(r, s));
  case SPAN_LARGE:
    return check_large(r, s) && (!TRACKED || check_tracked(r, s));
  case SPAN_LENT:
    return check_lent(r, s);
  case SPAN_RUN:
    return check_run(r, s);
  case SPAN_FREE:
    r->in_pool++;
    return true;
  default:
    return fail(r, s, "below the high-water mark, but in state %d", (int)span_state_now(s));
  }
}

/* A list is linked both ways from head to tail, through spans of the heap that say they are in it; so it has no circle. */
static bool check_list(report *r, const heap *h, const span_list *list, unsigned which) {
  uint32_t end = arena_high_water(), before = 0;
  for (uint32_t i = list->head; i != 0; before = i, i = span_at(i)->link[which].next) {
    const span *s = span_at(i);
    if (i >= end) return fail(r, s, "in list %u of heap %u, but never handed out", which, h->id);
    if (owner_heap(word_load_acquire(&s->owner)) != h) return fail(r, s, "in list %u of heap %u", which, h->id);
    if (!(s->in_list >> which & 1) || s->link[which].prev != before)
      return fail(r, s, "list %u of heap %u is broken", which, h->id);
    r->listed[which]++;
  }
  return list->tail == before ? true : fail(r, span_at(before), "list %u of heap %u ends early", which, h->id);
}

/* Sizes of one class find the same span, the heap's hot one of that class; or there is none. */
static bool check_hot(report *r, const heap *h) {
  for (unsigned i = 0; i < HEAP_HOTS; i++) {
    unsigned c = i == 0            ? class_of_malloc(0)
                 : i < HEAP_DIRECT ? class_of(8 * (size_t)i)
                                   : i - HEAP_DIRECT + HEAP_DIRECT_CLASSES;
    const span *s = h->hot[i], *of_class = h->hot[heap_hot_slot(c)];
    if (s != of_class) return fail(r, s == &heap_no_span ? of_class : s, "hot for entry %u of heap %u alone", i, h->id);
    if (s == &heap_no_span || (heap_is_young(h) && c < NURSERY_CLASSES && s == nursery_span((heap *)(uintptr_t)h, c))) continue;
    if (nursery_has_bin(h, s)) return fail(r, span_of_inside(h), "bin of another class for class %u in heap %u", c, h->id);
    if (span_state_now(s) != SPAN_HOT || owner_heap(word_load_acquire(&s->owner)) != h || s->class_index != c)
      return fail(r, s, "hot span of class %u in heap %u is another", c, h->id);
  }
  return true;
}

static bool check_young(report *r, heap *h) {
  const char *what = nursery_fault(h);
  if (what) return fail(r, span_of_inside(h), "heap in cell %u: %s", h->id, what);
  r->cells_of_heaps += nursery_of(h)->cells;
  return true;
}

static bool check_heap(heap *h, void *context) {
  report *r = context;
  if (heap_is_young(h) && !check_young(r, h)) return false;
  if (h->verify && !h->verify(h, r->why, r->size)) return false;
  if (!check_list(r, h, &h->all, LIST_ALL) || !check_list(r, h, &h->mail, LIST_MAIL)) return false;
  for (unsigned c = 0; c < CLASSES; c++) {
    if (!check_list(r, h, &h->sets[c], LIST_SET)) return false;
    for (uint32_t i = h->sets[c].head; i != 0; i = span_at(i)->link[LIST_SET].next)
      if (span_state_now(span_at(i)) != SPAN_REUSABLE || span_at(i)->class_index != c)
        return fail(r, span_at(i), "in set %u of heap %u", c, h->id);
  }
  return h->kind == HEAP_ORPHANS || check_hot(r, h);
}

/* What the spans said of themselves is what the pool, the runs and the lists hold. */
static bool check_totals(report *r) {
  const span *end = span_at(arena_high_water());
  size_t dirty, pooled = pool_count(&dirty);
  if (pooled != r->in_pool) return fail(r, end, "end of table: %zu spans in the pool, %zu are free", pooled, r->in_pool);
  if (runs_spans() != r->in_runs)
    return fail(r, end, "end of table: %zu spans in runs, %zu are counted", r->in_runs, runs_spans());
  if (r->cells != r->cells_of_heaps)
    return fail(r, end, "end of table: %zu cells in use, heaps have %zu", r->cells, r->cells_of_heaps);
  if (r->with_room != cells_with_room())
    return fail(r, end, "end of table: %zu nursery spans have room, %zu are listed", r->with_room, cells_with_room());
  for (unsigned which = 0; which < LISTS; which++)
    if (r->listed[which] != r->marked[which])
      return fail(r, end, "end of table: %zu spans in lists %u, %zu are marked", r->listed[which], which, r->marked[which]);
  return true;
}

bool scalloc_check(char *why, size_t size) {
  report r = {.why = why, .size = size};
  uint32_t end = arena_high_water();
  if (end == 0) return true;
  heap_settle_all(thread_heap_or_null());
  for (uint32_t i = 1; i < end; i += walk_step(span_at(i)))
    if (!check_span(&r, span_at(i))) return false;
  return heap_each(check_heap, &r) && check_heap(heap_orphans(), &r) && check_totals(&r);
}
