/*
 * picture.c - the walk of walk.c, over the copy of a table that others write meanwhile. No figure of a slot is believed beyond what
 * a span can hold, and no step goes behind the end.
 */
#include "picture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nursery.h"

_Static_assert(SIGNPOST_MAGIC >> 56 == '1' && sizeof(span) == 128 && offsetof(span, used) == 8 && offsetof(span, spare) == 16 &&
                   offsetof(span, bump) == 24 && offsetof(span, limit) == 28 && offsetof(span, block) == 32 &&
                   offsetof(span, first) == 124 && offsetof(span, dirty) == 36 && offsetof(span, large_bytes) == 48 &&
                   offsetof(span, word) == 64 && offsetof(span, class_index) == 84 && offsetof(span, run_clean) == 87 &&
                   offsetof(span, run) == 120 && offsetof(span, run_head) == 56,
               "slots as they are read here: another layout needs another SIGNPOST_MAGIC");
_Static_assert(offsetof(arena_state, next) == 24 && offsetof(arena_state, spans) == 40, "and the arena");
_Static_assert(TRACKED || (NURSERY_AT == 1664 && sizeof(nursery_bin) == 16), "and the bins of young heaps");

const char *const picture_names[PICTURE_KINDS] = {"hot", "floating", "reusable", "nursery", "large", "lent", "free", "purged"};

enum { CHUNK = 4096 }; /* slots that are read at once */

double picture_occupancy(const picture_sum *sum) {
  if (sum->committed == 0) return 0;
  return sum->live < sum->committed ? 100 * (double)sum->live / (double)sum->committed : 100;
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }
static size_t whole_pages(size_t bytes) { return (bytes + PAGE - 1) & ~(size_t)(PAGE - 1); }

static void add(picture_sum *to, const picture_sum *sum) {
  to->spans += sum->spans;
  to->blocks += sum->blocks;
  to->room += sum->room;
  to->live += sum->live;
  to->committed += sum->committed;
  if (to->resident != SIZE_MAX) to->resident = sum->resident == SIZE_MAX ? SIZE_MAX : to->resident + sum->resident;
}

/* Live bytes of the young heaps in a nursery span. */
static size_t young_live(const target *t, const span *s, uintptr_t start) {
  size_t live = 0;
  for (word_t heads = s->cell_heads & s->cells; heads != 0; heads &= heads - 1) {
    nursery_bin bins[NURSERY_CLASSES];
    uintptr_t cell = start + ((size_t)__builtin_ctzll(heads) << CELL_SHIFT), at = cell + NURSERY_AT + offsetof(nursery, bins);
    if (!target_read(t, at, bins, sizeof bins)) continue;
    for (unsigned c = 0; c < NURSERY_CLASSES; c++) live += least(bins[c].used, CELL_BYTES) * class_size(c);
  }
  return least(live, cells_in(s->cells) * CELL_BYTES);
}

static void of_class(picture_span *out, const span *s, uint32_t count) {
  size_t block = s->block, blocks = s->used > count ? s->used - count : 0;
  size_t limit = least(s->limit, SPAN_BYTES);
  out->class_index = s->class_index;
  out->sum.room = limit > s->first ? (limit - s->first) / block : 0;
  out->sum.blocks = least(blocks, out->sum.room);
  out->sum.live = out->sum.blocks * block;
  out->sum.committed = least(whole_pages(s->dirty), SPAN_BYTES);
}

static void of_run(picture_span *out, const span *s) {
  size_t most = out->sum.spans << SPAN_SHIFT;
  out->sum.committed = out->kind == PICTURE_PURGED ? 0 : least(s->run_dirty, most);
  if (out->kind != PICTURE_LARGE) return;
  out->sum.blocks = out->sum.room = 1;
  out->sum.live = least(s->large_bytes, most);
}

static bool has_class(const span *s) { return s->class_index < CLASSES && class_size(s->class_index) == s->block; }

/* Checked builds: a guarded block that was freed and is held back (guard.h); it is nobody's. */
static bool is_held(const target *t, const span *s, uintptr_t start) {
  word_t live = 0;
  if (!t->tracked || s->bump == 0) return false;
  size_t granule = (start + s->first - t->arena.base) >> GRANULE_SHIFT;
  return target_read(t, (uintptr_t)t->arena.live + granule / 64 * sizeof live, &live, sizeof live) &&
         !(live >> granule % 64 & 1);
}

static picture_kind kind_of(const target *t, const span *s, uintptr_t start) {
  span_state state = word_state(s->word);
  switch (state) {
  case SPAN_HOT:
  case SPAN_FLOATING:
  case SPAN_REUSABLE:
    if (state == SPAN_HOT && s->block == NURSERY_BLOCK) return PICTURE_NURSERY;
    if (!has_class(s)) break; /* it is being taken just now */
    return state == SPAN_HOT ? PICTURE_HOT : state == SPAN_FLOATING ? PICTURE_FLOATING : PICTURE_REUSABLE;
  case SPAN_LARGE:
    return is_held(t, s, start) ? PICTURE_PURGED : PICTURE_LARGE;
  case SPAN_LENT:
    return PICTURE_LENT;
  case SPAN_RUN:
    return s->run_clean || s->run_dirty == 0 ? PICTURE_PURGED : PICTURE_FREE;
  default:
    break;
  }
  return s->dirty ? PICTURE_FREE : PICTURE_PURGED;
}

/* How many spans a slot stands for, of `left` at most. */
static uint32_t length_of(const span *s, uint32_t index, uint32_t left) {
  span_state state = word_state(s->word);
  bool run = state == SPAN_LARGE || state == SPAN_LENT || (state == SPAN_RUN && s->run_head == index);
  return run && s->run > 0 && s->run <= left ? s->run : 1;
}

static void of_nursery(picture_span *out, const target *t, const span *s, uintptr_t start) {
  out->sum.blocks = cells_in(s->cells);
  out->sum.room = CELLS;
  out->sum.live = t->tracked ? 0 : young_live(t, s, start);
  out->sum.committed = cells_in(s->cells_backed) * CELL_BYTES;
}

/* What one slot says of itself and of `left` spans at most. */
static void describe(picture_span *out, const target *t, const span *s, uint32_t left) {
  uintptr_t start = t->arena.base + ((size_t)out->index << SPAN_SHIFT);
  out->sum = (picture_sum){.spans = length_of(s, out->index, left)};
  out->kind = kind_of(t, s, start);
  if (out->kind <= PICTURE_REUSABLE)
    of_class(out, s, word_count(s->word));
  else if (out->kind == PICTURE_NURSERY)
    of_nursery(out, t, s, start);
  else if (out->kind == PICTURE_LARGE || word_state(s->word) == SPAN_RUN || (out->kind == PICTURE_LENT && s->block == 0))
    of_run(out, s);
  else if (out->kind != PICTURE_PURGED) /* counted as walk.c does */
    out->sum.committed = least(out->kind == PICTURE_FREE ? s->dirty : whole_pages(s->dirty), SPAN_BYTES);
  size_t extent = out->kind == PICTURE_NURSERY ? SPAN_BYTES : out->sum.committed;
  out->sum.resident = extent ? target_resident(t, start, extent) : t->pagemap < 0 ? SIZE_MAX : 0;
}

void picture_keep(picture *p, const picture_span *one) {
  if (p->count == p->room) {
    size_t room = p->room ? 2 * p->room : 256;
    picture_span *spans = realloc(p->spans, room * sizeof *spans);
    if (spans == NULL) {
      fputs("scalloc-top: no memory\n", stderr);
      exit(1);
    }
    p->spans = spans;
    p->room = room;
  }
  p->spans[p->count++] = *one;
  add(&p->kinds[one->kind], &one->sum);
  add(&p->all, &one->sum);
  if (one->kind > PICTURE_REUSABLE) return;
  add(&p->classes[one->class_index].sum, &one->sum);
  p->classes[one->class_index].by_kind[one->kind]++;
}

target_result picture_take(picture *p, target *t) {
  static span slots[CHUNK];
  *p = (picture){.spans = p->spans, .room = p->room, .time = time(NULL)};
  target_result result = target_refresh(t);
  if (result != TARGET_FOUND) return result;
  uint32_t index = 1, end = (uint32_t)t->arena.next, from = 0, upto = 0; /* slots [from, upto) are here */
  while (index < end) {
    if (index >= upto) {
      from = index;
      upto = end - index < CHUNK ? end : index + CHUNK;
      uintptr_t at = (uintptr_t)t->arena.table + ((size_t)from << SLOT_SHIFT);
      if (!target_read(t, at, slots, (upto - from) * sizeof *slots)) return TARGET_MISSING;
    }
    picture_span one = {.index = index};
    describe(&one, t, &slots[index - from], end - index);
    picture_keep(p, &one);
    index += (uint32_t)one.sum.spans;
  }
  return TARGET_FOUND;
}

void picture_free(picture *p) {
  free(p->spans);
  *p = (picture){0};
}
