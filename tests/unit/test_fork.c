/*
 * test_fork.c - the child of a fork may use everything, whatever the other threads were doing at that moment: at random moments
 * of real threads, and with another thread standing in each single call of the OS.
 */
#include "unit.h"

#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "large.h"
#include "lists.h"

enum { SHELF = 256, WORKERS = 3 };

static _Atomic(void *) shelf[SHELF]; /* blocks that nobody holds but this table */
static atomic_bool stop;

static void put_on_shelf(rng *random, void *block) { scalloc_free(atomic_exchange(&shelf[rng_below(random, SHELF)], block)); }

/* ---- the child --------------------------------------------------------------------------------------------------------- */

static void use_everything(void) {
  void *blocks[64];
  bool zeroed;
  check_heap();
  for (int i = 0; i < SHELF; i++) scalloc_free(atomic_exchange(&shelf[i], NULL));
  check_heap();
  for (size_t i = 0; i < LENGTH(blocks); i++) fill(blocks[i] = scalloc_malloc((size_t)1 << i % 22), (size_t)1 << i % 22);
  for (size_t i = 0; i < LENGTH(blocks); i++) {
    CHECK(intact(blocks[i], (size_t)1 << i % 22));
    scalloc_free(blocks[i]);
  }
  scalloc_heap *h = scalloc_heap_new();
  CHECK(h != NULL);
  for (int i = 0; i < 1000; i++) CHECK(scalloc_heap_malloc(h, (size_t)i) != NULL);
  scalloc_heap_destroy(h);
  span *s = large_take(3 * MB, 1, false, &zeroed);
  CHECK(s != NULL);
  large_release(s);
  scalloc_purge();
  check_heap();
}

static void live(void *context) {
  (void)context;
  use_everything();
}

/* Forks now; in the child everything must work. */
static void fork_and_use(void) { CHECK(unit_child(live, NULL, 20)); }

/* ---- random moments ---------------------------------------------------------------------------------------------------- */

static heap_kind worker_kind;
static atomic_uint worker_number;

static void work(void *context) {
  rng random = {atomic_fetch_add(&worker_number, 1) + (uint64_t)time(NULL)};
  heap *h = worker_kind == HEAP_THREAD ? NULL : heap_create(worker_kind);
  (void)context;
  void *own[64] = {0};
  while (!atomic_load(&stop)) {
    size_t at = rng_below(&random, 64), size = rng_log(&random, rng_percent(&random, 1) ? 23 : 15);
    if (h == NULL) {
      void *block = scalloc_malloc(size);
      if (block) *(char *)block = 1;
      if (rng_percent(&random, 5)) block = scalloc_realloc(block, rng_log(&random, 15));
      put_on_shelf(&random, block);
    } else {
      scalloc_heap_free(h, own[at]);
      own[at] = scalloc_heap_malloc(h, size);
      if (own[at] && rng_percent(&random, 5)) own[at] = scalloc_heap_realloc(h, own[at], rng_log(&random, 15));
    }
  }
  for (int i = 0; h != NULL && i < 64; i++) scalloc_heap_free(h, own[i]);
}

static void fork_while_threads_work(heap_kind kind, int rounds) {
  unit_thread *workers[WORKERS];
  rng random = {7};
  CHECK(scalloc_option_set("SCALLOC_PURGE_DELAY_MS", 0));
  scalloc_free(scalloc_malloc(1));
  worker_kind = kind;
  for (int i = 0; i < WORKERS; i++) workers[i] = unit_start(work, NULL);
  for (int round = 0; round < rounds; round++) {
    struct timespec moment = {0, (long)rng_below(&random, 1000000)};
    nanosleep(&moment, NULL);
    put_on_shelf(&random, scalloc_malloc(100));
    fork_and_use();
  }
  atomic_store(&stop, true);
  for (int i = 0; i < WORKERS; i++) unit_join(workers[i]);
  for (int i = 0; i < SHELF; i++) scalloc_free(atomic_exchange(&shelf[i], NULL));
  check_heap(); /* the parent lost nothing either */
}

static void threads_with_their_own_heaps(void) { fork_while_threads_work(HEAP_THREAD, 50); }
static void threads_with_user_heaps(void) { fork_while_threads_work(HEAP_USER, 30); }
static void threads_with_exclusive_heaps(void) { fork_while_threads_work(HEAP_EXCLUSIVE, 30); }

/* ---- chosen moments ---------------------------------------------------------------------------------------------------- */

static atomic_int stage; /* 1: the other thread stands in its call; 2: it may go on */

static void stand_still(void *context) {
  (void)context;
  atomic_store(&stage, 1);
  for (int ms = 0; ms < 100 && atomic_load(&stage) != 2; ms++) sleep_ms(1); /* in case the fork waits for a lock of ours */
}

/* Everything that is zeroed at no cost is zero, until the arena is full. */
static void take_all_and_see(void *context) {
  (void)context;
  check_heap();
  for (unsigned i = 0; i < 1000; i++) {
    unsigned char *block = scalloc_calloc(1, 2 * MB);
    if (block == NULL) break;
    CHECK(all_bytes(block, 2 * MB, 0));
  }
  check_heap();
}

typedef struct {
  void (*act)(void);
  atomic_bool done;
} task;

static void run_task(void *context) {
  task *mine = context;
  mine->act();
  atomic_store(&mine->done, true);
}

/* Another thread runs `act`; forks while it stands in its nth call of a kind. False: it made fewer. */
static bool fork_in_call(void (*act)(void), os_call call, long nth) {
  task other = {act, false};
  os_fake_hook(call, nth, stand_still, NULL);
  unit_thread *thread = unit_start(run_task, &other);
  while (atomic_load(&stage) == 0 && !atomic_load(&other.done)) sched_yield();
  bool reached = atomic_load(&stage) == 1;
  if (reached) {
    bool good = unit_child(take_all_and_see, NULL, 10) && unit_child(live, NULL, 10);
    if (!good) test_fail(__FILE__, __LINE__, "fork while another thread is in its call %ld of kind %d", nth, (int)call);
    atomic_store(&stage, 2);
  }
  unit_join(thread);
  check_heap();
  return reached;
}

static struct {
  void (*prepare)(void), (*act)(void);
  os_call call;
  long nth;
} plan;

static void follow_plan(void *context) {
  plan.prepare();
  *(volatile bool *)context = fork_in_call(plan.act, plan.call, plan.nth);
}

/* One life for every call of the kind that `act` makes after `prepare`. */
static void fork_in_each_call(void (*prepare)(void), void (*act)(void), os_call call, long at_least) {
  volatile bool *reached = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  long n = 0;
  do {
    plan.prepare = prepare, plan.act = act, plan.call = call, plan.nth = ++n;
    CHECK(unit_child(follow_plan, (void *)(uintptr_t)reached, 30));
  } while (*reached);
  CHECK_INT(n - 1, >=, at_least);
}

/* Threads that never made a heap of their own are no reason for the child to hang, nor is a first allocation on its way. */
static void nothing_yet(void) { CHECK(scalloc_option_set("SCALLOC_ARENA_BYTES", 256 << 20)); }

static void allocate_once(void) { CHECK(scalloc_malloc(100) != NULL); }

static void in_the_first_allocation(void) {
  fork_in_each_call(nothing_yet, allocate_once, OS_RESERVE, 1);
  fork_in_each_call(nothing_yet, allocate_once, OS_OPEN, 3);
}

static void some_use(void) {
  nothing_yet();
  scalloc_free(scalloc_malloc(100));
}

static void empty_small_spans(void) {
  void *blocks[200];
  for (int i = 0; i < 200; i++) memset(blocks[i] = scalloc_malloc(50000), 0xa5, 50000);
  for (int i = 0; i < 200; i++) scalloc_free(blocks[i]);
  scalloc_purge();
}

static void in_the_purge_of_the_pool(void) { fork_in_each_call(some_use, empty_small_spans, OS_PURGE, 4); }
static void in_the_way_to_the_pool(void) { fork_in_each_call(some_use, empty_small_spans, OS_NOW, 8); }

static void *dirty_block(size_t size) {
  void *block = scalloc_malloc(size);
  CHECK(block != NULL);
  return memset(block, 0xa5, size);
}

static void empty_large_blocks(void) {
  void *a = dirty_block(7 * MB), *b = dirty_block(70 * MB);
  scalloc_free(b); /* warm, both */
  scalloc_free(a);
  scalloc_purge();
}

static void in_the_purge_of_large_blocks(void) { fork_in_each_call(some_use, empty_large_blocks, OS_PURGE, 2); }
static void in_the_way_to_the_warm_cache(void) { fork_in_each_call(some_use, empty_large_blocks, OS_NOW, 3); }

/* One more than the warm cache holds: the last one waits for the oldest to lose its pages. */
static void free_a_run_too_many(void) {
  enum { RUNS = 65 };
  void *held[RUNS];
  for (int i = 0; i < RUNS; i++) {
    CHECK((held[i] = scalloc_malloc(MB + 1)) != NULL);
    *(char *)held[i] = 1;
  }
  for (int i = 0; i < RUNS; i++) scalloc_free(held[i]);
}

static void while_the_oldest_makes_room(void) { fork_in_each_call(some_use, free_a_run_too_many, OS_PURGE, 1); }

static void shrink_a_large_block(void) {
  void *block = scalloc_realloc(dirty_block(40 * MB), 3 * MB);
  CHECK(all_bytes(block, 3 * MB, 0xa5));
  scalloc_free(block);
}

static void in_a_shrink(void) { fork_in_each_call(some_use, shrink_a_large_block, OS_PURGE, 2); }

static void align_a_warm_block(void) {
  void *warm = dirty_block(30 * MB);
  scalloc_free(scalloc_realloc(warm, 26 * MB)); /* of 30 MB address space, 26 dirty */
  scalloc_purge();
  span *s = span_of(warm = dirty_block(30 * MB));
  s->run_dirty = 4 * MB;
  memset((char *)warm + 4 * MB, 0, 26 * MB);
  scalloc_free(warm);
  CHECK(scalloc_aligned_alloc(8 * MB, 3 * MB) != NULL);
}

static void in_the_alignment_of_a_warm_block(void) { fork_in_each_call(some_use, align_a_warm_block, OS_PURGE, 3); }

/* ---- locks ------------------------------------------------------------------------------------------------------------- */

static void allocate_in_thread(void *context) {
  (void)context;
  allocate_once();
}

static void use_heap(void *h) {
  CHECK(scalloc_heap_malloc(h, 3 * MB) != NULL);
  CHECK(scalloc_heap_malloc(h, 100) != NULL);
  check_heap();
}

/* The lock of a heap, held as by a thread that is linking a span. */
static void hold_its_lock(void *h) {
  list_lock(h);
  atomic_store(&stage, 1);
  sleep_ms(200);
  list_unlock(h);
}

static void fork_while_its_lock_is_held(heap *h) {
  unit_thread *holder = unit_start(hold_its_lock, h);
  while (atomic_load(&stage) == 0) sched_yield();
  CHECK(unit_child(use_heap, h, 5));
  unit_join(holder);
}

static void a_lock_of_another_thread_is_open_in_the_child(void) {
  scalloc_free(scalloc_malloc(1));
  fork_while_its_lock_is_held(scalloc_heap_new());
}

/* A program that allocates from heaps of its own only (Lua states) and never through malloc. */
static void also_where_there_are_only_heaps_of_the_program(void) { fork_while_its_lock_is_held(heap_create(HEAP_EXCLUSIVE)); }

static void also_where_nothing_was_allocated_yet_by_this_thread(void) {
  heap *h = heap_create(HEAP_USER);
  unit_join(unit_start(allocate_in_thread, NULL));
  fork_while_its_lock_is_held(h);
}

/* ---- what the child inherits ------------------------------------------------------------------------------------------- */

static void *kept[1000];
static scalloc_heap *kept_heap;

static void fill_and_wait(void *context) {
  (void)context;
  for (int i = 0; i < 1000; i++) kept[i] = scalloc_malloc(5000);
  atomic_store(&stage, 1);
  while (atomic_load(&stage) != 2) sleep_ms(1);
}

static void free_all_kept(void *context) {
  (void)context;
  CHECK_INT(stats_now().hot, ==, 1); /* this thread's; the other's cooled down */
  uint32_t heaps = heap_count();
  unit_join(unit_start(allocate_in_thread, NULL)); /* gets the heap of the vanished one */
  CHECK_INT(heap_count(), ==, heaps);
  for (int i = 0; i < 1000; i++) scalloc_free(kept[i]);
  stats after = stats_now();
  CHECK_INT(after.live, ==, 16 + 112); /* this thread's and the new one's */
  CHECK_INT(after.floating + after.reusable, ==, 1);
  check_heap();
}

static void blocks_of_vanished_threads_are_freed_to_the_last(void) {
  CHECK(scalloc_malloc(1) != NULL);
  unit_thread *other = unit_start(fill_and_wait, NULL);
  while (atomic_load(&stage) != 1) sleep_ms(1);
  CHECK(unit_child(free_all_kept, NULL, 10));
  atomic_store(&stage, 2);
  unit_join(other);
  for (int i = 0; i < 1000; i++) scalloc_free(kept[i]);
  check_heap();
}

static void fork_again(void *context) {
  fork_and_use();
  live(context);
}

static void the_child_may_fork(void) {
  kept_heap = scalloc_heap_new();
  CHECK(scalloc_heap_malloc(kept_heap, 100) && scalloc_malloc(100));
  CHECK(unit_child(fork_again, NULL, 20));
}

static void a_fork_before_any_use(void) { fork_and_use(); }

UNIT_MAIN(CASE(a_fork_before_any_use), CASE(the_child_may_fork), CASE(blocks_of_vanished_threads_are_freed_to_the_last),
          CASE(a_lock_of_another_thread_is_open_in_the_child), CASE(also_where_there_are_only_heaps_of_the_program),
          CASE(also_where_nothing_was_allocated_yet_by_this_thread), CASE(in_the_first_allocation),
          CASE(in_the_purge_of_the_pool), CASE(in_the_way_to_the_pool), CASE(in_the_purge_of_large_blocks),
          CASE(in_the_way_to_the_warm_cache), CASE(while_the_oldest_makes_room), CASE(in_a_shrink),
          CASE(in_the_alignment_of_a_warm_block), CASE(threads_with_their_own_heaps), CASE(threads_with_user_heaps),
          CASE(threads_with_exclusive_heaps))
