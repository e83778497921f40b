/*
 * forks.c - forks while threads allocate: the child goes on with the mutator of the thread that forked, collects and sweeps; the
 * others are orphans. No round may hang: each child has an alarm, the program too.
 */
#include "glue_api.h"

enum { WORKERS = 3, OWN = 400, SHELF = 256 };

static world shared; /* its mutator is the main thread's */
static unsigned rooted_slot;
static size_t rooted_size;
static scalloc_rt_mutator *theirs[WORKERS];
static void *own[OWN], *rooted[OWN];
static atomic_uintptr_t shelf[SHELF]; /* rooted blocks that anybody frees */
static atomic_bool over;
static atomic_long worked;

/* ---- the work of the other threads -------------------------------------------------------------------------------------- */

static void use_shelf(scalloc_rt_mutator *m, rng *random) {
  void *block = NULL;
  if (rng_percent(random, 60)) {
    CHECK(block =
              rng_percent(random, 1) ? scalloc_rt_alloc_large(m, 1, 3 * MB) : scalloc_rt_alloc(m, rooted_slot, rooted_size));
    fill(block, rooted_size);
  }
  block = (void *)atomic_exchange(&shelf[rng_below(random, SHELF)], (uintptr_t)block);
  if (block) CHECK(intact(block, rooted_size));
  scalloc_rt_free(m, block);
}

/* Everything that takes a lock or holds a span, again and again. */
static void use_all(unsigned number, rng *random) {
  size_t rounded;
  size_t what = rng_below(random, 100);
  if (what < 80) {
    use_shelf(theirs[number], random);
  } else if (what < 85) {
    CHECK(scalloc_rt_alloc(theirs[number], shared.slot, shared.size));
  } else if (what < 88) {
    scalloc_rt_retire(theirs[number]);
  } else if (what < 92) {
    CHECK(scalloc_rt_slot(shared.heap, 0, 1 + rng_below(random, 100000), &rounded) != SCALLOC_RT_NO_SLOT);
  } else if (what < 96) {
    world w = world_new(NULL, SCALLOC_RT_UNCOLLECTABLE, 5000);
    for (int i = 0; i < 20; i++) world_alloc(&w);
    world_end(&w);
  } else if (what < 98) {
    scalloc_rt_sweep(shared.heap, theirs[number], 5);
  } else {
    scalloc_rt_detach(scalloc_rt_attach(shared.heap, NULL));
  }
}

/* ---- the child ------------------------------------------------------------------------------------------------------------ */

static void alloc_as_orphan(void *m) {
  for (int i = 0; i < 1000; i++) scalloc_rt_alloc(m, shared.slot, shared.size);
}
static void alloc_large_as_orphan(void *m) { scalloc_rt_alloc_large(m, 0, 10000); }

static void use_own(void) {
  for (size_t i = 0; i < OWN; i++) CHECK(intact(own[i], shared.size) && intact(rooted[i], rooted_size));
  for (int i = 0; i < 2000; i++) fill(world_alloc(&shared), shared.size);
  for (size_t i = 0; i < OWN; i++) CHECK(intact(own[i], shared.size) && intact(rooted[i], rooted_size));
}

static void free_the_parents(void) {
  for (size_t i = 0; i < SHELF; i++) {
    void *block = (void *)atomic_exchange(&shelf[i], 0);
    if (block && is_live(shared.heap, block)) scalloc_rt_free(NULL, block); /* not if another thread was freeing it */
  }
  for (size_t i = 0; i < OWN; i++) scalloc_rt_free(i % 2 ? shared.mutator : NULL, rooted[i]);
}

static void collect_and_sweep(void) {
  cycle_keeping(shared.heap, own, OWN);
  sweep_all(shared.heap);
  for (size_t i = 0; i < OWN; i++) CHECK(intact(own[i], shared.size) && is_live(shared.heap, own[i]));
}

static void see_that_it_is_sound(void) { check_heap(); }

static void detach_orphans(void) {
  for (size_t i = 0; i < WORKERS; i++) {
    if (theirs[i] == NULL) continue;
    CHECK(theirs[i]->hole[shared.slot].cur >= theirs[i]->hole[shared.slot].lim);
    scalloc_rt_detach(theirs[i]);
    theirs[i] = NULL;
  }
}

static void live_as_child(long round) {
  static void (*const parts[])(void) = {use_own, collect_and_sweep, see_that_it_is_sound, detach_orphans};
  if (round % 10 == 0) {
    aborts(alloc_as_orphan, theirs[0], "invalid call", "fork left behind");
    aborts(alloc_large_as_orphan, theirs[1], "invalid call", "fork left behind");
  }
  for (size_t i = 0; i < LENGTH(parts); i++) parts[((size_t)round + i) % LENGTH(parts)]();
  free_the_parents();
  collect_and_sweep();
  CHECK_INT(glue_now(shared.heap).hot, <=, (long long)shared.mutator->nslots);
  check_heap();
  scalloc_rt_heap_destroy(shared.heap);
  world w = world_new(NULL, 0, 100);
  fill(world_alloc(&w), w.size);
  world_end(&w);
  check_heap();
}

/* ---- the parent ----------------------------------------------------------------------------------------------------------- */

static void fork_once(long round) {
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    child_begin();
    live_as_child(round);
    _exit(0);
  }
  child_end(pid, round);
}

static void fork_or_work(unsigned number, void *context) {
  rng random = {number};
  (void)context;
  if (number < WORKERS) {
    for (; !atomic_load(&over); atomic_fetch_add(&worked, 1)) use_all(number, &random);
    scalloc_rt_detach(theirs[number]);
    return;
  }
  while (atomic_load(&worked) < 100) sched_yield();
  CHECK(shared.mutator = scalloc_rt_attach(shared.heap, NULL));
  for (size_t i = 0; i < OWN; i++) {
    fill(own[i] = world_alloc(&shared), shared.size);
    fill(rooted[i] = scalloc_rt_alloc(shared.mutator, rooted_slot, rooted_size), rooted_size);
  }
  for (long round = 0; round < scaled(100); round++) {
    fork_once(round);
    for (int i = 0; i < 50; i++) world_alloc(&shared);
    nanosleep(&(struct timespec){0, (long)rng_below(&random, 300000)}, NULL);
  }
  atomic_store(&over, true);
}

static void attach_workers(void) {
  shared = world_new(NULL, 0, 300);
  scalloc_rt_detach(shared.mutator);
  rooted_slot = slot_for(shared.heap, kind_with(shared.heap, SCALLOC_RT_UNCOLLECTABLE), 800, &rooted_size);
  for (size_t i = 0; i < WORKERS; i++) CHECK(theirs[i] = scalloc_rt_attach(shared.heap, NULL));
}

static void forks_under_load(void) {
  if (UNDER_TSAN) exit(SKIP_CODE); /* it lets no child of several threads live on */
  attach_workers();
  in_threads(WORKERS + 1, fork_or_work, NULL);
  printf("  %ld forks, %ld operations of others\n", scaled(100), atomic_load(&worked));
  scalloc_rt_heap_destroy(shared.heap);
  check_ends();
}

/* ---- forks at known places ---------------------------------------------------------------------------------------------------- */

static world single;
static void *single_blocks[100];

static void finish_the_cycle(void) {
  for (size_t i = 0; i < LENGTH(single_blocks); i += 2) mark(single.heap, single_blocks[i]);
  scalloc_rt_cycle_end(single.heap);
  for (size_t i = 0; i < LENGTH(single_blocks); i++) CHECK(is_live(single.heap, single_blocks[i]) == (i % 2 == 0));
  sweep_all(single.heap);
  check_heap();
  CHECK(world_alloc(&single));
}

static void begin_single(void) {
  single = world_new(NULL, 0, 777);
  for (size_t i = 0; i < LENGTH(single_blocks); i++) fill(single_blocks[i] = world_alloc(&single), single.size);
  scalloc_rt_retire(single.mutator);
  scalloc_rt_cycle_begin(single.heap);
  mark(single.heap, single_blocks[0]);
}

/* The thread that forks is the collector: parent and child both end the cycle. */
static void fork_within_ones_own_cycle(void) {
  begin_single();
  in_child(finish_the_cycle);
  finish_the_cycle();
  world_end(&single);
  check_ends();
}

static void no_cycle_runs(void) {
  scalloc_rt_mutator *m = scalloc_rt_attach(single.heap, NULL);
  for (size_t i = 0; i < LENGTH(single_blocks); i++) CHECK(intact(single_blocks[i], single.size));
  cycle_keeping(single.heap, single_blocks, LENGTH(single_blocks)); /* begin aborts if one runs */
  for (size_t i = 0; i < LENGTH(single_blocks); i++) CHECK(is_live(single.heap, single_blocks[i]));
  CHECK(scalloc_rt_alloc(m, single.slot, single.size));
}
static void fork_in_a_thread(unsigned number, void *context) {
  (void)number, (void)context;
  in_child(no_cycle_runs);
}
/* Another thread forks: its child has no collector, and the cycle is as if it had not begun. */
static void fork_within_anothers_cycle(void) {
  if (UNDER_TSAN) exit(SKIP_CODE);
  begin_single();
  in_threads(1, fork_in_a_thread, NULL);
  finish_the_cycle();
  world_end(&single);
  check_ends();
}

static void use_single(void) { world_use(&single); }

/* Called by a runtime that needs an order of its own, around the library's own handlers, and deeper. */
static void fork_with_explicit_handlers(void) {
  single = world_new(NULL, 0, 333);
  for (int depth = 1; depth <= 3; depth++) {
    for (int i = 0; i < depth; i++) scalloc_rt_fork_prepare();
    use_single(); /* the thread that prepares is not held up */
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
      child_begin();
      for (int i = 0; i < depth; i++) scalloc_rt_fork_child();
      use_single();
      in_child(use_single);
      _exit(0);
    }
    for (int i = 0; i < depth; i++) scalloc_rt_fork_parent();
    use_single();
    child_end(pid, depth);
  }
  world_end(&single);
  check_ends();
}

static atomic_bool prepared, allocated;

static void prepare_or_allocate(unsigned number, void *context) {
  (void)context;
  if (number == 0) {
    scalloc_rt_mutator *m = scalloc_rt_attach(single.heap, NULL);
    CHECK(scalloc_rt_alloc(m, single.slot, single.size));
    wait_until(&prepared);
    scalloc_rt_retire(m); /* held up here, until the fork is over */
    atomic_store(&allocated, true);
    scalloc_rt_detach(m);
    return;
  }
  sleep_ms(20);
  scalloc_rt_fork_prepare();
  scalloc_rt_fork_prepare();
  atomic_store(&prepared, true);
  sleep_ms(100);
  scalloc_rt_fork_parent();
  sleep_ms(100);
  CHECK(!atomic_load(&allocated));
  scalloc_rt_fork_parent();
  wait_until(&allocated);
}

/* Between prepare and its parent no slow path of another thread goes on. */
static void prepare_holds_others_up(void) {
  single = world_new(NULL, 0, 333);
  in_threads(2, prepare_or_allocate, NULL);
  world_end(&single);
  check_ends();
}

/* From the pressure hook, where the thread is in no slow path. */
static int forks_in_hook;
static bool fork_in_hook(void *ud, scalloc_rt_mutator *m, size_t bytes, int why) {
  (void)ud, (void)bytes, (void)why;
  m->budget = 1000000;
  if (forks_in_hook++ < 3) in_child(use_single);
  return false;
}
static void fork_in_the_pressure_hook(void) {
  scalloc_rt_heap_conf conf = {.size = sizeof conf, .hooks = {.pressure = fork_in_hook}};
  single = world_new(&conf, 0, 333);
  single.mutator->budget = 1000;
  use_single();
  CHECK_INT(forks_in_hook, >=, 3);
  world_end(&single);
  check_ends();
}

PARTS_MAIN(PART(forks_under_load), PART(fork_within_ones_own_cycle), PART(fork_within_anothers_cycle),
           PART(fork_with_explicit_handlers), PART(prepare_holds_others_up), PART(fork_in_the_pressure_hook))
