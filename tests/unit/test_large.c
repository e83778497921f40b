/* test_large.c - blocks above 1 MB: runs of spans, charged by the page, that grow and shrink where they are. */
#include "large_take.h"

#include "purge.h"
#include "runs.h"

/* ---- sizes ------------------------------------------------------------------------------------------------------------- */

static void a_block_is_whole_pages_in_whole_spans(void) {
  static const size_t sizes[] = {1 * MB + 1, 2 * MB - 1, 2 * MB, 2 * MB + 1, 4 * MB, 5 * MB - 4097, 100 * MB + 123};
  unit_arena((size_t)1 << 30);
  for (size_t i = 0; i < LENGTH(sizes); i++) {
    span *s = take(sizes[i], 1);
    CHECK_INT(s->run, ==, (sizes[i] + SPAN_BYTES - 1) >> SPAN_SHIFT);
    fill(span_start(s), s->large_bytes);
    CHECK(intact(span_start(s), s->large_bytes));
  }
  check_heap();
}

static void more_than_the_arena_is_refused(void) {
  bool zeroed;
  small_arena();
  CHECK(large_take(64 * MB, 1, false, &zeroed) == NULL); /* span 0 is never used */
  CHECK(large_take(65 * MB, 1, false, &zeroed) == NULL);
  CHECK(large_take(PTRDIFF_MAX, 1, false, &zeroed) == NULL);
  take(62 * MB, 1);
}

static void every_span_of_a_block_leads_to_its_head(void) {
  small_arena();
  span *a = take(9 * MB, 1), *b = take(4 * MB, 1);
  for (uint32_t i = 1; i < 5; i++) CHECK(large_head(a + i) == a);
  CHECK(large_head(b + 1) == b);
  CHECK(large_head(a) == NULL);
  CHECK(large_resize(a, 2 * MB));
  CHECK_INT(a->run, ==, 1);
  for (uint32_t i = 1; i < 5; i++) CHECK(large_head(a + i) == NULL); /* whatever is left behind there */
  large_release(b);
  CHECK(large_head(b + 1) == NULL);
}

static void so_does_every_span_of_a_very_long_one(void) {
  CHECK(arena_init());
  take(3 * MB, 1);
  uint32_t length = 3 * 4096 + 77;
  span *s = take(length * SPAN_BYTES, 1), *behind = take(3 * MB, 1);
  for (uint32_t i = 1; i < length; i++) CHECK(large_head(s + i) == s);
  CHECK(large_head(s - 1) == s - 2);
  CHECK(large_head(behind) == NULL);
  CHECK(large_head(behind + 1) == behind);
  check_heap();
  CHECK(large_resize(s, (length + 5000) * SPAN_BYTES) == false); /* another block lies behind it */
  CHECK(large_resize(behind, 20000 * SPAN_BYTES));
  for (uint32_t i = 1; i < 20000; i++) CHECK(large_head(behind + i) == behind);
  check_heap();
}

static void headroom_costs_address_space_only(void) {
  bool zeroed;
  CHECK(scalloc_option_set("SCALLOC_LIMIT_BYTES", 64 << 20));
  unit_arena((size_t)1 << 40);
  span *s = large_take(3 * MB, 1, true, &zeroed);
  CHECK_INT(s->run, ==, 8);
  CHECK_INT(unit_charge_left(), ==, 61 * MB);
  CHECK(large_resize(s, 16 * MB));
  CHECK_INT(s->run, ==, 8);
  CHECK(!large_resize(s, 65 * MB));
}

/* ---- alignment --------------------------------------------------------------------------------------------------------- */

static void alignments_up_to_64_mb(void) {
  unit_arena((size_t)1 << 30);
  for (size_t alignment = 4096; alignment <= 64 * MB; alignment *= 2)
    for (int k = 0; k < 3; k++) {
      span *s = take(1 * MB + 1 + (size_t)k * 3 * MB, alignment);
      CHECK_INT((uintptr_t)span_start(s) % alignment, ==, 0);
      memset(span_start(s), 1, s->large_bytes);
    }
  check_heap();
}

static void what_an_aligned_block_leaves_is_free(void) {
  unit_arena((size_t)1 << 30);
  take(2 * MB, 1);
  span *s = take(4 * MB, 32 * MB);
  uint32_t all = arena_high_water() - 2; /* behind index 0 and the first block */
  CHECK_INT(s->run, ==, 2);
  CHECK_INT(runs_spans(), ==, all - 2);
  check_heap();
}

static void an_aligned_block_may_come_from_a_warm_run(void) {
  unit_arena((size_t)1 << 30);
  span *warm = take(40 * MB, 1);
  memset(span_start(warm), 0xa5, 3 * MB);
  memset(span_start(warm) + 30 * MB, 0xa5, 8 * MB);
  warm->run_dirty = 4 * MB; /* as after a shrink whose purge was refused: near enough to what is needed */
  large_release(warm);
  bool zeroed;
  span *s = large_take(4 * MB, 16 * MB, false, &zeroed);
  CHECK_INT((uintptr_t)span_start(s) % (16 * MB), ==, 0);
  check_zero_if_said(s, zeroed);
  check_heap();
}

static void an_impossible_alignment_is_refused(void) {
  bool zeroed;
  small_arena();
  CHECK(large_take(2 * MB, 64 * MB, false, &zeroed) == NULL);
  CHECK(large_take(2 * MB, (size_t)1 << 62, false, &zeroed) == NULL);
  CHECK_INT(span_state_now(take(62 * MB, 1)), ==, SPAN_LARGE);
}

/* ---- resizing ---------------------------------------------------------------------------------------------------------- */

static void a_block_grows_within_its_last_span(void) {
  small_arena();
  span *s = take(2 * MB + 1, 1);
  CHECK(large_resize(s, 4 * MB));
  CHECK_INT(s->run, ==, 2);
  CHECK_INT(s->large_bytes, ==, 4 * MB);
}

static void a_block_grows_at_the_frontier(void) {
  small_arena();
  span *s = take(3 * MB, 1);
  fill(span_start(s), 3 * MB);
  CHECK(large_resize(s, 40 * MB));
  CHECK_INT(s->run, ==, 20);
  CHECK(intact(span_start(s), 3 * MB));
  memset(span_start(s) + 3 * MB, 1, 37 * MB);
  CHECK(large_head(s + 19) == s);
  CHECK(!large_resize(s, 63 * MB)); /* the arena ends there */
  CHECK_INT(s->large_bytes, ==, 40 * MB);
  check_heap();
}

static void a_block_grows_into_a_free_run_behind_it(void) {
  small_arena();
  span *s = take(4 * MB, 1), *behind = take(6 * MB, 1);
  take(2 * MB, 1);
  large_release(behind);
  CHECK(!large_resize(s, 6 * MB)); /* warm: its pages belong to it */
  purge_all();
  CHECK(large_resize(s, 8 * MB));
  CHECK_INT(s->run, ==, 4);
  CHECK_INT(runs_spans(), ==, 1);
  CHECK(!large_resize(s, 11 * MB));
  CHECK(large_resize(s, 10 * MB));
  CHECK_INT(runs_spans(), ==, 0);
  CHECK(!large_resize(s, 12 * MB));
  check_heap();
}

static void a_block_that_shrinks_gives_its_spans_back(void) {
  small_arena();
  span *s = take(20 * MB, 1);
  memset(span_start(s), 0xa5, 20 * MB);
  CHECK(large_resize(s, 3 * MB));
  CHECK_INT(s->run, ==, 2);
  CHECK_INT(s->large_bytes, ==, 3 * MB);
  CHECK_INT(runs_spans(), ==, 8);
  CHECK(all_bytes(span_start(s), 3 * MB, (unsigned char)0xa5));
  bool zeroed;
  span *other = large_take(16 * MB, 1, false, &zeroed);
  CHECK(other == s + 2);
  check_zero_if_said(other, zeroed);
  check_heap();
}

static void a_block_that_shrinks_a_little_keeps_its_spans(void) {
  small_arena();
  span *s = take(20 * MB, 1);
  memset(span_start(s), 0xa5, 20 * MB);
  CHECK(large_resize(s, 12 * MB));
  CHECK_INT(s->run, ==, 10);
  CHECK_INT(os_fake_bytes(OS_PURGE), ==, 8 * MB); /* but not their pages */
  CHECK_INT(s->run_dirty, ==, 12 * MB);
  CHECK(large_resize(s, 20 * MB));
}

static void a_purge_refused_at_a_shrink_is_remembered(void) {
  small_arena();
  for (long refused = 1; refused <= 3; refused++) {
    span *s = take(20 * MB, 1);
    memset(span_start(s), 0xa5, 20 * MB);
    os_fake_refuse(OS_PURGE, refused == 3 ? 1 : refused, refused == 3);
    CHECK(large_resize(s, 3 * MB));
    os_fake_refuse(OS_PURGE, 0, false);
    CHECK_INT(s->run_dirty, <=, (size_t)s->run << SPAN_SHIFT); /* no more than the run can have */
    CHECK_INT(s->run_dirty, >=, 3 * MB);
    check_heap();
    large_release(s);
    for (int i = 0; i < 3; i++) {
      bool zeroed;
      span *t = large_take((size_t)(i + 1) * 4 * MB, 1, false, &zeroed);
      check_zero_if_said(t, zeroed);
    }
    for (uint32_t i = 1; i < arena_high_water(); i++)
      if (span_state_now(span_at(i)) == SPAN_LARGE) large_release(span_at(i));
    purge_all();
  }
}

UNIT_MAIN(CASE(a_block_is_whole_pages_in_whole_spans), CASE(more_than_the_arena_is_refused),
          CASE(every_span_of_a_block_leads_to_its_head), CASE(so_does_every_span_of_a_very_long_one),
          CASE(headroom_costs_address_space_only), CASE(alignments_up_to_64_mb), CASE(what_an_aligned_block_leaves_is_free),
          CASE(an_aligned_block_may_come_from_a_warm_run), CASE(an_impossible_alignment_is_refused),
          CASE(a_block_grows_within_its_last_span), CASE(a_block_grows_at_the_frontier),
          CASE(a_block_grows_into_a_free_run_behind_it), CASE(a_block_that_shrinks_gives_its_spans_back),
          CASE(a_block_that_shrinks_a_little_keeps_its_spans), CASE(a_purge_refused_at_a_shrink_is_remembered))
