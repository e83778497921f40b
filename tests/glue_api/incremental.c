/*
 * incremental.c - marks while mutators run: every block that a tracer can get hold of is allocated by THE RULE at that very moment,
 * and what is handed out during a cycle lives on.
 */
#include "glue_api.h"

enum { MUTATORS = 3, SHELF = 400 };

static world w;
static atomic_uintptr_t shelf[SHELF]; /* the roots */
static atomic_bool stopping, over;
static atomic_uint stopped;
static atomic_long marked;

static void pause_shortly(void) { nanosleep(&(struct timespec){0, 20000}, NULL); }

/* Gives the holes up, so that none is there when a cycle begins. */
static void safe_point(scalloc_rt_mutator *m) {
  if (!atomic_load(&stopping)) return;
  scalloc_rt_retire(m);
  atomic_fetch_add(&stopped, 1);
  while (atomic_load(&stopping)) pause_shortly();
  atomic_fetch_sub(&stopped, 1);
}

static void mutate(unsigned number) {
  rng random = {number};
  scalloc_rt_mutator *m = scalloc_rt_attach(w.heap, NULL);
  CHECK(m != NULL);
  for (long made = 0; !atomic_load(&over); made++) {
    safe_point(m);
    if (made % 16 == 0) pause_shortly();
    void *block = rng_percent(&random, 1) ? scalloc_rt_alloc_large(m, 0, w.size) : scalloc_rt_alloc(m, w.slot, w.size);
    CHECK(block != NULL);
    fill(block, w.size);
    block = (void *)atomic_exchange(&shelf[rng_below(&random, SHELF)], (uintptr_t)block);
    CHECK(block == NULL || intact(block, w.size));
  }
  scalloc_rt_detach(m);
}

/* Every step'th of the roots. */
static void mark_shelf(size_t step) {
  scalloc_rt_marker marker = scalloc_rt_marker_of(w.heap, false);
  scalloc_rt_ref ref;
  uintptr_t cookie;
  for (size_t i = 0; i < SHELF; i += step) {
    void *block = (void *)atomic_load(&shelf[i]); /* taken off meanwhile, it lives until this cycle's end all the same */
    if (block == NULL) continue;
    scalloc_rt_assert_live(block);
    if (i % 3 ? scalloc_rt_mark_live(&marker, block, &cookie) : scalloc_rt_mark_block(block, &ref))
      atomic_fetch_add(&marked, 1);
  }
}

static void stop_all(void) {
  while (atomic_load(&stopped) > 0) pause_shortly(); /* from the last time */
  atomic_store(&stopping, true);
  while (atomic_load(&stopped) < MUTATORS) pause_shortly();
}
static void go_on(void) { atomic_store(&stopping, false); }

static void collect(void) {
  for (long i = 0; i < scaled(500); i++) {
    stop_all();
    scalloc_rt_cycle_begin(w.heap);
    mark_shelf(2);
    go_on();
    for (int k = 0; k < 3; k++) mark_shelf(1);
    stop_all();
    mark_shelf(1);
    if (i % 5 == 0)
      scalloc_rt_cycle_abort(w.heap);
    else
      scalloc_rt_cycle_end(w.heap);
    go_on();
    scalloc_rt_sweep(w.heap, NULL, 5);
  }
  atomic_store(&over, true);
}

static void mutate_or_collect(unsigned number, void *unused) {
  (void)unused;
  if (number < MUTATORS)
    mutate(number);
  else
    collect();
}

static void marks_while_mutators_run(void) {
  w = world_new(NULL, 0, 1200);
  in_threads(MUTATORS + 1, mutate_or_collect, NULL);
  printf("  %ld marked, %lld KB used\n", atomic_load(&marked), glue_now(w.heap).committed / 1024);
  CHECK_INT(atomic_load(&marked), >, 1000);
  CHECK_INT(glue_now(w.heap).committed, <, 256 * (long long)MB);
  for (size_t i = 0; i < SHELF; i++) CHECK(!atomic_load(&shelf[i]) || intact((void *)atomic_load(&shelf[i]), w.size));
  cycle(w.heap);
  sweep_all(w.heap);
  check_heap();
  world_end(&w);
  check_ends();
}

/* ---- holes and blocks on their way that are marked at begin -------------------------------------------------------------------- */

static bool begun;
static int defer_stop(void *ud, void *start, size_t bytes) {
  (void)ud, (void)start, (void)bytes;
  if (w.mutator && !begun) CHECK(scalloc_rt_defer_stop(w.mutator)); /* as a signal would that comes now */
  return 0;
}
static bool begin_in_hook(void *ud, scalloc_rt_mutator *m, size_t bytes, int why) {
  (void)ud, (void)m, (void)bytes;
  if (why != SCALLOC_RT_STOP) return false;
  scalloc_rt_cycle_begin(w.heap);
  scalloc_rt_mark_holes(w.heap);
  begun = true;
  return false;
}

/* The large block is on its way when the cycle begins, and not the last one any more when it ends. */
static void what_is_given_out_after_begin_lives(void) {
  scalloc_rt_heap_conf conf = {.size = sizeof conf, .hooks = {.commit = defer_stop, .pressure = begin_in_hook}};
  begun = true;
  w = world_new(&conf, 0, 500);
  void *before = world_alloc(&w);
  begun = false;
  void *large = scalloc_rt_alloc_large(w.mutator, 0, 3 * MB);
  CHECK(begun && large);
  void *of_the_hole = world_alloc(&w), *another = scalloc_rt_alloc_large(w.mutator, 0, 3 * MB);
  scalloc_rt_retire(w.mutator);
  scalloc_rt_cycle_end(w.heap);
  CHECK(is_live(w.heap, large) && is_live(w.heap, of_the_hole) && is_live(w.heap, another) && !is_live(w.heap, before));
  cycle(w.heap);
  CHECK(!is_live(w.heap, large) && !is_live(w.heap, of_the_hole) && !is_live(w.heap, another));
  sweep_all(w.heap);
  CHECK_INT(glue_now(w.heap).committed, ==, 0);
  world_end(&w);
  check_ends();
}

PARTS_MAIN(PART(marks_while_mutators_run), PART(what_is_given_out_after_begin_lives))
