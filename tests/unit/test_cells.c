/* test_cells.c - cells: who has them, what is charged, when their pages go, and where their spans do. */
#include "unit.h"

#include <stdatomic.h>

#include "cells.h"
#include "pool.h"
#include "purge.h"

enum { START = 10000, DELAY = 500 };

static void begin(long delay) {
  CHECK(scalloc_option_set("SCALLOC_PURGE_DELAY_MS", delay));
  os_fake_set_clock(START);
  unit_arena((size_t)1 << 30);
}

static size_t pooled(void) {
  size_t dirty;
  return pool_count(&dirty);
}

static char *take(void) {
  char *cell = cells_take();
  CHECK(cell != NULL && (uintptr_t)cell % CELL_BYTES == 0);
  return cell;
}

static void fill_a_span(char **cells) {
  for (unsigned i = 0; i < CELLS; i++) memset(cells[i] = take(), 0xa5, CELL_BYTES);
}

static void cells_of_a_span_are_taken_from_the_bottom(void) {
  begin(-1);
  char *first = take();
  span *s = span_of(first);
  CHECK(first == span_start(s) && span_is_nursery(s) && span_state_now(s) == SPAN_HOT);
  for (unsigned i = 1; i < CELLS; i++) {
    CHECK_INT(cells_with_room(), ==, 1);
    CHECK(take() == first + i * CELL_BYTES);
  }
  CHECK_INT(cells_with_room(), ==, 0);
  CHECK(span_of(take()) != s);
}

static void a_freed_cell_is_the_next_that_is_taken(void) {
  char *cells[CELLS];
  begin(-1);
  fill_a_span(cells);
  cells_give(cells[40]);
  cells_give(cells[7]);
  CHECK(take() == cells[7] && take() == cells[40]);
  CHECK_INT(cells_with_room(), ==, 0);
}

static void the_span_goes_to_the_pool_with_its_last_cell(void) {
  begin(-1);
  char *a = take(), *b = take();
  span *s = span_of(a);
  cells_mark_head(b);
  CHECK(s->cell_heads == 2);
  cells_give(b);
  CHECK(s->cell_heads == 0 && s->cells == 1 && pooled() == 0);
  cells_give(a);
  CHECK_INT(span_state_now(s), ==, SPAN_FREE);
  CHECK_INT(pooled(), ==, 1);
  CHECK_INT(cells_with_room(), ==, 0);
  CHECK_INT(s->dirty, ==, 2 * CELL_BYTES); /* as far as anybody may have written */
  check_heap();
}

static void it_may_be_a_nursery_again(void) {
  begin(-1);
  char *a = take();
  span *s = span_of(a);
  cells_give(a);
  CHECK(take() == a && span_is_nursery(s));
  CHECK(s->cells == 1 && s->cells_backed == 1);
}

/* ---- what is charged --------------------------------------------------------------------------------------------------- */

static void each_cell_is_charged_when_it_is_first_taken(void) {
  CHECK(scalloc_option_set("SCALLOC_LIMIT_BYTES", 10 * (long)CELL_BYTES));
  begin(-1);
  char *cells[10];
  for (unsigned i = 0; i < 10; i++) {
    cells[i] = take();
    CHECK_INT(unit_charge_left(), ==, (9 - i) * CELL_BYTES);
  }
  CHECK(cells_take() == NULL);
  CHECK_INT(span_of(cells[0])->charged, ==, 10 * CELL_BYTES);
  cells_give(cells[3]);
  CHECK_INT(unit_charge_left(), ==, 0); /* dirty, so still charged */
  CHECK(take() == cells[3]);
}

/* A limit that is reached takes the pages of free cells before it refuses. */
static void free_cells_make_room_below_the_limit(void) {
  CHECK(scalloc_option_set("SCALLOC_LIMIT_BYTES", 4 * (long)CELL_BYTES));
  begin(-1);
  char *a = take(), *b = take();
  take();
  take();
  cells_give(a);
  cells_give(b);
  CHECK(arena_charge(CELL_BYTES) == false);
  purge_all();
  CHECK_INT(unit_charge_left(), ==, 2 * CELL_BYTES);
  CHECK(all_bytes(a, CELL_BYTES, 0));
  CHECK(span_of(a)->cells_backed == 12);
}

static void a_dirty_span_of_the_pool_is_charged_as_a_whole(void) {
  CHECK(scalloc_option_set("SCALLOC_LIMIT_BYTES", 64L << 20));
  begin(-1);
  uint32_t index = arena_take(1);
  span *s = span_at(index);
  s->dirty = 5 * CELL_BYTES + 1;
  s->word = unit_word(1, SPAN_FREE, 0, 0);
  pool_put(s, 0);
  char *cell = take();
  CHECK(span_of(cell) == s && s->cells_backed == 63);
  CHECK_INT(s->charged, ==, 6 * CELL_BYTES);
  CHECK_INT(unit_charge_left(), ==, (64 << 20) - 6 * CELL_BYTES);
}

/* ---- purges ------------------------------------------------------------------------------------------------------------ */

static void tick_at(uint32_t ms) {
  os_fake_set_clock(START + ms);
  purge_tick();
}

static void free_cells_lose_their_pages_after_the_delay(void) {
  char *cells[CELLS];
  begin(DELAY);
  purge_tick();
  fill_a_span(cells);
  for (unsigned i = 10; i < 20; i++) cells_give(cells[i]);
  cells_give(cells[30]);
  for (uint32_t ms = 0; ms < DELAY; ms++) tick_at(ms);
  CHECK_INT(os_fake_calls(OS_PURGE), ==, 0);
  for (uint32_t ms = DELAY; ms <= DELAY + DELAY / 8 + 1; ms++) tick_at(ms);
  CHECK_INT(os_fake_calls(OS_PURGE), ==, 2); /* neighbours in one call */
  CHECK_INT(os_fake_bytes(OS_PURGE), ==, 11 * CELL_BYTES);
  for (unsigned i = 0; i < CELLS; i++) CHECK(all_bytes(cells[i], CELL_BYTES, (i >= 10 && i < 20) || i == 30 ? 0 : 0xa5));
  CHECK_INT(cells_with_room(), ==, 1);
  CHECK_INT(cells_in(span_of(cells[0])->cells), ==, CELLS - 11);
}

static void all_of_many_spans_are_looked_at(void) {
  enum { SPANS = 5 };
  char *cells[SPANS][CELLS];
  begin(-1);
  for (unsigned i = 0; i < SPANS; i++) fill_a_span(cells[i]);
  for (unsigned i = 0; i < SPANS; i++) cells_give(cells[i][i]);
  CHECK_INT(purge_all(), ==, SPANS * CELL_BYTES);
  CHECK_INT(purge_all(), ==, 0);
  CHECK_INT(cells_with_room(), ==, SPANS);
}

static void pages_that_the_system_keeps_stay_charged(void) {
  begin(-1);
  char *a = take();
  take();
  cells_give(a);
  os_fake_refuse(OS_PURGE, 1, false);
  CHECK_INT(purge_all(), ==, 0);
  CHECK(span_of(a)->cells_backed == 3 && span_of(a)->charged == 2 * CELL_BYTES);
  CHECK_INT(purge_all(), ==, CELL_BYTES);
}

/* While the pages go the last cell in use is given back: the span goes to the pool after all. */
static char *last_cell;
static void give_the_last(void *context) {
  (void)context;
  cells_give(last_cell);
}

static void the_last_cell_may_be_given_back_under_a_purge(void) {
  begin(-1);
  char *a = take();
  last_cell = take();
  cells_give(a);
  os_fake_hook(OS_PURGE, 1, give_the_last, NULL);
  purge_all();
  CHECK_INT(pooled(), ==, 1);
  CHECK_INT(span_state_now(span_of(a)), ==, SPAN_FREE);
  check_heap();
}

/* ... and who wants one meanwhile gets another. */
static void take_another(void *context) {
  (void)context;
  last_cell = take();
}

static void nobody_gets_a_cell_that_is_being_purged(void) {
  begin(-1);
  char *a = take();
  take();
  cells_give(a);
  os_fake_hook(OS_PURGE, 1, take_another, NULL);
  CHECK_INT(purge_all(), ==, CELL_BYTES);
  CHECK(last_cell != a);
  CHECK(take() == a);
}

/* ---- refusals ---------------------------------------------------------------------------------------------------------- */

static void without_memory_there_is_no_cell(void) {
  begin(-1);
  os_fake_refuse(OS_OPEN, 1, true);
  CHECK(cells_take() == NULL);
  os_fake_refuse(OS_OPEN, 0, false);
  take();
}

/* ---- many threads ------------------------------------------------------------------------------------------------------ */

enum { THREADS = 8, ROUNDS = 3000, HELD = 40 };
static atomic_uint holders[THREADS * HELD * 64];

static atomic_uint *holder_of(const char *cell) {
  size_t index = (size_t)(cell - (char *)arena.base) >> CELL_SHIFT;
  CHECK(index < LENGTH(holders));
  return &holders[index];
}

static char *take_as(unsigned number) {
  char *cell = take();
  unsigned other = atomic_exchange(holder_of(cell), number + 1);
  CHECK_INT(other, ==, 0);
  *(unsigned *)(void *)cell = number;
  return cell;
}

static void give_as(unsigned number, char *cell) {
  CHECK_INT(*(unsigned *)(void *)cell, ==, number);
  unsigned holder = atomic_exchange(holder_of(cell), 0);
  CHECK_INT(holder, ==, number + 1);
  cells_give(cell);
}

static void take_and_give(unsigned number) {
  char *held[HELD] = {0};
  rng random = {number + 1};
  for (int round = 0; round < ROUNDS; round++) {
    char **cell = &held[rng_below(&random, HELD)];
    if (*cell != NULL)
      give_as(number, *cell), *cell = NULL;
    else
      *cell = take_as(number);
    if (round % 500 == 0) purge_all();
  }
  for (size_t i = 0; i < HELD; i++)
    if (held[i] != NULL) give_as(number, held[i]);
}

static void no_cell_is_in_two_hands(void) {
  begin(1);
  unit_threads(THREADS, take_and_give);
  CHECK_INT(cells_with_room(), ==, 0);
  CHECK_INT(pooled(), ==, arena_high_water() - 1);
  check_heap();
}

UNIT_MAIN(CASE(cells_of_a_span_are_taken_from_the_bottom), CASE(a_freed_cell_is_the_next_that_is_taken),
          CASE(the_span_goes_to_the_pool_with_its_last_cell), CASE(it_may_be_a_nursery_again),
          CASE(each_cell_is_charged_when_it_is_first_taken), CASE(free_cells_make_room_below_the_limit),
          CASE(a_dirty_span_of_the_pool_is_charged_as_a_whole), CASE(free_cells_lose_their_pages_after_the_delay),
          CASE(all_of_many_spans_are_looked_at), CASE(pages_that_the_system_keeps_stay_charged),
          CASE(the_last_cell_may_be_given_back_under_a_purge), CASE(nobody_gets_a_cell_that_is_being_purged),
          CASE(without_memory_there_is_no_cell), CASE(no_cell_is_in_two_hands))
