/*
 * test_glue.c - spans of the glue between threads: frees by hand, refills, sweepers, first touches, releases that are put off.
 *
 * Blocks are numbered from 0 in the order in which the setup allocates them, all in one span unless it says otherwise.
 */
#include "glue_world.h"

/* ---- by hand: an UNCOLLECTABLE span, no longer hot, with the last `live` of its blocks live ------------------------------ */

static void by_hand(unsigned blocks, unsigned live) {
  glue_world_begin(SCALLOC_RT_UNCOLLECTABLE, blocks);
  glue_world_blocks(blocks);
  scalloc_rt_retire(glue_mutator[0]);
  for (unsigned i = live; i < blocks; i++) glue_free(i);
}
static void full_2(void) { by_hand(2, 2); }
static void full_3(void) { by_hand(3, 3); }
static void last_1_of_2(void) { by_hand(2, 1); }
static void last_2_of_8(void) { by_hand(8, 2); }
static void last_3_of_8(void) { by_hand(8, 3); }

/* Still hot: mutator 0 has used it up. */
static void hot_2(void) {
  glue_world_begin(SCALLOC_RT_UNCOLLECTABLE, 2);
  glue_world_blocks(2);
}

/* ... and block 0 is free, which its refill will find. */
static void hot_1_of_2(void) {
  hot_2();
  glue_free(0);
}

static void free_0(void) { glue_free(0); }
static void free_1(void) { glue_free(1); }
static void free_2(void) { glue_free(2); }
static void free_12(void) {
  glue_free(1);
  glue_free(2);
}
static void allocate_0(void) { glue_allocate(0); }
static void allocate_1(void) { glue_allocate(1); }
static void retire_0(void) { scalloc_rt_retire(glue_mutator[0]); }

/* ---- cycles: a span of which the last complete cycle marked blocks 0 and 1 of three, not swept ---------------------------- */

static void unswept(unsigned flags) {
  glue_world_begin(flags, 3);
  glue_world_blocks(3);
  scalloc_rt_retire(glue_mutator[0]);
  scalloc_rt_cycle_begin(glue_heap);
  scalloc_rt_mark(glue_ref(0));
  scalloc_rt_mark(glue_ref(1));
  scalloc_rt_cycle_end(glue_heap);
  glue_forget(2);
}
static void unswept_span(void) { unswept(SCALLOC_RT_EXPLICIT_FREE); }
static void unswept_in_cycle(void) {
  unswept(SCALLOC_RT_EXPLICIT_FREE);
  scalloc_rt_cycle_begin(glue_heap);
}

/* Nothing in it was marked. */
static void dead_span(void) {
  glue_world_begin(0, 3);
  glue_world_blocks(3);
  scalloc_rt_retire(glue_mutator[0]);
  scalloc_rt_cycle_begin(glue_heap);
  scalloc_rt_cycle_end(glue_heap);
  for (unsigned i = 0; i < 3; i++) glue_forget(i);
}

static void mark(unsigned n) {
  if (!scalloc_rt_mark(glue_ref(n))) model_fail("block %u was marked before", n);
  if (!scalloc_rt_is_marked(glue_ref(n))) model_fail("the mark of block %u is lost", n);
  model_forget(0);
}
static void mark_0(void) { mark(0); }
static void mark_1(void) { mark(1); }

static void resolve(unsigned n, bool lives) {
  scalloc_rt_ref ref;
  if (scalloc_rt_resolve(glue_heap, glue_block(n), false, &ref) != lives)
    model_fail("block %u %s", n, lives ? "lives, and is not found" : "is dead, and found");
  model_forget(0);
}
static void resolve_0(void) { resolve(0, true); }
static void resolve_1_and_2(void) {
  resolve(2, false);
  resolve(1, true);
}
static void resolve_2(void) { resolve(2, false); }

static void sweep(void) {
  scalloc_rt_sweep(glue_heap, NULL, 8);
  model_forget(0);
}

/* A cycle that runs: it ends, and what was marked in it lives. */
static void both_are_marked(void) {
  if (!scalloc_rt_is_marked(glue_ref(0)) || !scalloc_rt_is_marked(glue_ref(1))) model_fail("a mark is lost");
  glue_world_check();
  scalloc_rt_cycle_end(glue_heap);
  glue_world_check();
  scalloc_rt_sweep(glue_heap, NULL, 8);
  glue_world_check();
}

static void swept_at_last(void) {
  glue_world_check();
  scalloc_rt_sweep(glue_heap, NULL, 8);
  glue_world_check();
}

static void turn(void) {
  scalloc_rt_cycle_begin(glue_heap);
  scalloc_rt_cycle_abort(glue_heap);
  model_forget(0);
}

/* ---- putting off ----------------------------------------------------------------------------------------------------- */

static bool not_now(void *ud, scalloc_rt_span number, const scalloc_rt_span_info *info, enum scalloc_rt_why why) {
  (void)ud, (void)number, (void)info, (void)why;
  model_signal(0);
  return false;
}

static void put_off(void) {
  last_1_of_2();
  glue_heap->hooks.span_release = not_now;
}

static void release_later(void) {
  uint32_t number = glue_ref(0).span;
  model_await(0);
  scalloc_rt_span_release(number);
}

static const scenario scenarios[] = {
    {"frees of 2: two threads", full_2, {free_0, free_1}, glue_world_check, false},
    {"frees of 3: one, two", full_3, {free_0, free_12}, glue_world_check, false},
    {"last three of 8: three threads", last_3_of_8, {free_0, free_1, free_2}, glue_world_check, false},
    {"last two of 8: two threads", last_2_of_8, {free_0, free_1}, glue_world_check, false},
    {"last free against a refill", last_1_of_2, {free_0, allocate_1}, glue_world_check, false},
    {"last two of 8 against a refill", last_2_of_8, {free_0, free_1, allocate_1}, glue_world_check, true},
    {"first free against a refill", full_2, {free_0, allocate_1}, glue_world_check, false},
    {"two frees against a refill", full_2, {free_0, free_1, allocate_1}, glue_world_check, true},
    {"free in a hot span against its refill", hot_1_of_2, {free_1, allocate_0}, glue_world_check, false},
    {"free in a hot span against retiring", hot_1_of_2, {free_1, retire_0}, glue_world_check, false},
    {"two frees in a hot span against its refill", hot_2, {free_0, free_1, allocate_0}, glue_world_check, true},
    {"two frees in a hot span against retiring", hot_2, {free_0, free_1, retire_0}, glue_world_check, true},
    {"two refills from one span", last_1_of_2, {allocate_0, allocate_1}, glue_world_check, false},
    {"two first touches", unswept_in_cycle, {mark_0, mark_1}, both_are_marked, false},
    {"first touch against resolving", unswept_in_cycle, {mark_0, resolve_1_and_2}, swept_at_last, false},
    {"first touch against two that resolve", unswept_in_cycle, {mark_0, resolve_0, resolve_2}, swept_at_last, false},
    {"first touches against a sweeper", unswept_in_cycle, {mark_0, mark_1, sweep}, both_are_marked, false},
    {"sweeper against resolving", unswept_span, {sweep, resolve_1_and_2}, swept_at_last, false},
    {"sweeper against a free", unswept_span, {sweep, free_1}, swept_at_last, false},
    {"two sweepers against a free", unswept_span, {sweep, sweep, free_1}, swept_at_last, false},
    {"refill of an unswept span against a free", unswept_span, {allocate_1, free_1}, swept_at_last, false},
    {"sweeper against the turn of a cycle", unswept_span, {sweep, turn}, swept_at_last, false},
    {"release against resolving", dead_span, {sweep, resolve_2}, swept_at_last, false},
    {"release and another life against resolving", dead_span, {allocate_1, resolve_2}, swept_at_last, false},
    {"put off, released by another before the hook returns", put_off, {free_0, release_later}, glue_world_check, false},
};

int main(int argc, char **argv) { return model_main(argc, argv, scenarios, sizeof scenarios / sizeof *scenarios); }
