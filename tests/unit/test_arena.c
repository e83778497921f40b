/* test_arena.c - the reservation and its ladder, fresh spans, opening in steps, metadata, the limit. */
#include "unit.h"

#include <stdatomic.h>

#include "options.h"
#include "signpost.h"

#define SPANS(bytes) ((bytes) >> SPAN_SHIFT)
#define MOST (UNDER_TSAN ? ARENA_BYTES_TSAN : ARENA_BYTES_MAX)

/* ---- the ladder -------------------------------------------------------------------------------------------------------- */

static void the_arena_is_32_tb_where_nothing_limits_it(void) {
  CHECK(arena_init());
  CHECK_INT(arena.spans, ==, SPANS(MOST));
  CHECK_INT(arena.base % SPAN_BYTES, ==, 0);
  CHECK_INT(os_fake_calls(OS_RESERVE), ==, 1);
  CHECK_INT(os_fake_calls(OS_OPEN), ==, 0);
  CHECK_INT(arena_high_water(), ==, 1); /* index 0 is never handed out */
}

/* Its first slot leads other processes to it, from the first span on; its second line is that of a span never used. */
static void slot_0_is_the_signpost(void) {
  CHECK(arena_init());
  CHECK(arena_take(1) != 0);
  const signpost *sign = (const signpost *)(const void *)arena.table;
  CHECK_INT(sign->magic, ==, SIGNPOST_MAGIC);
  CHECK(memcmp((const void *)sign, "scalloc1", 8) == 0);
  CHECK_INT(sign->self, ==, (word_t)sign);
  CHECK_INT(sign->arena, ==, (word_t)&arena);
  CHECK_INT(sign->limit, ==, options.limit_bytes);
  CHECK_INT(span_state_now(span_at(0)), ==, SPAN_FREE);
  CHECK_INT(span_at(0)->owner, ==, 0);
  CHECK_INT(span_at(0)->run, ==, 0);
}

static void refuse_first(long refusals) {
  os_fake_refuse_range(OS_RESERVE, 1, refusals);
  CHECK(arena_init());
  CHECK_INT(arena.spans, ==, SPANS(MOST >> refusals));
  CHECK_INT(os_fake_calls(OS_RESERVE), ==, refusals + 1);
  CHECK(arena_take(1) != 0);
}

static void each_refusal_halves_it(void) { unit_each(refuse_first, 0, UNDER_TSAN ? 13 : 20); }

static void down_to_64_mb_and_no_further(void) {
  os_fake_refuse(OS_RESERVE, 1, true);
  errno = 0;
  CHECK(!arena_init());
  CHECK_INT(errno, ==, ENOMEM);
  CHECK_INT(os_fake_calls(OS_RESERVE), ==, UNDER_TSAN ? 13 : 20); /* 2^45 .. 2^26 */
  CHECK_INT(arena_take(1), ==, 0);
}

static void after_a_total_refusal_a_later_attempt_may_succeed(void) {
  os_fake_refuse(OS_RESERVE, 1, true);
  for (int i = 0; i < 3; i++) {
    errno = 0;
    CHECK(scalloc_malloc(1) == NULL);
    CHECK_INT(errno, ==, ENOMEM);
    CHECK(scalloc_heap_new() == NULL);
  }
  os_fake_refuse(OS_RESERVE, 0, false);
  CHECK(scalloc_malloc(1) != NULL);
  check_heap();
}

static void ask_for(long number) {
  static const struct {
    long bytes;
    size_t spans;
  } asked[] = {
      {1, 32},
      {64 << 20, 32},
      {(64 << 20) + 1, 32},
      {100 << 20, 50},
      {101 << 20, 50},
      {(long)1 << 40, 1 << 19},
      {(long)1 << 45, 1 << 24},
      {(long)1 << 50, 1 << 24},
      {0x7fffffffffffffff, 1 << 24},
  };
  if (number >= (long)LENGTH(asked)) return;
  unit_arena((size_t)asked[number].bytes);
  CHECK_INT(arena.spans, ==, asked[number].spans < SPANS(MOST) ? asked[number].spans : SPANS(MOST));
}

static void the_option_is_an_upper_bound_within_64_mb_and_32_tb(void) { unit_each(ask_for, 0, 9); }

static void leave_address_space(long gb) {
  size_t left = (size_t)gb << 30, bytes;
  os_fake_set_address_space(left);
  CHECK(arena_init());
  bytes = (size_t)arena.spans << SPAN_SHIFT;
  CHECK_INT(bytes, <=, left / 2);
  CHECK_INT(bytes, >, left / 4 - SPAN_BYTES);
}

static void it_takes_at_most_half_of_the_address_space_left(void) { unit_each(leave_address_space, 1, 40); }

static void but_64_mb_are_tried_whatever_is_left(void) {
  os_fake_set_address_space(1 * MB);
  CHECK(arena_init());
  CHECK_INT(arena.spans, ==, 32);
}

static void under_valgrind_it_is_64_gb(void) {
  os_fake_set_valgrind(true);
  CHECK(arena_init());
  CHECK_INT(arena.spans, ==, SPANS(ARENA_BYTES_VALGRIND));
}

static void init_each(unsigned number) {
  (void)number;
  CHECK(arena_init());
  CHECK_INT(arena_high_water(), >=, 1);
}

static void many_threads_make_one_reservation(void) {
  unit_threads(16, init_each);
  CHECK_INT(os_fake_calls(OS_RESERVE), ==, 1);
}

/* ---- spans ------------------------------------------------------------------------------------------------------------- */

static void fresh_spans_are_zero_writable_and_in_a_row(void) {
  unit_arena((size_t)1 << 30);
  CHECK_INT(arena_take(1), ==, 1);
  CHECK_INT(arena_take(7), ==, 2);
  CHECK_INT(arena_take(1), ==, 9);
  CHECK_INT(arena_high_water(), ==, 10);
  for (uint32_t i = 1; i < 10; i++) {
    CHECK_INT(span_state_now(span_at(i)), ==, SPAN_FREE);
    CHECK(all_bytes(arena_span_start(i), SPAN_BYTES, 0));
    memset(arena_span_start(i), 1, SPAN_BYTES);
    CHECK(span_of(arena_span_start(i)) == span_at(i));
    CHECK(span_of(arena_span_start(i) + SPAN_BYTES - 1) == span_at(i));
  }
}

static void addresses_outside_belong_to_no_span(void) {
  int local = 0;
  CHECK(span_of(&local) == NULL);
  unit_arena((size_t)1 << 30);
  CHECK(span_of(NULL) == NULL);
  CHECK(span_of(&local) == NULL);
  CHECK(span_of((char *)arena.base - 1) == NULL);
  CHECK(span_of((char *)arena.base) == NULL); /* nothing opened yet */
  arena_take(1);
  CHECK(span_of((char *)arena.base + arena.opened - 1) != NULL);
  CHECK(span_of((char *)arena.base + arena.opened) == NULL);
}

static void an_arena_of_64_mb_has_31_spans_to_give(void) {
  unit_arena(64 * MB);
  CHECK_INT(arena_take(32), ==, 0);
  for (uint32_t i = 1; i < 32; i++) CHECK_INT(arena_take(1), ==, i);
  CHECK_INT(arena_take(1), ==, 0);
  CHECK_INT(arena_take(UINT32_MAX), ==, 0);
}

static void or_one_run_of_31(void) {
  unit_arena(64 * MB);
  CHECK_INT(arena_take(31), ==, 1);
  memset(arena_span_start(1), 1, 31 * SPAN_BYTES);
  CHECK_INT(arena_take(1), ==, 0);
}

enum { FIELD = 5000 };
static atomic_int takers[FIELD];

static void take_some(unsigned number) {
  rng random = {number};
  for (;;) {
    uint32_t n = 1 + (uint32_t)rng_below(&random, 5), first = arena_take(n);
    if (first == 0 && n == 1) return;
    for (uint32_t i = first; first != 0 && i < first + n; i++) {
      CHECK_INT(atomic_fetch_add(&takers[i], 1), ==, 0);
      *(volatile char *)arena_span_start(i) = 1;
    }
  }
}

static void eight_threads_get_every_span_once(void) {
  unit_arena(FIELD * SPAN_BYTES);
  unit_threads(8, take_some);
  CHECK_INT(takers[0], ==, 0);
  for (int i = 1; i < FIELD; i++) CHECK_INT(takers[i], ==, 1);
}

/* ---- opening ----------------------------------------------------------------------------------------------------------- */

static size_t opened_spans(void) { return arena.opened >> SPAN_SHIFT; }

static void the_arena_is_opened_by_the_gigabyte(void) {
  unit_arena((size_t)4 << 30);
  arena_take(1);
  CHECK_INT(opened_spans(), ==, 512);
  long calls = os_fake_calls(OS_OPEN);
  CHECK_INT(calls, ==, 2); /* slots and spans */
  arena_take(510);
  CHECK_INT(os_fake_calls(OS_OPEN), ==, calls);
  arena_take(1);
  CHECK_INT(opened_spans(), ==, 1024);
}

static void refuse_openings(long refusals) {
  static const size_t opened[] = {512, 32, 2, 0};
  unit_arena((size_t)4 << 30);
  os_fake_refuse_range(OS_OPEN, 2, 1 + refusals); /* the first opens slots */
  CHECK_INT(arena_take(1), ==, refusals < 3 ? 1 : 0);
  CHECK_INT(opened_spans(), ==, opened[refusals]);
  CHECK_INT(arena_take(1), ==, refusals < 3 ? 2 : 1); /* as if nothing had been */
  *arena_span_start(1) = 1;
}

static void where_that_is_refused_by_64_mb_and_then_as_needed(void) { unit_each(refuse_openings, 0, 4); }

static void without_slots_there_are_no_spans(void) {
  unit_arena((size_t)4 << 30);
  os_fake_refuse_range(OS_OPEN, 1, 3);
  CHECK_INT(arena_take(1), ==, 0);
  CHECK_INT(opened_spans(), ==, 0);
  CHECK_INT(arena_high_water(), ==, 1);
  CHECK_INT(arena_take(1), ==, 1);
}

static void the_last_step_ends_with_the_arena(void) {
  unit_arena(700 * SPAN_BYTES);
  arena_take(600);
  CHECK_INT(opened_spans(), ==, 700);
  CHECK_INT(arena_take(99), ==, 601);
  *arena_span_start(699) = 1;
}

/* ---- runs at the frontier ---------------------------------------------------------------------------------------------- */

static void a_run_at_the_frontier_is_extended(void) {
  unit_arena(64 * MB);
  uint32_t first = arena_take(3);
  CHECK(arena_extend(first + 3, 4));
  CHECK_INT(arena_high_water(), ==, 8);
  *arena_span_start(7) = 1;
  CHECK(!arena_extend(first + 3, 1)); /* no longer the frontier */
  CHECK(!arena_extend(8, 25));
  CHECK(arena_extend(8, 24));
  CHECK(!arena_extend(32, 1));
}

static void an_extension_the_os_refuses_changes_nothing(void) {
  unit_arena((size_t)4 << 30);
  arena_take(510);
  os_fake_refuse(OS_OPEN, 1, true);
  CHECK(!arena_extend(511, 4));
  CHECK_INT(arena_high_water(), ==, 511);
  CHECK(arena_extend(511, 1)); /* open already */
}

/* ---- metadata ---------------------------------------------------------------------------------------------------------- */

static void metadata_is_zero_and_disjoint(void) {
  unit_arena(64 * MB);
  char *end = NULL;
  for (int i = 0; i < 5000; i++) {
    char *memory = arena_metadata(1024);
    CHECK(memory != NULL);
    CHECK_INT((uintptr_t)memory % CACHE_LINE, ==, 0);
    CHECK(memory >= end);
    CHECK(all_bytes(memory, 1024, 0));
    memset(memory, 1, 1024);
    end = memory + 1024;
  }
  CHECK_INT(os_fake_calls(OS_OPEN), ==, 5); /* by the megabyte */
}

static void refused_metadata_costs_nothing(void) {
  unit_arena(64 * MB);
  char *first = arena_metadata(1 << 20);
  os_fake_refuse_range(OS_OPEN, 1, 100);
  for (int i = 0; i < 100; i++) CHECK(arena_metadata(1 << 20) == NULL);
  CHECK(arena_metadata(1 << 20) == first + (1 << 20));
}

static void a_zone_that_is_full_stays_full(void) {
  unit_arena(64 * MB);
  unsigned n = 0;
  while (arena_metadata(1 << 20) != NULL) n++;
  CHECK_INT(n, ==, 16);
  CHECK(arena_metadata(64) == NULL);
}

/* Heaps are found by their number: none may lie behind the last one counted. */
static void make_heap(void *context) { *(scalloc_heap **)context = scalloc_heap_new(); }

static void refused_metadata_of_one_thread_hides_no_heap_of_another(void) {
  scalloc_heap *other = NULL;
  unit_arena(64 * MB);
  os_fake_refuse(OS_OPEN, 1, false);
  os_fake_hook(OS_OPEN, 1, make_heap, &other); /* as another thread would, at this moment */
  CHECK(scalloc_heap_new() == NULL);
  CHECK(other != NULL);
  CHECK_INT(heap_count(), >=, other->id);
}

/* ---- the limit --------------------------------------------------------------------------------------------------------- */

static void without_a_limit_everything_may_be_charged(void) {
  CHECK(arena_init());
  CHECK(arena_charge(PTRDIFF_MAX));
  CHECK(arena_charge(PTRDIFF_MAX));
}

static void charges_add_up_to_the_limit_exactly(void) {
  CHECK(scalloc_option_set("SCALLOC_LIMIT_BYTES", 1000));
  CHECK(arena_init());
  CHECK(arena_charge(600));
  CHECK(!arena_charge(401));
  CHECK(arena_charge(400));
  CHECK(!arena_charge(1));
  CHECK(arena_charge(0));
  arena_discharge(300);
  CHECK(!arena_charge(SIZE_MAX));
  CHECK(!arena_charge(301));
  CHECK(arena_charge(300));
}

static atomic_size_t charged_now;

static void charge_and_discharge(unsigned number) {
  rng random = {number};
  for (int i = 0; i < 20000; i++) {
    size_t bytes = 1 + rng_below(&random, 500);
    if (!arena_charge(bytes)) continue;
    CHECK_INT(atomic_fetch_add(&charged_now, bytes) + bytes, <=, 1000);
    atomic_fetch_sub(&charged_now, bytes);
    arena_discharge(bytes);
  }
}

static void eight_threads_never_exceed_it(void) {
  CHECK(scalloc_option_set("SCALLOC_LIMIT_BYTES", 1000));
  CHECK(arena_init());
  unit_threads(8, charge_and_discharge);
  CHECK_INT(unit_charge_left(), ==, 1000);
}

UNIT_MAIN(CASE(the_arena_is_32_tb_where_nothing_limits_it), CASE(slot_0_is_the_signpost), CASE(each_refusal_halves_it),
          CASE(down_to_64_mb_and_no_further), CASE(after_a_total_refusal_a_later_attempt_may_succeed),
          CASE(the_option_is_an_upper_bound_within_64_mb_and_32_tb), CASE(it_takes_at_most_half_of_the_address_space_left),
          CASE(but_64_mb_are_tried_whatever_is_left), CASE(under_valgrind_it_is_64_gb), CASE(many_threads_make_one_reservation),
          CASE(fresh_spans_are_zero_writable_and_in_a_row), CASE(addresses_outside_belong_to_no_span),
          CASE(an_arena_of_64_mb_has_31_spans_to_give), CASE(or_one_run_of_31), CASE(eight_threads_get_every_span_once),
          CASE(the_arena_is_opened_by_the_gigabyte), CASE(where_that_is_refused_by_64_mb_and_then_as_needed),
          CASE(without_slots_there_are_no_spans), CASE(the_last_step_ends_with_the_arena),
          CASE(a_run_at_the_frontier_is_extended), CASE(an_extension_the_os_refuses_changes_nothing),
          CASE(metadata_is_zero_and_disjoint), CASE(refused_metadata_costs_nothing), CASE(a_zone_that_is_full_stays_full),
          CASE(refused_metadata_of_one_thread_hides_no_heap_of_another), CASE(without_a_limit_everything_may_be_charged),
          CASE(charges_add_up_to_the_limit_exactly), CASE(eight_threads_never_exceed_it))
