/* test_stack.c - the lock-free stack: order, the tag, and that a stale head never succeeds. */
#include "unit.h"

#include <stdatomic.h>

#include "stack.h"

enum { NODES = 64 };

static stack s;
static volatile unsigned links[NODES + 1];

static volatile unsigned *link_of(uint32_t index) {
  CHECK(index >= 1 && index <= NODES);
  return &links[index];
}

static word_t tag_of(word_t head) { return head >> 32; }

static void an_empty_stack_gives_nothing(void) {
  CHECK_INT(stack_pop(&s, link_of), ==, 0);
  CHECK_INT(stack_pop_all(&s), ==, 0);
  CHECK_INT(s, ==, 0);
}

static void the_last_pushed_is_popped_first(void) {
  for (uint32_t i = 1; i <= NODES; i++) stack_push(&s, link_of, i);
  for (uint32_t i = NODES; i >= 1; i--) CHECK_INT(stack_pop(&s, link_of), ==, i);
  CHECK_INT(stack_pop(&s, link_of), ==, 0);
}

static void a_chain_keeps_its_order(void) {
  stack_push(&s, link_of, 9);
  links[1] = 2, links[2] = 3;
  stack_push_chain(&s, link_of, 1, 3);
  static const uint32_t order[] = {1, 2, 3, 9, 0};
  for (size_t i = 0; i < LENGTH(order); i++) CHECK_INT(stack_pop(&s, link_of), ==, order[i]);
}

static void pop_all_takes_the_chain_and_leaves_nothing(void) {
  for (uint32_t i = 1; i <= 3; i++) stack_push(&s, link_of, i);
  CHECK_INT(stack_pop_all(&s), ==, 3);
  CHECK_INT(links[3], ==, 2);
  CHECK_INT(links[2], ==, 1);
  CHECK_INT(links[1], ==, 0);
  CHECK_INT(stack_pop(&s, link_of), ==, 0);
}

static void the_tag_advances_by_one_with_every_change_and_only_then(void) {
  stack_push(&s, link_of, 1);
  CHECK_INT(tag_of(s), ==, 1);
  links[2] = 3;
  stack_push_chain(&s, link_of, 2, 3);
  CHECK_INT(tag_of(s), ==, 2);
  stack_pop(&s, link_of);
  CHECK_INT(tag_of(s), ==, 3);
  stack_pop_all(&s);
  CHECK_INT(tag_of(s), ==, 4);
  CHECK_INT(stack_top(s), ==, 0);
  stack_pop(&s, link_of);
  stack_pop_all(&s);
  CHECK_INT(tag_of(s), ==, 4);
}

static void the_tag_wraps(void) {
  s = (word_t)UINT32_MAX << 32;
  stack_push(&s, link_of, 5);
  CHECK_INT(tag_of(s), ==, 0);
  CHECK_INT(stack_pop(&s, link_of), ==, 5);
}

/* A popper reads the head and the link, sleeps while the same node comes back on top, and tries. */
static void a_stale_head_never_succeeds(void) {
  stack_push(&s, link_of, 1);
  stack_push(&s, link_of, 2);
  word_t seen = s;
  uint32_t below = links[stack_top(seen)];
  CHECK_INT(below, ==, 1);
  CHECK_INT(stack_pop(&s, link_of), ==, 2); /* A */
  CHECK_INT(stack_pop(&s, link_of), ==, 1); /* B, which somebody uses now */
  stack_push(&s, link_of, 2);               /* A again */
  CHECK_INT(stack_top(s), ==, stack_top(seen));
  CHECK(!word_cas_full(&s, seen, stack_head(seen, below)));
  CHECK_INT(stack_pop(&s, link_of), ==, 2);
  CHECK_INT(stack_pop(&s, link_of), ==, 0); /* 1 did not come back */
}

static void nor_does_a_stale_push_of_a_chain(void) {
  stack_push(&s, link_of, 1);
  word_t seen = s;
  stack_pop(&s, link_of);
  stack_push(&s, link_of, 1);
  CHECK(!word_cas_full(&s, seen, stack_head(seen, 7)));
}

/* ---- four threads ------------------------------------------------------------------------------------------------------ */

static atomic_int holder[NODES + 1];

static void hold(uint32_t index, int from, int to) { CHECK(atomic_compare_exchange_strong(&holder[index], &from, to)); }

static void give_chain(uint32_t *mine, uint32_t *count, uint32_t n, int me) {
  for (uint32_t i = 0; i < n; i++) {
    uint32_t index = mine[*count - 1 - i];
    hold(index, me, 0);
    if (i + 1 < n) half_store_relaxed(link_of(index), mine[*count - 2 - i]);
  }
  stack_push_chain(&s, link_of, mine[*count - 1], mine[*count - n]);
  *count -= n;
}

static void push_and_pop(unsigned number) {
  rng random = {number};
  uint32_t mine[NODES], count = 0;
  int me = (int)number + 1;
  for (int i = 0; i < 200000; i++) {
    if (rng_percent(&random, 50)) {
      uint32_t index = stack_pop(&s, link_of);
      if (index != 0) hold(mine[count++] = index, 0, me);
    } else if (count > 0) {
      give_chain(mine, &count, 1 + (uint32_t)rng_below(&random, count < 3 ? count : 3), me);
    }
    if (i % 1000 == 0)
      for (uint32_t at = stack_pop_all(&s), next; at != 0; at = next) {
        next = half_load_relaxed(link_of(at));
        hold(mine[count++] = at, 0, me);
      }
  }
  while (count > 0) give_chain(mine, &count, 1, me);
}

static void four_threads_never_hold_the_same_node(void) {
  uint32_t n = 0;
  for (uint32_t i = 1; i <= NODES; i++) stack_push(&s, link_of, i);
  unit_threads(4, push_and_pop);
  while (stack_pop(&s, link_of) != 0) n++;
  CHECK_INT(n, ==, NODES);
}

UNIT_MAIN(CASE(an_empty_stack_gives_nothing), CASE(the_last_pushed_is_popped_first), CASE(a_chain_keeps_its_order),
          CASE(pop_all_takes_the_chain_and_leaves_nothing), CASE(the_tag_advances_by_one_with_every_change_and_only_then),
          CASE(the_tag_wraps), CASE(a_stale_head_never_succeeds), CASE(nor_does_a_stale_push_of_a_chain),
          CASE(four_threads_never_hold_the_same_node))
