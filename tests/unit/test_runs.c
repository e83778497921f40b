/* test_runs.c - free runs: clean ones merge and split, warm ones are kept whole, few and for a while. */
#include "unit.h"

#include <stdatomic.h>

#include "runs.h"

/* `count` fresh spans in a row, as if they had been in use. */
static uint32_t row(uint32_t count) {
  if (arena.spans == 0) unit_arena((size_t)4 << 30);
  uint32_t first = arena_take(count);
  CHECK(first != 0);
  return first;
}

static bool give_warm(uint32_t first, uint32_t count, size_t dirty) {
  span_at(first)->run_dirty = dirty;
  return runs_give(first, count, false);
}

/* What was taken is a LARGE run of this place and kind. */
static void check_run(uint32_t first, uint32_t at, uint32_t count, bool clean) {
  CHECK_INT(first, ==, at);
  CHECK_INT(span_at(first)->run, ==, count);
  CHECK_INT(span_at(first)->run_clean, ==, clean);
  CHECK_INT(span_state_now(span_at(first)), ==, SPAN_LARGE);
}

static void there_is_nothing_at_first(void) {
  row(4);
  CHECK_INT(runs_take(1, 1, false), ==, 0);
  CHECK_INT(runs_take_single(), ==, 0);
  CHECK_INT(runs_take_dirty(100000, 0), ==, 0);
  CHECK_INT(runs_spans(), ==, 0);
}

static void a_clean_run_is_cut_to_the_length_asked_for(void) {
  uint32_t at = row(10);
  CHECK(runs_give(at, 10, true));
  CHECK_INT(runs_spans(), ==, 10);
  check_run(runs_take(3, 3 * SPAN_BYTES, false), at, 3, true);
  CHECK_INT(runs_spans(), ==, 7);
  check_run(runs_take(7, 7 * SPAN_BYTES, false), at + 3, 7, true);
  CHECK_INT(runs_spans(), ==, 0);
  CHECK_INT(runs_take(1, 1, false), ==, 0);
}

static void the_ends_of_a_free_run_say_so(void) {
  uint32_t at = row(12);
  runs_give(at + 1, 10, true);
  CHECK_INT(span_state_now(span_at(at + 1)), ==, SPAN_RUN);
  CHECK_INT(span_state_now(span_at(at + 10)), ==, SPAN_RUN);
  CHECK_INT(span_at(at + 10)->run_head, ==, at + 1);
  CHECK_INT(span_state_now(span_at(at)), !=, SPAN_RUN);
  CHECK_INT(span_state_now(span_at(at + 11)), !=, SPAN_RUN);
}

static void neighbours_merge_in_any_order(void) {
  static const unsigned order[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  for (unsigned i = 0; i < 6; i++) {
    uint32_t at = row(11) + 1; /* a span in use on either side */
    for (unsigned k = 0; k < 3; k++) runs_give(at + 3 * order[i][k], 3, true);
    CHECK_INT(runs_spans(), ==, 9);
    check_run(runs_take(9, 9 * SPAN_BYTES, false), at, 9, true);
  }
}

static void a_warm_run_does_not_merge(void) {
  uint32_t at = row(9);
  runs_give(at, 3, true);
  CHECK(give_warm(at + 3, 3, MB));
  runs_give(at + 6, 3, true);
  CHECK_INT(runs_take(4, 100 * MB, false), ==, 0);
  CHECK_INT(runs_take(7, 100 * MB, false), ==, 0);
  CHECK(!runs_extend(at + 3, 1));
  check_run(runs_take(3, MB, false), at + 3, 3, false);
}

static void a_warm_run_is_taken_whole(void) {
  uint32_t at = row(5);
  give_warm(at, 5, 3 * MB);
  CHECK_INT(runs_spans(), ==, 5);
  check_run(runs_take(2, 3 * MB, false), at, 5, false);
  CHECK_INT(span_at(at)->run_dirty, ==, 3 * MB);
  CHECK_INT(runs_spans(), ==, 0);
}

static void the_warm_run_nearest_in_dirty_bytes_is_chosen(void) {
  uint32_t at[3];
  static const size_t dirty[3] = {1 * MB, 4 * MB, 9 * MB};
  for (unsigned i = 0; i < 3; i++) give_warm(at[i] = row(6), 6, dirty[i]);
  check_run(runs_take(3, 6 * MB, false), at[1], 6, false);
  check_run(runs_take(3, 6 * MB, false), at[2], 6, false);
  check_run(runs_take(3, 6 * MB, false), at[0], 6, false);
}

static void a_growing_block_gets_the_dirtiest(void) {
  uint32_t at[3];
  static const size_t dirty[3] = {1 * MB, 9 * MB, 4 * MB};
  for (unsigned i = 0; i < 3; i++) give_warm(at[i] = row(6), 6, dirty[i]);
  check_run(runs_take(1, 1 * MB, true), at[1], 6, false);
  check_run(runs_take(1, 1 * MB, true), at[2], 6, false);
}

static void far_more_dirty_than_needed_is_left_to_others(void) {
  uint32_t at = row(20);
  give_warm(at, 20, 2 * MB + 2 * MB + 2 * SPAN_BYTES);
  CHECK_INT(runs_take(1, 2 * MB, false), ==, 0);
  check_run(runs_take(1, 2 * MB + 1, false), at, 20, false);
}

static void a_warm_run_that_is_too_short_is_passed_over(void) {
  uint32_t shorter = row(3), longer = row(8);
  give_warm(shorter, 3, 6 * MB);
  give_warm(longer, 8, 1 * MB);
  check_run(runs_take(4, 6 * MB, false), longer, 8, false);
}

static void a_warm_run_comes_before_a_clean_one(void) {
  uint32_t clean = row(4), warm = row(5);
  runs_give(clean, 4, true);
  give_warm(warm, 4, 4 * MB);
  check_run(runs_take(4, 8 * MB, false), warm, 4, false);
  check_run(runs_take(4, 8 * MB, false), clean, 4, true);
}

static void the_shortest_clean_run_that_fits_is_cut(void) {
  uint32_t a = row(9), b = row(5), c = row(101), d = row(71);
  runs_give(a, 8, true);
  runs_give(b, 4, true);
  runs_give(c, 100, true);
  runs_give(d, 70, true);
  check_run(runs_take(3, 6 * MB, false), b, 3, true);
  check_run(runs_take(90, 180 * MB, false), c, 90, true); /* same bucket as the 70, which is too short */
  check_run(runs_take(65, 130 * MB, false), d, 65, true);
  CHECK_INT(runs_spans(), ==, 8 + 1 + 10 + 5);
}

static void a_run_in_use_is_extended_from_the_front_of_the_next(void) {
  uint32_t at = row(12);
  runs_give(at + 9, 1, true);
  runs_give(at + 4, 5, true);     /* one run of 6 now */
  CHECK(!runs_extend(at + 3, 1)); /* nothing free begins there */
  CHECK(!runs_extend(at + 5, 1)); /* the middle of a run */
  CHECK(!runs_extend(at + 9, 1)); /* its last span */
  CHECK(!runs_extend(at + 4, 7));
  CHECK(runs_extend(at + 4, 2));
  CHECK_INT(runs_spans(), ==, 4);
  CHECK(runs_extend(at + 6, 4));
  CHECK_INT(runs_spans(), ==, 0);
  CHECK(!runs_extend(at + 10, 1));
}

static void the_warm_cache_holds_64_runs(void) {
  for (int i = 0; i < 64; i++) CHECK(give_warm(row(1), 1, PAGE));
  uint32_t one_more = row(1);
  CHECK(!give_warm(one_more, 1, PAGE));
  CHECK_INT(runs_spans(), ==, 64);
  CHECK(runs_take(1, PAGE, false) != 0);
  CHECK(give_warm(one_more, 1, PAGE));
}

static void the_warm_cache_holds_256_mb_of_dirty_pages(void) {
  uint32_t a = row(80), b = row(80), c = row(80);
  CHECK(give_warm(a, 80, 128 * MB));
  CHECK(give_warm(b, 80, 127 * MB));
  CHECK(!give_warm(c, 80, 1 * MB + 1));
  CHECK(give_warm(c, 80, 1 * MB));
  check_run(runs_take(1, 127 * MB, false), b, 80, false);
  CHECK(give_warm(b, 80, 127 * MB));
}

static void the_oldest_is_taken_first_to_be_purged_whatever_left_the_cache_between(void) {
  enum { ROWS = 5 };
  uint32_t at[ROWS];
  for (unsigned i = 0; i < ROWS; i++) {
    os_fake_set_clock(1000 + 100 * i);
    give_warm(at[i] = row(2), 2, (i + 1) * PAGE);
  }
  check_run(runs_take(2, 2 * PAGE, false), at[1], 2, false);
  CHECK_INT(runs_take_dirty(2000, 0), ==, at[0]);
  os_fake_set_clock(2000);
  give_warm(at[0], 2, PAGE);
  for (unsigned i = 2; i < ROWS; i++) CHECK_INT(runs_take_dirty(2000, 0), ==, at[i]);
  CHECK_INT(runs_take_dirty(2000, 0), ==, at[0]);
}

static void age_decides_what_is_taken_to_be_purged(void) {
  os_fake_set_clock(5000);
  uint32_t old = row(2), young = row(3);
  give_warm(old, 2, MB);
  os_fake_set_clock(5100);
  give_warm(young, 3, MB);
  CHECK_INT(runs_take_dirty(5499, 500), ==, 0);
  CHECK_INT(runs_take_dirty(5500, 500), ==, old);
  CHECK_INT(runs_take_dirty(5599, 500), ==, 0);
  CHECK_INT(runs_spans(), ==, 3);
  CHECK_INT(runs_take_dirty(5600, 500), ==, young);
  CHECK_INT(span_at(young)->run, ==, 3);
  CHECK_INT(runs_take_dirty(9000, 0), ==, 0);
}

static void the_clock_may_wrap(void) {
  os_fake_set_clock(UINT32_MAX - 100);
  uint32_t at = row(1);
  give_warm(at, 1, MB);
  CHECK_INT(runs_take_dirty(398, 500), ==, 0);
  CHECK_INT(runs_take_dirty(399, 500), ==, at);
}

/* The purger read its clock before another thread, a tick later, freed the run. */
static void what_was_freed_after_the_purger_looked_at_the_clock_is_not_old(void) {
  os_fake_set_clock(5001);
  give_warm(row(1), 1, MB);
  CHECK_INT(runs_take_dirty(5000, 500), ==, 0);
}

static void a_single_span_is_never_cut_from_a_longer_warm_run(void) {
  uint32_t longer = row(3), one = row(1), clean = row(5);
  give_warm(longer, 3, PAGE);
  CHECK_INT(runs_take_single(), ==, 0);
  give_warm(one, 1, PAGE);
  runs_give(clean + 1, 3, true);
  check_run(runs_take_single(), one, 1, false);
  check_run(runs_take_single(), clean + 1, 1, true);
  CHECK_INT(runs_spans(), ==, 5);
}

static void a_reset_forgets_all_runs(void) {
  uint32_t clean = row(6), warm = row(3);
  runs_give(clean, 3, true);
  give_warm(warm, 3, MB);
  runs_reset();
  CHECK_INT(runs_spans(), ==, 0);
  CHECK_INT(runs_take(1, MB, true), ==, 0);
  CHECK_INT(runs_take_dirty(100000, 0), ==, 0);
  for (int i = 0; i < 64; i++) CHECK(give_warm(row(1), 1, MB));
  CHECK_INT(runs_spans(), ==, 64);
}

/* ---- against a model --------------------------------------------------------------------------------------------------- */

enum { FIELD = 300, HANDS = 40 };
static atomic_int holder[FIELD]; /* who has the span: 0 nobody known, else a thread's number */
static uint32_t field;

static void take_hold(uint32_t first, uint32_t count, int from, int to) {
  for (uint32_t i = first - field; i < first - field + count; i++) {
    CHECK_INT(i, <, FIELD);
    CHECK(atomic_compare_exchange_strong(&holder[i], &from, to));
  }
}

static void juggle(unsigned number) {
  rng random = {number};
  uint32_t held[HANDS], count = 0;
  int me = (int)number + 1;
  for (int i = 0; i < 20000; i++) {
    uint32_t want = 1 + (uint32_t)rng_below(&random, 12);
    if (count < HANDS && rng_percent(&random, 55)) {
      uint32_t first = runs_take(want, want * SPAN_BYTES, rng_percent(&random, 20));
      if (first == 0) continue;
      CHECK(span_at(first)->run >= want);
      take_hold(first, span_at(first)->run, 0, me);
      held[count++] = first;
    } else if (count > 0) {
      uint32_t at = (uint32_t)rng_below(&random, count), first = held[at], length = span_at(first)->run;
      held[at] = held[--count];
      take_hold(first, length, me, 0);
      if (rng_percent(&random, 60) || !give_warm(first, length, PAGE)) CHECK(runs_give(first, length, true));
    }
  }
  while (count > 0) {
    uint32_t first = held[--count], length = span_at(first)->run;
    take_hold(first, length, me, 0);
    runs_give(first, length, true);
  }
}

static void every_span_has_one_holder(unsigned threads) {
  field = row(FIELD);
  runs_give(field, FIELD, true);
  unit_threads(threads, juggle);
  CHECK_INT(runs_spans(), ==, FIELD);
  for (uint32_t first; (first = runs_take_dirty(100000, 0)) != 0;) runs_give(first, span_at(first)->run, true);
  check_run(runs_take(FIELD, FIELD * SPAN_BYTES, false), field, FIELD, true); /* all merged again */
}

static void one_thread_against_the_model(void) { every_span_has_one_holder(1); }
static void four_threads_never_hold_the_same_span(void) { every_span_has_one_holder(4); }

UNIT_MAIN(CASE(there_is_nothing_at_first), CASE(a_clean_run_is_cut_to_the_length_asked_for),
          CASE(the_ends_of_a_free_run_say_so), CASE(neighbours_merge_in_any_order), CASE(a_warm_run_does_not_merge),
          CASE(a_warm_run_is_taken_whole), CASE(the_warm_run_nearest_in_dirty_bytes_is_chosen),
          CASE(a_growing_block_gets_the_dirtiest), CASE(far_more_dirty_than_needed_is_left_to_others),
          CASE(a_warm_run_that_is_too_short_is_passed_over), CASE(a_warm_run_comes_before_a_clean_one),
          CASE(the_shortest_clean_run_that_fits_is_cut), CASE(a_run_in_use_is_extended_from_the_front_of_the_next),
          CASE(the_warm_cache_holds_64_runs), CASE(the_warm_cache_holds_256_mb_of_dirty_pages),
          CASE(the_oldest_is_taken_first_to_be_purged_whatever_left_the_cache_between),
          CASE(age_decides_what_is_taken_to_be_purged), CASE(the_clock_may_wrap),
          CASE(what_was_freed_after_the_purger_looked_at_the_clock_is_not_old),
          CASE(a_single_span_is_never_cut_from_a_longer_warm_run), CASE(a_reset_forgets_all_runs),
          CASE(one_thread_against_the_model), CASE(four_threads_never_hold_the_same_span))
