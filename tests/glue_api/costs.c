/*
 * costs.c - what is to cost no look at blocks, or none at spans: releasing what is dead, ending a heap, turning a cycle.
 */
#include "glue_api.h"

#include <sys/mman.h>

/* ---- no block is touched ---------------------------------------------------------------------------------------------- */

static struct {
  void *start;
  size_t bytes;
} taken[SPANS_MOST];
static size_t taken_count;
static bool shut; /* whatever is taken from now on stays accessible */

static int note_commit(void *ud, void *start, size_t bytes) {
  (void)ud;
  CHECK(taken_count < LENGTH(taken));
  if (!shut) taken[taken_count].start = start, taken[taken_count++].bytes = bytes;
  return 0;
}

static void set_access(int rights) {
  shut = rights == PROT_NONE;
  for (size_t i = 0; i < taken_count; i++) CHECK(mprotect(taken[i].start, taken[i].bytes, rights) == 0);
}

/* Spans of several sizes and runs, full of blocks; no thread may access any of it any more. */
static world full_of_blocks(size_t spans) {
  scalloc_rt_heap_conf conf = {.size = sizeof conf, .hooks = {.commit = note_commit}};
  world w = world_new(&conf, 0, 20000);
  size_t size;
  unsigned slot = slot_for(w.heap, 0, 100, &size);
  taken_count = 0;
  while (taken_count < spans) {
    CHECK(scalloc_rt_alloc(w.mutator, slot, size) && world_alloc(&w));
    if (taken_count % 50 == 0) CHECK(scalloc_rt_alloc_large(w.mutator, 0, 3 * MB));
  }
  return w;
}

static void dead_spans_go_untouched(void) {
  for (int round = 0; round < 2; round++) {
    world w = full_of_blocks(3000);
    scalloc_rt_detach(w.mutator);
    set_access(PROT_NONE);
    cycle(w.heap);
    CHECK_INT(scalloc_rt_sweep(w.heap, NULL, SIZE_MAX), >=, 3000);
    CHECK_INT(glue_now(w.heap).released, >=, 3000);
    CHECK_INT(glue_now(w.heap).committed, ==, 0);
    scalloc_purge();
    set_access(PROT_READ | PROT_WRITE);
    world_end(&w);
    check_ends();
  }
}

static void heap_destroy_touches_no_block(void) {
  world w = full_of_blocks(5000);
  set_access(PROT_NONE);
  double start = now();
  world_end(&w);
  printf("  %zu spans in %.1f ms\n", taken_count, 1e3 * (now() - start));
  set_access(PROT_READ | PROT_WRITE);
  check_ends();
}

/* Marks, resolving and a sweep of spans with some dead look at bits alone. */
static void marking_and_sweeping_touch_no_block(void) {
  enum { BLOCKS = 20000 };
  static void *blocks[BLOCKS];
  scalloc_rt_heap_conf conf = {.size = sizeof conf, .hooks = {.commit = note_commit}};
  world w = world_new(&conf, SCALLOC_RT_EXPLICIT_FREE, 500);
  taken_count = 0;
  for (size_t i = 0; i < BLOCKS; i++) blocks[i] = world_alloc(&w);
  scalloc_rt_retire(w.mutator);
  set_access(PROT_NONE);
  for (int round = 0; round < 3; round++) {
    scalloc_rt_cycle_begin(w.heap);
    for (size_t i = 0; i < BLOCKS; i += 2) mark(w.heap, blocks[i]);
    scalloc_rt_cycle_end(w.heap);
    sweep_all(w.heap);
    for (size_t i = 0; i < BLOCKS; i++) CHECK(is_live(w.heap, blocks[i]) == (i % 2 == 0));
  }
  for (size_t i = 0; i < BLOCKS; i += 2) scalloc_rt_free(NULL, blocks[i]);
  cycle(w.heap);
  sweep_all(w.heap);
  CHECK_INT(glue_now(w.heap).committed, ==, 0);
  set_access(PROT_READ | PROT_WRITE);
  world_end(&w);
  check_ends();
}

/* ---- no span is looked at --------------------------------------------------------------------------------------------------- */

enum { FEW = 64, MANY = 4096, TRIES = 15, CYCLES = 200 };

/* Seconds of one begin and abort, and of one begin and end, the best of several tries. */
static void time_cycles(size_t spans, double *aborted, double *ended) {
  world w = full_of_blocks(spans);
  *aborted = *ended = 1;
  for (int try = 0; try < TRIES; try++) {
    double start = now(), middle;
    for (int i = 0; i < CYCLES; i++) {
      scalloc_rt_cycle_begin(w.heap);
      scalloc_rt_cycle_abort(w.heap);
    }
    middle = now();
    for (int i = 0; i < CYCLES; i++) cycle(w.heap);
    double end = now();
    if ((middle - start) / CYCLES < *aborted) *aborted = (middle - start) / CYCLES;
    if ((end - middle) / CYCLES < *ended) *ended = (end - middle) / CYCLES;
  }
  world_end(&w);
}

static void a_cycle_costs_the_same_with_more_spans(void) {
  double few[2], many[2];
  time_cycles(FEW, &few[0], &few[1]);
  time_cycles(MANY, &many[0], &many[1]);
  printf("  begin, abort: %.0f and %.0f ns; begin, end: %.0f and %.0f ns with %d and %d spans\n", 1e9 * few[0], 1e9 * many[0],
         1e9 * few[1], 1e9 * many[1], FEW, MANY);
  for (int i = 0; i < 2; i++) CHECK(many[i] < 4 * few[i] + 200e-9); /* 64 times as many */
  check_ends();
}

static double time_destroy(size_t spans) {
  double best = 1;
  for (int i = 0; i < 5; i++) {
    world w = full_of_blocks(spans);
    double start = now();
    world_end(&w);
    if (now() - start < best) best = now() - start;
    scalloc_purge();
  }
  return best / (double)spans;
}

static void ending_a_heap_is_linear(void) {
  double few = time_destroy(400), many = time_destroy(4000);
  printf("  %.0f and %.0f ns a span\n", 1e9 * few, 1e9 * many);
  CHECK(many < 5 * few + 1e-6);
  check_ends();
}

/* The blocks of a dead span cost nothing: 4096 of them as little as 8. */
static double time_dead(size_t size, size_t spans) {
  double best = 1;
  for (int i = 0; i < 7; i++) {
    scalloc_rt_heap_conf conf = {.size = sizeof conf, .hooks = {.commit = note_commit}};
    world w = world_new(&conf, 0, size);
    taken_count = 0;
    while (taken_count < spans) world_alloc(&w);
    scalloc_rt_detach(w.mutator);
    cycle(w.heap);
    double start = now();
    sweep_all(w.heap);
    if (now() - start < best) best = now() - start;
    CHECK_INT(glue_now(w.heap).committed, ==, 0);
    world_end(&w);
  }
  return best / (double)spans;
}

static void a_dead_span_costs_the_same_with_more_blocks(void) {
  double few = time_dead(32 * KB, 500), many = time_dead(16, 500);
  printf("  %.0f ns with 8 blocks, %.0f ns with 4096\n", 1e9 * few, 1e9 * many);
  CHECK(many < 4 * few + 200e-9);
  check_ends();
}

PARTS_MAIN(PART(dead_spans_go_untouched), PART(heap_destroy_touches_no_block), PART(marking_and_sweeping_touch_no_block),
           PART(a_cycle_costs_the_same_with_more_spans), PART(ending_a_heap_is_linear),
           PART(a_dead_span_costs_the_same_with_more_blocks))
