/* test_purge.c - the pages of empty spans go back after the delay, all of them, and never before. */
#include "unit.h"

#include "large.h"
#include "pool.h"
#include "purge.h"
#include "runs.h"

enum { START = 10000, DELAY = 500 };

static void begin(long delay) {
  CHECK(scalloc_option_set("SCALLOC_PURGE_DELAY_MS", delay));
  os_fake_set_clock(START);
  unit_arena((size_t)1 << 30);
}

/* An empty span with `dirty` bytes of pages, in nobody's hands. */
static span *dirty_span(uint32_t dirty) {
  uint32_t index = arena_take(1);
  CHECK(index != 0);
  span *s = span_at(index);
  memset(span_start(s), 0xa5, dirty);
  s->dirty = dirty;
  s->word = unit_word(1, SPAN_FREE, 0, 0);
  return s;
}

static bool is_zero(const span *s, size_t bytes) { return all_bytes(span_start(s), bytes, 0); }

static void tick_at(uint32_t ms) {
  os_fake_set_clock(START + ms);
  purge_tick();
}

static void nothing_goes_back_before_the_delay(void) {
  begin(DELAY);
  purge_tick();
  span *s = dirty_span(PAGE);
  pool_put(s, 0);
  for (uint32_t ms = 0; ms < DELAY; ms++) tick_at(ms);
  CHECK_INT(os_fake_calls(OS_PURGE), ==, 0);
  CHECK(!is_zero(s, PAGE));
}

static void everything_goes_back_after_it(void) {
  begin(DELAY);
  purge_tick();
  span *spans[20], *warm;
  bool zeroed;
  for (unsigned i = 0; i < 20; i++) pool_put(spans[i] = dirty_span((uint32_t)PAGE << i % 10), i);
  warm = large_take(3 * MB, 1, false, &zeroed);
  memset(span_start(warm), 0xa5, 3 * MB);
  large_release(warm);
  for (uint32_t ms = 0; ms <= DELAY + DELAY / 8 + 1; ms++) tick_at(ms);
  CHECK_INT(os_fake_calls(OS_PURGE), ==, 21);
  CHECK_INT(purge_count(), ==, 21);
  CHECK_INT(os_fake_bytes(OS_PURGE), ==, 22 * SPAN_BYTES); /* whole ranges: page tables too */
  for (unsigned i = 0; i < 20; i++) CHECK(is_zero(spans[i], (size_t)PAGE << i % 10));
  CHECK(is_zero(warm, 3 * MB));
}

static void a_tick_looks_eight_times_in_a_delay(void) {
  begin(DELAY);
  purge_tick();
  unsigned looks = 0;
  for (uint32_t ms = 0; ms < 10 * DELAY; ms++) {
    os_fake_set_clock(START + ms);
    span *s = pool_take(0, PAGE);
    if (s == NULL) s = dirty_span(PAGE);
    s->dirty = PAGE;
    pool_put(s, 0);
    s->stamp = START + ms - 2 * DELAY; /* old at any look */
    long before = os_fake_calls(OS_PURGE);
    purge_tick();
    looks += os_fake_calls(OS_PURGE) > before;
  }
  CHECK_INT(looks, >=, 70);
  CHECK_INT(looks, <=, 80);
}

static void young_spans_stay_in_their_order(void) {
  begin(DELAY);
  purge_tick();
  span *spans[6];
  for (unsigned i = 0; i < 6; i++) {
    os_fake_set_clock(START + 100 * i);
    pool_put(spans[i] = dirty_span(PAGE), 0);
  }
  tick_at(DELAY + 250); /* the first three are old */
  CHECK_INT(os_fake_calls(OS_PURGE), ==, 3);
  for (unsigned i = 5; i >= 3; i--) CHECK(pool_take_dirty(0, PAGE) == spans[i]);
  CHECK(pool_take_dirty(0, PAGE) == NULL);
  for (unsigned i = 0; i < 3; i++) CHECK(pool_take(0, PAGE) != NULL);
}

static void delay_0_is_at_once(void) {
  begin(0);
  for (int i = 0; i < 5; i++) {
    span *s = dirty_span(3 * PAGE);
    pool_put(s, 0);
    purge_tick();
    CHECK_INT(os_fake_calls(OS_PURGE), ==, i + 1);
    CHECK(is_zero(s, 3 * PAGE));
  }
}

static void delay_minus_1_is_never(void) {
  begin(-1);
  span *s = dirty_span(PAGE);
  pool_put(s, 0);
  for (uint32_t ms = 0; ms < 100000000; ms += 999983) tick_at(ms);
  CHECK_INT(os_fake_calls(OS_PURGE), ==, 0);
  CHECK_INT(purge_all(), ==, PAGE); /* but when asked */
  CHECK(is_zero(s, PAGE));
}

static void purge_all_tells_the_bytes_of_spans_and_runs(void) {
  bool zeroed;
  begin(DELAY);
  pool_put(dirty_span(PAGE), 0);
  pool_put(dirty_span(10 * PAGE), 1);
  large_release(large_take(3 * MB, 1, false, &zeroed));
  CHECK_INT(purge_all(), ==, 11 * PAGE + 3 * MB);
  CHECK_INT(purge_all(), ==, 0);
}

static void a_purged_span_is_no_longer_charged(void) {
  CHECK(scalloc_option_set("SCALLOC_LIMIT_BYTES", 16 << 20));
  begin(DELAY);
  span *s = dirty_span(PAGE);
  CHECK(arena_charge(65536));
  s->charged = 65536;
  pool_put(s, 0);
  CHECK_INT(unit_charge_left(), ==, 16 * MB - 65536);
  purge_all();
  CHECK_INT(unit_charge_left(), ==, 16 * MB);
  CHECK_INT(s->charged, ==, 0);
}

static void a_refused_purge_leaves_the_span_as_it_was(void) {
  size_t dirty;
  begin(DELAY);
  span *s = dirty_span(PAGE), *other = dirty_span(2 * PAGE);
  pool_put(s, 0);
  pool_put(other, 0);
  os_fake_refuse(OS_PURGE, 1, true);
  CHECK_INT(purge_all(), ==, 0);
  CHECK_INT(os_fake_refused(OS_PURGE), ==, 2);
  CHECK_INT(purge_count(), ==, 0);
  CHECK_INT(pool_count(&dirty), ==, 2);
  CHECK_INT(dirty, ==, 3 * PAGE);
  CHECK(all_bytes(span_start(s), PAGE, (unsigned char)0xa5));
  os_fake_refuse(OS_PURGE, 0, false);
  CHECK_INT(purge_all(), ==, 3 * PAGE);
  CHECK_INT(pool_count(&dirty), ==, 2);
  CHECK_INT(dirty, ==, 0);
}

static void refuse_the_next(void *context) {
  (void)context;
  os_fake_refuse(OS_PURGE, 1, false);
}

static void also_between_others_that_are_purged(void) {
  size_t dirty;
  span *spans[3];
  begin(DELAY);
  for (unsigned i = 0; i < 3; i++) pool_put(spans[i] = dirty_span(PAGE), 0);
  os_fake_refuse(OS_PURGE, 1, false);
  os_fake_hook(OS_PURGE, 2, refuse_the_next, NULL);
  CHECK_INT(purge_all(), ==, PAGE);
  CHECK_INT(os_fake_refused(OS_PURGE), ==, 2);
  CHECK_INT(pool_count(&dirty), ==, 3);
  CHECK_INT(dirty, ==, 2 * PAGE);
  for (unsigned i = 0; i < 3; i++) CHECK(pool_take(0, PAGE) != NULL);
}

static void a_refused_purge_leaves_the_warm_run_as_it_was(void) {
  bool zeroed;
  begin(DELAY);
  span *s = large_take(5 * MB, 1, false, &zeroed);
  memset(span_start(s), 0xa5, 5 * MB);
  large_release(s);
  os_fake_refuse(OS_PURGE, 1, true);
  CHECK_INT(purge_all(), ==, 0);
  check_heap();
  CHECK(large_take(5 * MB, 1, false, &zeroed) == s);
  CHECK(!zeroed);
}

/* While one thread purges, which takes time, others go on: what they free is young, whatever their clocks say. */
static void free_another(void *context) {
  os_fake_advance_clock(3);
  pool_put(context, 1);
}

static void what_is_freed_during_a_purge_stays(void) {
  begin(DELAY);
  purge_tick();
  span *old = dirty_span(PAGE), *young = dirty_span(PAGE);
  pool_put(old, 0);
  os_fake_hook(OS_PURGE, 1, free_another, young);
  tick_at(2 * DELAY);
  CHECK(is_zero(old, PAGE));
  CHECK(!is_zero(young, PAGE));
}

static void take_from_the_pool(void *context) { *(span **)context = pool_take(0, PAGE); }

static void a_span_that_is_being_purged_is_in_no_other_hands(void) {
  span *got = NULL;
  begin(DELAY);
  pool_put(dirty_span(PAGE), 0);
  os_fake_hook(OS_PURGE, 1, take_from_the_pool, &got);
  CHECK_INT(purge_all(), ==, PAGE);
  CHECK(got == NULL);
  CHECK(pool_take(0, PAGE) != NULL);
}

static void the_pool_turns_into_runs(void) {
  size_t dirty;
  begin(DELAY);
  span *first = NULL;
  for (unsigned i = 0; i < 8; i++) {
    span *s = dirty_span(PAGE);
    if (i == 0) first = s;
    pool_put(s, i);
  }
  purge_pool_into_runs();
  CHECK_INT(pool_count(&dirty), ==, 0);
  CHECK_INT(runs_spans(), ==, 8);
  CHECK_INT(runs_take(8, 16 * MB, false), ==, span_index(first));
  CHECK_INT(first->run_clean, ==, 1);
}

static void spans_whose_pages_the_os_keeps_do_not_become_clean_runs(void) {
  begin(DELAY);
  for (unsigned i = 0; i < 8; i++) {
    span *s = dirty_span(PAGE);
    s->spare = i % 2 ? span_start(s) : NULL; /* what its last heap left in the slot */
    pool_put(s, i);
  }
  os_fake_refuse(OS_PURGE, 1, true);
  purge_pool_into_runs();
  check_heap();
  for (uint32_t at; (at = runs_take(1, PAGE, false)) != 0;) CHECK(!span_at(at)->run_clean || is_zero(span_at(at), PAGE));
}

UNIT_MAIN(CASE(nothing_goes_back_before_the_delay), CASE(everything_goes_back_after_it),
          CASE(a_tick_looks_eight_times_in_a_delay), CASE(young_spans_stay_in_their_order), CASE(delay_0_is_at_once),
          CASE(delay_minus_1_is_never), CASE(purge_all_tells_the_bytes_of_spans_and_runs),
          CASE(a_purged_span_is_no_longer_charged), CASE(a_refused_purge_leaves_the_span_as_it_was),
          CASE(also_between_others_that_are_purged), CASE(a_refused_purge_leaves_the_warm_run_as_it_was),
          CASE(what_is_freed_during_a_purge_stays), CASE(a_span_that_is_being_purged_is_in_no_other_hands),
          CASE(the_pool_turns_into_runs), CASE(spans_whose_pages_the_os_keeps_do_not_become_clean_runs))
