/*
 * test_span.c - the state word: frees by owner and others, exhaustion and reuse, against each other.
 *
 * Heap `a` owns the first span; threads act as the users of a, b and c. Blocks are numbered from 0.
 */
#include "world.h"

#include "options.h"

static heap *a, *b, *c;
static span *first;
static unsigned blocks, in_class;

static void begin(unsigned n) {
  world_begin();
  options.purge_thread = false;
  a = heap_create(HEAP_THREAD);
  b = heap_create(HEAP_THREAD);
  c = heap_create(HEAP_THREAD);
  in_class = world_class(n);
  first = world_span(a, n, &blocks);
}

static void hot_2(void) { begin(2); }
static void hot_3(void) { begin(3); }
static void hot_8(void) { begin(8); }

/* A hot span does not stay so when its owner frees the last block. */
static void hot_2_purged(void) {
  begin(2);
  options.purge_thread = true;
  first->notify = 0;
}

/* No longer allocated from, all blocks live. */
static void floating(unsigned n) {
  begin(n);
  world_cool(a, first);
}
static void floating_1(void) { floating(1); }
static void floating_2(void) { floating(2); }
static void floating_3(void) { floating(3); }
static void floating_8(void) { floating(8); }

/* Four are live; the owner freed two plainly, another two. */
static void floating_4_of_8(void) {
  floating(8);
  for (unsigned i = 4; i < 8; i++) world_free(i < 6 ? a : b, i);
}

/* Blocks 0 and 1 are live, or 0 to 2; the span is reusable and has been shared for long. */
static void shared_of_8(unsigned live) {
  floating(8);
  for (unsigned i = live; i < 8; i++) world_free(i < 6 ? a : b, i);
  heap_settle(a);
}
static void shared_2_of_8(void) { shared_of_8(2); }
static void shared_3_of_8(void) { shared_of_8(3); }

/* Blocks 0 and 1 are live, the span is reusable and shared. */
static void shared_2_of_3(void) {
  floating(3);
  world_free(b, 2);
  heap_settle(a);
}

/* The owner has freed all but the last two. */
static void reusable_2_of(unsigned n) {
  floating(n);
  for (unsigned i = 0; i + 2 < n; i++) world_free(a, i);
}
static void reusable_3(void) { reusable_2_of(3); }
static void reusable_8(void) { reusable_2_of(8); }
static void reusable_3_of_8(void) {
  floating(8);
  for (unsigned i = 3; i < 8; i++) world_free(a, i);
}

static void reusable_2(void) {
  floating(2);
  world_free(a, 0);
}

/* ---- acts ------------------------------------------------------------------------------------------------------------- */

static void frees(heap *h, unsigned from, unsigned to) {
  for (unsigned i = from; i < to; i++) world_free(h, i);
}

static void a_frees_0(void) { frees(a, 0, 1); }
static void a_frees_01(void) { frees(a, 0, 2); }
static void a_frees_0_to_3(void) { frees(a, 0, 4); }
static void a_frees_1(void) { frees(a, 1, 2); }
static void b_frees_0(void) { frees(b, 0, 1); }
static void b_frees_01(void) { frees(b, 0, 2); }
static void b_frees_1(void) { frees(b, 1, 2); }
static void b_frees_2(void) { frees(b, 2, 3); }
static void b_frees_12(void) { frees(b, 1, 3); }
static void b_frees_67(void) { frees(b, 6, 8); }
static void b_frees_4_to_7(void) { frees(b, 4, 8); }
static void c_frees_1(void) { frees(c, 1, 2); }
static void c_frees_2(void) { frees(c, 2, 3); }
static void c_frees_3(void) { frees(c, 3, 4); }
static void nobody_frees_1(void) { frees(NULL, 1, 2); }
static void settle_all(void) { heap_settle_all(c); }

static void a_allocates(void) { world_alloc(a, in_class); }
static void a_allocates_2(void) {
  world_alloc(a, in_class);
  world_alloc(a, in_class);
}
static void a_allocates_and_frees(void) { world_free_block(a, world_alloc(a, in_class)); }

/* The span is hot once more, and then shared no longer. */
static void a_reuses_and_frees_0(void) {
  void *block = world_alloc(a, in_class);
  world_cool(a, first);
  world_free_block(a, block);
  frees(a, 0, 1);
}

/* The span goes through the pool into another heap, and becomes reusable there. */
static void b_frees_1_and_reopens(void) {
  void *one, *other;
  world_free(b, 1);
  one = world_alloc(b, in_class);
  other = world_alloc(b, in_class);
  heap_cool_span(b, span_of(one));
  world_free_block(b, one);
  (void)other;
}

static void c_frees_12_and_allocates(void) {
  frees(c, 1, 3);
  world_alloc(c, in_class);
}
static void c_allocates(void) { world_alloc(c, in_class); }

static const scenario scenarios[] = {
    {"last free of 1 against settling", floating_1, {b_frees_0, settle_all}, world_check, false},
    {"frees of 2: owner, other", floating_2, {a_frees_0, b_frees_1}, world_check, false},
    {"frees of 2: owner, no heap", floating_2, {a_frees_0, nobody_frees_1}, world_check, false},
    {"frees of 2: two others", floating_2, {b_frees_0, c_frees_1}, world_check, false},
    {"frees of 2: owner, other, settling", floating_2, {a_frees_0, b_frees_1, settle_all}, world_check, false},
    {"frees of 3: owner 1, other 2", floating_3, {a_frees_0, b_frees_12}, world_check, false},
    {"frees of 3: owner 2, other 1", floating_3, {a_frees_01, b_frees_2}, world_check, false},
    {"frees of 3: owner, other, other", floating_3, {a_frees_0, b_frees_1, c_frees_2}, world_check, false},
    {"frees of 8: owner 4, other 4", floating_8, {a_frees_0_to_3, b_frees_4_to_7}, world_check, false},
    {"last frees of 8: owner 2, other, other", floating_4_of_8, {a_frees_01, b_frees_2, c_frees_3}, world_check, false},
    {"last two of 3, reusable: owner, other", reusable_3, {a_frees_1, b_frees_2}, world_check, false},
    {"last two of 8, shared: owner, other", shared_2_of_8, {a_frees_0, b_frees_1}, world_check, false},
    {"last two of 8, shared: two others", shared_2_of_8, {b_frees_0, c_frees_1}, world_check, false},
    {"last three of 8, reusable: owner, other, other", reusable_3_of_8, {a_frees_0, b_frees_1, c_frees_2}, world_check, false},
    {"last three of 8, shared: owner, other, other", shared_3_of_8, {a_frees_0, b_frees_1, c_frees_2}, world_check, false},
    {"reusable too late: another life has begun", floating_3, {b_frees_0, c_frees_12_and_allocates}, world_check, false},
    {"exhaust 2: owner allocates, other frees 1", hot_2, {a_allocates, b_frees_0}, world_check, false},
    {"exhaust 2: owner allocates, other frees 2", hot_2, {a_allocates, b_frees_01}, world_check, false},
    {"exhaust 2: owner allocates, two others free", hot_2, {a_allocates, b_frees_0, c_frees_1}, world_check, false},
    {"exhaust 3: owner allocates, other frees 2", hot_3, {a_allocates, b_frees_12}, world_check, false},
    {"exhaust 8: owner allocates, other frees 4", hot_8, {a_allocates_2, b_frees_4_to_7}, world_check, false},
    {"last of a hot 2, given up: owner, other", hot_2_purged, {a_frees_0, b_frees_1}, world_check, false},
    {"last of a hot 2, given up, against a taker", hot_2_purged, {a_frees_01, c_allocates}, world_check, false},
    {"last of a hot 2, given up, against settling", hot_2_purged, {a_frees_01, settle_all}, world_check, false},
    {"reuse of 2 against the last free", reusable_2, {a_allocates, b_frees_1}, world_check, false},
    {"reuse of 3 against the last frees", reusable_3, {a_allocates, b_frees_12}, world_check, false},
    {"reuse of 3 against two last frees", reusable_3, {a_allocates, b_frees_1, c_frees_2}, world_check, true},
    {"reuse of 8 against the last frees", reusable_8, {a_allocates_and_frees, b_frees_67}, world_check, false},
    {"reuse of 3, shared, against the last frees", shared_2_of_3, {a_reuses_and_frees_0, b_frees_1}, world_check, false},
    {"reuse of 2 against another life", reusable_2, {a_allocates, b_frees_1_and_reopens}, world_check, false},
    {"owner's last free against a taker", reusable_2, {a_frees_1, c_allocates, settle_all}, world_check, false},
};

int main(int argc, char **argv) { return model_main(argc, argv, scenarios, sizeof scenarios / sizeof *scenarios); }
