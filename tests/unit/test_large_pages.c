/* test_large_pages.c - the pages of blocks above 1 MB: what they are charged for, when they go back, whether they are zero. */
#include "large_take.h"
#include "pool.h"

#include "purge.h"
#include "runs.h"

/* ---- the limit --------------------------------------------------------------------------------------------------------- */

static void a_block_is_charged_for_its_pages(void) {
  limited(32 * MB);
  span *s = take(3 * MB + 1, 1);
  CHECK_INT(unit_charge_left(), ==, 29 * MB - PAGE);
  CHECK(large_resize(s, 10 * MB));
  CHECK_INT(unit_charge_left(), ==, 22 * MB);
  CHECK(large_resize(s, 2 * MB));
  CHECK_INT(unit_charge_left(), ==, 30 * MB);
  large_release(s); /* warm: still backed */
  CHECK_INT(unit_charge_left(), ==, 30 * MB);
  purge_all();
  CHECK_INT(unit_charge_left(), ==, 32 * MB);
}

static void beyond_the_limit_is_refused_and_nothing_stays_charged(void) {
  bool zeroed;
  limited(16 * MB);
  span *s = take(10 * MB, 1);
  CHECK(large_take(6 * MB + 1, 1, false, &zeroed) == NULL);
  CHECK_INT(unit_charge_left(), ==, 6 * MB);
  CHECK(!large_resize(s, 17 * MB));
  CHECK_INT(s->large_bytes, ==, 10 * MB);
  CHECK_INT(unit_charge_left(), ==, 6 * MB);
  take(6 * MB, 1);
  check_heap();
}

static void a_growth_without_room_charges_nothing(void) {
  limited(32 * MB);
  span *s = take(4 * MB, 1);
  take(4 * MB, 1);
  CHECK(!large_resize(s, 7 * MB)); /* the neighbour is in the way */
  CHECK_INT(unit_charge_left(), ==, 24 * MB);
}

static void a_block_refused_by_the_limit_has_no_dirty_pages(void) {
  bool zeroed;
  limited(16 * MB);
  take(2 * MB, 1);
  CHECK(large_take(20 * MB, 1, false, &zeroed) == NULL);
  CHECK_INT(stats_now().committed, ==, 2 * MB);
}

static void the_warm_cache_makes_room_before_a_refusal(void) {
  limited(16 * MB);
  large_release(take(12 * MB, 1));
  CHECK_INT(unit_charge_left(), ==, 4 * MB);
  take(16 * MB, 1);
  CHECK_INT(unit_charge_left(), ==, 0);
}

/* ---- purges ------------------------------------------------------------------------------------------------------------ */

static void a_fresh_run_and_a_purged_one_are_zero_a_warm_one_is_not_said_to_be(void) {
  bool zeroed;
  small_arena();
  span *s = large_take(8 * MB, 1, false, &zeroed);
  CHECK(zeroed);
  check_zero_if_said(s, zeroed);
  large_release(s);
  CHECK(large_take(8 * MB, 1, false, &zeroed) == s);
  CHECK(!zeroed);
  large_release(s);
  purge_all();
  CHECK(large_take(8 * MB, 1, false, &zeroed) == s);
  CHECK(zeroed);
  check_zero_if_said(s, zeroed);
}

static void a_run_too_big_for_the_warm_cache_is_purged_at_once(void) {
  unit_arena((size_t)1 << 30);
  large_release(take(257 * MB, 1));
  CHECK_INT(os_fake_calls(OS_PURGE), ==, 1);
  CHECK_INT(os_fake_bytes(OS_PURGE), ==, 258 * MB);
  CHECK_INT(runs_spans(), ==, 129);
}

static void the_oldest_run_makes_room_in_the_warm_cache(void) {
  unit_arena((size_t)1 << 30);
  span *a = take(101 * MB, 1), *b = take(99 * MB, 1), *c = take(90 * MB, 1);
  large_release(a);
  large_release(b);
  CHECK_INT(os_fake_calls(OS_PURGE), ==, 0);
  large_release(c); /* 290 MB */
  CHECK_INT(os_fake_calls(OS_PURGE), ==, 1);
  CHECK_INT(os_fake_bytes(OS_PURGE), ==, 102 * MB);
  CHECK_INT(stats_now().committed, ==, 189 * MB);
  CHECK(take(90 * MB, 1) == c);
  CHECK(take(99 * MB, 1) == b);
  check_heap();
}

/* As many runs as the cache holds, and one more: the OS keeps the pages of the oldest, whose spans are the pool's now. */
static void one_that_the_os_keeps_makes_room_too(void) {
  span *held[65];
  unit_arena((size_t)1 << 30);
  for (int i = 0; i < 65; i++) held[i] = take(3 * MB, 1);
  for (int i = 0; i < 64; i++) large_release(held[i]);
  os_fake_refuse(OS_PURGE, 1, false);
  large_release(held[64]);
  size_t dirty;
  CHECK_INT(pool_count(&dirty), ==, 2);
  CHECK_INT(dirty, ==, 3 * MB);
  CHECK_INT(runs_spans(), ==, 128);
  check_heap();
}

/* A block of 300 MB, too much for the warm cache, given back while the OS keeps its pages. */
static void release_300_mb_in_vain(void) {
  CHECK(scalloc_option_set("SCALLOC_LIMIT_BYTES", 600 << 20));
  unit_arena((size_t)768 << 20);
  span *s = take(300 * MB, 1);
  memset(span_start(s), 0xa5, 300 * MB);
  os_fake_refuse(OS_PURGE, 1, true);
  large_release(s);
  check_heap();
}

static void if_the_os_keeps_the_pages_the_run_becomes_spans_of_the_pool(void) {
  bool zeroed;
  release_300_mb_in_vain();
  CHECK_INT(stats_now().committed, ==, 300 * MB);
  os_fake_refuse(OS_PURGE, 0, false);
  for (int i = 0; i < 2; i++) {
    span *s = large_take(240 * MB, 1, false, &zeroed);
    CHECK(s != NULL); /* the second one out of the pool's spans */
    check_zero_if_said(s, zeroed);
  }
  check_heap();
}

static void pages_the_os_keeps_stay_charged(void) {
  release_300_mb_in_vain();
  CHECK_INT(unit_charge_left(), ==, 300 * MB);
  os_fake_refuse(OS_PURGE, 0, false);
  purge_all();
  CHECK_INT(unit_charge_left(), ==, 600 * MB);
}

static void so_do_pages_that_are_never_purged(void) {
  span *held[70];
  CHECK(scalloc_option_set("SCALLOC_LIMIT_BYTES", 200 << 20));
  CHECK(scalloc_option_set("SCALLOC_PURGE_DELAY_MS", -1));
  unit_arena((size_t)1 << 30);
  for (unsigned i = 0; i < 70; i++) held[i] = take(2 * MB, 1);
  for (unsigned i = 0; i < 70; i++) large_release(held[i]); /* 64 of them warm */
  CHECK_INT(os_fake_calls(OS_PURGE), ==, 0);
  CHECK_INT(unit_charge_left(), ==, 60 * MB);
}

static void a_purged_run_has_no_dirty_pages(void) {
  small_arena();
  large_release(take(12 * MB, 1));
  purge_all();
  CHECK_INT(take(3 * MB, 1)->run_dirty, ==, 3 * MB);
  CHECK_INT(stats_now().committed, ==, 3 * MB);
}

/* While this thread's purge is refused others fill the warm cache: the run has to go somewhere. */
static void fill_the_warm_cache(void *context) {
  span **held = context;
  for (int i = 0; i < 64; i++) large_release(held[i]);
}

static void a_refused_purge_and_a_full_warm_cache_lose_nothing(void) {
  span *held[64];
  unit_arena((size_t)1 << 30);
  span *s = take(20 * MB, 1);
  for (int i = 0; i < 64; i++) held[i] = take(1 * MB + 1, 1);
  large_release(s);
  os_fake_hook(OS_PURGE, 1, fill_the_warm_cache, held);
  os_fake_refuse(OS_PURGE, 1, false);
  purge_all();
  check_heap();
}

static void nor_for_an_aligned_block(void) {
  span *held[64];
  bool zeroed;
  unit_arena((size_t)1 << 30);
  span *s = take(40 * MB, 1);
  for (int i = 0; i < 64; i++) held[i] = take(1 * MB + 1, 1);
  s->run_dirty = 4 * MB; /* near enough to what is needed */
  large_release(s);
  os_fake_hook(OS_PURGE, 1, fill_the_warm_cache, held);
  os_fake_refuse(OS_PURGE, 1, false);
  large_take(4 * MB, 16 * MB, false, &zeroed);
  check_heap();
}

static void contents_are_zero_whenever_they_are_said_to_be(void) {
  enum { HELD = 12 };
  span *held[HELD] = {0};
  rng random = {1};
  CHECK(scalloc_option_set("SCALLOC_PURGE_DELAY_MS", 20));
  unit_arena(128 * MB);
  for (int i = 0; i < 1500; i++) {
    size_t at = rng_below(&random, HELD), size = MB + rng_below(&random, 12 * MB);
    size_t alignment = rng_percent(&random, 20) ? 4 * MB << rng_below(&random, 3) : 1;
    bool zeroed;
    os_fake_advance_clock((uint32_t)rng_below(&random, 12));
    os_fake_refuse(OS_PURGE, (long)rng_below(&random, 4), false);
    if (held[at] && rng_percent(&random, 30)) {
      if (large_resize(held[at], size)) memset(span_start(held[at]), 0xa5, held[at]->large_bytes);
      continue;
    }
    if (held[at]) large_release(held[at]);
    held[at] = large_take(size, alignment, rng_percent(&random, 20), &zeroed);
    if (held[at]) check_zero_if_said(held[at], zeroed);
    check_heap();
  }
}

UNIT_MAIN(CASE(a_block_is_charged_for_its_pages), CASE(beyond_the_limit_is_refused_and_nothing_stays_charged),
          CASE(a_growth_without_room_charges_nothing), CASE(a_block_refused_by_the_limit_has_no_dirty_pages),
          CASE(the_warm_cache_makes_room_before_a_refusal),
          CASE(a_fresh_run_and_a_purged_one_are_zero_a_warm_one_is_not_said_to_be),
          CASE(a_run_too_big_for_the_warm_cache_is_purged_at_once), CASE(the_oldest_run_makes_room_in_the_warm_cache),
          CASE(one_that_the_os_keeps_makes_room_too), CASE(if_the_os_keeps_the_pages_the_run_becomes_spans_of_the_pool),
          CASE(pages_the_os_keeps_stay_charged), CASE(so_do_pages_that_are_never_purged), CASE(a_purged_run_has_no_dirty_pages),
          CASE(a_refused_purge_and_a_full_warm_cache_lose_nothing), CASE(nor_for_an_aligned_block),
          CASE(contents_are_zero_whenever_they_are_said_to_be))
