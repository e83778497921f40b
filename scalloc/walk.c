/*
 * walk.c - reads the span table without any lock. At a quiescent point what it finds is exact; while others work it is a
 * picture with parts of different moments, but no list is followed outside its span and no loop is unbounded.
 */
#include "walk.h"

#include "guard.h"
#include "lend.h"
#include "nursery.h"
#include "track.h"

uint32_t walk_step(const span *s) {
  span_state state = span_state_now(s);
  uint32_t left = arena_high_water() - span_index(s);
  if (state == SPAN_RUN && s->run_head != span_index(s)) return 1;
  return (state == SPAN_LARGE || state == SPAN_RUN || state == SPAN_LENT) && s->run > 0 && s->run <= left ? s->run : 1;
}

void *walk_remote_list(const span *s, word_t w) {
  return word_count(w) ? span_start(s) + ((size_t)word_head(w) << GRANULE_SHIFT) : NULL;
}

/* The number of the block that starts at `block`; UINT32_MAX if none does. */
static uint32_t block_number(const span *s, const void *block) {
  size_t offset = (uintptr_t)block - (uintptr_t)span_start(s);
  uint32_t size = s->block; /* once: another thread may be making a large block of it */
  if (size == 0 || offset < s->first || offset >= s->bump || (offset - s->first) % size != 0) return UINT32_MAX;
  return class_block_index(s->class_index, offset - s->first);
}

uint32_t walk_list(const span *s, const void *list, uint32_t most) {
  uint32_t n = 0;
  for (; list != NULL; list = block_next(list), n++)
    if (n == most || block_number(s, list) == UINT32_MAX) return most + 1;
  return n;
}

static bool on_list(const span *s, const void *list, uint32_t index) {
  uint32_t most = SPAN_BYTES / 8;
  for (; list != NULL && most > 0; list = block_next(list), most--) {
    uint32_t at = block_number(s, list);
    if (at == index) return true;
    if (at == UINT32_MAX) return false;
  }
  return false;
}

bool walk_is_free(const span *s, uint32_t index) {
  if ((size_t)s->first + (size_t)index * s->block >= s->bump) return true;
  return on_list(s, s->free, index) || on_list(s, s->spare, index) ||
         on_list(s, walk_remote_list(s, word_load_acquire(&s->word)), index);
}

static size_t live_bytes(const span *s, word_t w) {
  if (TRACKED) return track_live_bytes(s);
  uint32_t used = half_load_relaxed(&s->used);
  return (size_t)(used > word_count(w) ? used - word_count(w) : 0) * s->block;
}

/* Heaps may end meanwhile: no more is believed than the cells can hold. */
static void add_nursery(const span *s, walk_totals *t) {
  size_t most = cells_in(word_load_acquire(&s->cells)) * CELL_BYTES, live = 0;
  for (word_t heads = word_load_acquire(&s->cell_heads); heads != 0; heads &= heads - 1)
    live += nursery_live((heap *)(void *)cell_at(s, (unsigned)__builtin_ctzll(heads)));
  t->hot++;
  t->live += live < most ? live : most;
  t->committed += cells_in(word_load_relaxed(&s->cells_backed)) * CELL_BYTES;
  t->backed += word_load_relaxed(&s->cells_backed) != 0;
}

void walk_add(const span *s, walk_totals *t) {
  word_t w = word_load_acquire(&s->word);
  span_state state = word_state(w);
  size_t live = 0;
  bool lent = state == SPAN_LENT;
  if (lent) state = lend_registered()->state(s, &live);
  switch (state) {
  case SPAN_HOT:
    if (!lent && span_is_nursery(s)) {
      add_nursery(s, t);
      return;
    }
    t->hot++;
    break;
  case SPAN_FLOATING:
    t->floating++;
    break;
  case SPAN_REUSABLE:
    t->reusable++;
    break;
  case SPAN_LARGE:
    t->large += s->run;
    t->large_blocks++;
    t->live += lent ? live : TRACKED ? track_live_bytes(s) : s->large_bytes;
    t->committed += s->run_dirty;
    t->backed += (s->run_dirty + SPAN_BYTES - 1) >> SPAN_SHIFT;
    return;
  default:
    return;
  }
  t->live += lent ? live : live_bytes(s, w);
  t->committed += (s->dirty + (size_t)PAGE - 1) & ~(size_t)(PAGE - 1);
  t->backed += s->dirty != 0;
}

static void add_pooled(const span *s, uint32_t count, walk_totals *t) {
  bool run = span_state_now(s) == SPAN_RUN;
  size_t dirty = run ? (s->run_clean ? 0 : s->run_dirty) : s->dirty;
  t->pooled += count;
  t->committed += dirty;
  t->empty += dirty;
  t->backed += (dirty + SPAN_BYTES - 1) >> SPAN_SHIFT;
}

walk_totals walk_all(void) {
  walk_totals totals = {0};
  uint32_t end = arena_high_water(), step;
  for (uint32_t i = 1; i < end; i += step) {
    const span *s = span_at(i);
    span_state state = span_state_now(s);
    step = walk_step(s);
    if (TRACKED && guard_is_held(s))
      totals.pooled += step;
    else if (state == SPAN_FREE || state == SPAN_RUN || state == SPAN_TAIL)
      add_pooled(s, step, &totals);
    else
      walk_add(s, &totals);
  }
  return totals;
}
