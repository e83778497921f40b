/* test_pool.c - the pool of empty spans: where a span is looked for, in which order, and that none is lost or given twice. */
#include "unit.h"

#include <stdatomic.h>

#include "pool.h"

static span *empty_span(uint32_t dirty) {
  if (arena.spans == 0) unit_arena((size_t)4 << 30);
  uint32_t index = arena_take(1);
  CHECK(index != 0);
  span *s = span_at(index);
  s->word = unit_word(0, SPAN_FREE, 0, 0);
  s->dirty = dirty;
  return s;
}

static span *put(uint32_t dirty, uint32_t hint) {
  span *s = empty_span(dirty);
  pool_put(s, hint);
  return s;
}

static void an_empty_pool_gives_nothing(void) {
  empty_span(0);
  for (uint32_t hint = 0; hint < 100; hint++) {
    CHECK(pool_take(hint, 1) == NULL);
    CHECK(pool_take_dirty(hint, SPAN_BYTES) == NULL);
  }
}

static void check_stacks(long processors) {
  os_fake_set_processors((unsigned)processors);
  CHECK_INT(pool_stacks(), ==, processors < 64 ? processors : 64);
}

static void there_are_as_many_stacks_as_processors_up_to_64(void) { unit_each(check_stacks, 1, 70); }

static void the_last_one_put_on_a_stack_comes_first(void) {
  span *a = put(PAGE, 0), *b = put(PAGE, 4), *c = put(PAGE, 8); /* 4 processors: one stack */
  CHECK(pool_take(0, PAGE) == c);
  CHECK(pool_take(12, PAGE) == b);
  CHECK(pool_take(0, PAGE) == a);
}

static void the_own_stack_comes_first(void) {
  span *spans[4];
  for (uint32_t i = 0; i < 4; i++) spans[i] = put(PAGE, i);
  for (uint32_t i = 0; i < 4; i++) CHECK(pool_take(i, PAGE) == spans[i]);
}

static void then_the_others_to_its_right_and_round(void) {
  span *spans[4];
  for (uint32_t i = 0; i < 4; i++) spans[i] = put(PAGE, i);
  static const unsigned order[] = {2, 3, 0, 1};
  for (unsigned i = 0; i < 4; i++) CHECK(pool_take(2, PAGE) == spans[order[i]]);
  CHECK(pool_take(2, PAGE) == NULL);
}

static void then_the_nearest_of_the_other_dirty_slots(void) {
  span *spans[6]; /* 64 KB, 128 KB, ... 2 MB */
  for (unsigned i = 0; i < 6; i++) spans[i] = put(65536u << i, 0);
  static const unsigned order[] = {2, 3, 1, 4, 0, 5};
  for (unsigned i = 0; i < 6; i++) CHECK(pool_take(0, 262144) == spans[order[i]]);
}

static void any_dirty_slot_before_a_clean_span(void) {
  span *clean = put(0, 0), *dirty = put(SPAN_BYTES, 3);
  CHECK(pool_take(0, PAGE) == dirty);
  CHECK(pool_take_dirty(0, PAGE) == NULL);
  CHECK(pool_take(2, PAGE) == clean);
}

static void a_slot_holds_spans_up_to_its_extent(void) {
  static const uint32_t borders[] = {65536, 131072, 262144, 524288, 1048576, 2097152};
  for (unsigned i = 0; i + 1 < LENGTH(borders); i++) {
    span *at = put(borders[i], 0), *above = put(borders[i] + 1, 0);
    CHECK(pool_take(0, borders[i + 1]) == above);
    CHECK(pool_take(0, borders[i]) == at);
    put(borders[i] + 1, 0), put(borders[i], 0);
    CHECK_INT(pool_take(0, borders[i] + 1)->dirty, ==, borders[i] + 1);
    CHECK_INT(pool_take(0, borders[i] - 1)->dirty, ==, borders[i]);
  }
}

static void a_slot_that_was_emptied_fills_again(void) {
  for (int round = 0; round < 3; round++)
    for (uint32_t hint = 0; hint < 8; hint++) {
      span *s = put(PAGE, hint);
      CHECK(pool_take(0, PAGE) == s);
      CHECK(pool_take(hint, PAGE) == NULL);
    }
}

static void a_stack_can_be_taken_whole_and_put_back(void) {
  span *a = put(PAGE, 1), *b = put(PAGE, 1), *other = put(PAGE, 2);
  uint32_t first = pool_take_stack(0, 1);
  CHECK_INT(first, ==, span_index(b));
  CHECK_INT(b->pool_next, ==, span_index(a));
  CHECK_INT(a->pool_next, ==, 0);
  CHECK_INT(pool_take_stack(0, 1), ==, 0);
  CHECK(pool_take(1, PAGE) == other);
  CHECK(pool_take(1, PAGE) == NULL);
  pool_put_chain(0, 1, span_index(b), span_index(a));
  CHECK(pool_take(3, PAGE) == b);
  CHECK(pool_take(3, PAGE) == a);
}

static void a_span_bears_the_time_it_became_empty(void) {
  os_fake_set_clock(777);
  CHECK_INT(put(PAGE, 0)->stamp, ==, 777);
}

static void the_pool_knows_its_spans_and_their_bytes(void) {
  size_t dirty;
  for (uint32_t i = 0; i < 10; i++) put(i * PAGE, i);
  CHECK_INT(pool_count(&dirty), ==, 10);
  CHECK_INT(dirty, ==, 45 * PAGE);
}

static void a_reset_forgets_all(void) {
  size_t dirty;
  span *s = put(PAGE, 0);
  put(0, 1);
  pool_reset();
  CHECK_INT(pool_count(&dirty), ==, 0);
  CHECK(pool_take(0, PAGE) == NULL);
  pool_put(s, 3);
  CHECK(pool_take(0, PAGE) == s);
}

static void a_put_or_take_is_done_without_the_os_or_the_span_s_pages(void) {
  span *s = empty_span(PAGE);
  long opened = os_fake_calls(OS_OPEN);
  os_fake_refuse(OS_OPEN, 1, true);
  os_fake_refuse(OS_PURGE, 1, true);
  pool_put(s, 0);
  CHECK(pool_take(0, PAGE) == s);
  CHECK_INT(os_fake_calls(OS_OPEN) + os_fake_calls(OS_PURGE), ==, opened);
  CHECK(all_bytes(span_start(s), SPAN_BYTES, 0));
}

/* ---- eight threads ----------------------------------------------------------------------------------------------------- */

enum { SPANS = 60 };
static atomic_int holder[SPANS + 1];

static void juggle(unsigned number) {
  rng random = {number};
  span *mine[SPANS];
  uint32_t count = 0;
  for (int i = 0; i < 60000; i++) {
    if (count < SPANS && rng_percent(&random, 50)) {
      span *s = pool_take(number, rng_below(&random, SPAN_BYTES));
      if (s == NULL) continue;
      CHECK_INT(atomic_fetch_add(&holder[span_index(s)], 1), ==, 0);
      mine[count++] = s;
    } else if (count > 0) {
      span *s = mine[--count];
      s->dirty = (uint32_t)(rng_percent(&random, 30) ? 0 : rng_below(&random, SPAN_BYTES));
      atomic_fetch_sub(&holder[span_index(s)], 1);
      pool_put(s, rng_percent(&random, 50) ? number : (uint32_t)i);
    }
  }
  while (count > 0) {
    atomic_fetch_sub(&holder[span_index(mine[count - 1])], 1);
    pool_put(mine[--count], number);
  }
}

static void eight_threads_lose_and_double_nothing(void) {
  size_t dirty;
  for (uint32_t i = 0; i < SPANS; i++) put(i * PAGE, i);
  unit_threads(8, juggle);
  CHECK_INT(pool_count(&dirty), ==, SPANS);
  for (unsigned i = 0; i < SPANS; i++) CHECK(pool_take(i, 1) != NULL); /* every stack's summary bit is set */
  CHECK(pool_take(0, 1) == NULL);
}

/* One span for many: whoever finds the stack empty must not leave the summary clear over what was pushed meanwhile. */
static void take_and_put_the_one(unsigned number) {
  for (int i = 0; i < 400000; i++) {
    span *s = pool_take(number, PAGE);
    if (s == NULL) continue;
    CHECK_INT(atomic_fetch_add(&holder[1], 1), ==, 0);
    atomic_fetch_sub(&holder[1], 1);
    pool_put(s, 0);
  }
}

static void one_span_is_always_found(void) {
  put(PAGE, 0);
  unit_threads(3, take_and_put_the_one);
  CHECK(pool_take(1, PAGE) != NULL);
}

UNIT_MAIN(CASE(an_empty_pool_gives_nothing), CASE(there_are_as_many_stacks_as_processors_up_to_64),
          CASE(the_last_one_put_on_a_stack_comes_first), CASE(the_own_stack_comes_first),
          CASE(then_the_others_to_its_right_and_round), CASE(then_the_nearest_of_the_other_dirty_slots),
          CASE(any_dirty_slot_before_a_clean_span), CASE(a_slot_holds_spans_up_to_its_extent),
          CASE(a_slot_that_was_emptied_fills_again), CASE(a_stack_can_be_taken_whole_and_put_back),
          CASE(a_span_bears_the_time_it_became_empty), CASE(the_pool_knows_its_spans_and_their_bytes),
          CASE(a_reset_forgets_all), CASE(a_put_or_take_is_done_without_the_os_or_the_span_s_pages),
          CASE(eight_threads_lose_and_double_nothing), CASE(one_span_is_always_found))
