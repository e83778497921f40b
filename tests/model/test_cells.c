/*
 * test_cells.c - cells of nursery spans taken, given back and purged by several threads: none in two hands, none purged in
 * somebody's, every span listed while it has room, and in the pool once when it has no cell in use.
 */
#include "cells.h"
#include "explore_private.h"
#include "pool.h"
#include "purge.h"
#include "world.h"

enum { PLACES = 8 };
static uint32_t held[PLACES]; /* ghost: the cells that somebody has, by number from the arena's base; 0 = free place */
static char *cells[CELLS];    /* taken in the setup: constant */

static uint32_t number_of(const char *cell) { return (uint32_t)((size_t)(cell - (char *)arena.base) >> CELL_SHIFT); }

static void hold(const char *cell) {
  uint32_t place = PLACES;
  for (uint32_t i = 0; i < PLACES; i++) {
    if (held[i] == number_of(cell)) model_fail("cell %u is in two hands", held[i]);
    if (held[i] == 0) place = i;
  }
  if (place == PLACES) model_fail("more cells than the scenario has room for");
  model_ghost(&held[place], number_of(cell));
}

static void give_up(const char *cell) {
  for (uint32_t i = 0; i < PLACES; i++)
    if (held[i] == number_of(cell)) model_ghost(&held[i], 0);
}

static void not_in_use(char *start, size_t bytes) {
  for (uint32_t i = 0; i < PLACES; i++)
    if (held[i] != 0 && held[i] >= number_of(start) && held[i] < number_of(start + bytes))
      model_fail("cell %u is purged in somebody's hands", held[i]);
}

/* So many cells of a new span in use, and `free` more that are dirty. */
static void begin(unsigned in_use, unsigned dirty) {
  world_begin();
  model_on_purge = not_in_use;
  for (unsigned i = 0; i < in_use + dirty; i++) cells[i] = cells_take();
  for (unsigned i = 0; i < in_use; i++) hold(cells[i]);
  for (unsigned i = in_use; i < in_use + dirty; i++) cells_give(cells[i]);
}

static void nothing(void) { begin(0, 0); }
static void one(void) { begin(1, 0); }
static void two(void) { begin(2, 0); }
static void one_and_a_dirty_one(void) { begin(1, 1); }
static void pooled(void) { begin(0, 1); }

/* ---- acts ------------------------------------------------------------------------------------------------------------- */

static void take(void) {
  char *cell = cells_take();
  if (cell == NULL) model_fail("no cell");
  hold(cell);
  cells_mark_head(cell);
  model_forget(0);
}

static void give(unsigned i) {
  give_up(cells[i]);
  cells_give(cells[i]);
  model_forget(0);
}

static void give_0(void) { give(0); }
static void give_1(void) { give(1); }
static void purge(void) {
  purge_all();
  model_forget(0);
}

static word_t held_in(uint32_t index) {
  word_t set = 0;
  for (uint32_t i = 0; i < PLACES; i++)
    if (held[i] / CELLS == index) set |= (word_t)1 << held[i] % CELLS;
  return set;
}

static void all_there(void) {
  uint32_t end = arena_high_water();
  size_t free_spans = 0, with_room = 0, dirty;
  for (uint32_t i = 1; i < end; i++) {
    const span *s = span_at(i);
    free_spans += span_state_now(s) == SPAN_FREE;
    if (span_state_now(s) == SPAN_FREE && held_in(i) != 0) model_fail("span %u is free with a cell in use", i);
    if (span_state_now(s) == SPAN_FREE) continue;
    with_room += s->cells != CELLS_ALL;
    if (s->cells != held_in(i)) model_fail("span %u has cells %#lx in use, %#lx are held", i, (long)s->cells, (long)held_in(i));
    if (s->cells & ~s->cells_backed) model_fail("a cell of span %u is not charged", i);
    if (s->charged != cells_in(s->cells_backed) * CELL_BYTES) model_fail("span %u is charged with %zu", i, s->charged);
    if (s->cells == 0) model_fail("span %u is a nursery without a cell in use", i);
  }
  if (pool_count(&dirty) != free_spans) model_fail("%zu spans are free, %zu in the pool", free_spans, pool_count(&dirty));
  if (cells_with_room() != with_room) model_fail("%zu spans have room, %zu are listed", with_room, cells_with_room());
}

static const scenario scenarios[] = {
    {"two takes of one span", one, {take, take}, all_there, false},
    {"two takes of none", nothing, {take, take}, all_there, false},
    {"two takes of a span in the pool", pooled, {take, take}, all_there, false},
    {"a take against the last give", one, {take, give_0}, all_there, false},
    {"two last gives", two, {give_0, give_1}, all_there, false},
    {"two last gives against a take", two, {give_0, give_1, take}, all_there, false},
    {"purge against a take", one_and_a_dirty_one, {purge, take}, all_there, false},
    {"purge against the last give", one_and_a_dirty_one, {purge, give_0}, all_there, false},
    {"purge against purge", one_and_a_dirty_one, {purge, purge}, all_there, false},
    {"purge against the last give and a take", one_and_a_dirty_one, {purge, give_0, take}, all_there, false},
};

int main(int argc, char **argv) { return model_main(argc, argv, scenarios, sizeof scenarios / sizeof *scenarios); }
