/*
 * lifecycle.c - property 24: it works at every moment in the life of a process and of a thread.
 *
 *   lifecycle [--runs N]   N runs of each program below, each a process of its own with an alarm; 1,000 at full length
 *
 *   edges    from .preinit_array, before any constructor, through constructors and main to atexit and destructors
 *   c11      in threads of thrd_create, and in one that libc makes for a timer
 *   leaving  in TSD destructors, all rounds of them, and in destructors of thread_local objects
 *   forked   in the child of a fork taken under load, and in what it executes
 */
#include "properties.h"

#include <stdatomic.h>
#include <threads.h>

enum { SECONDS = 60 };

static void use_all_sizes(void) {
  for (size_t size = 1; size <= 3 * MB; size = size * 5 + 3) {
    unsigned char *block = scalloc_malloc(size);
    CHECK(block != NULL);
    fill(block, size);
    unsigned char *grown = scalloc_realloc(block, 2 * size);
    CHECK(grown && intact_prefix(grown, size, block, size));
    scalloc_free(grown);
  }
}

/* ---- the edges of a process ------------------------------------------------------------------------------------------- */

static bool edges_wanted; /* only that program allocates so early */
static unsigned char *earliest, *early;
static atomic_int passed;

static unsigned char *make(size_t size) {
  unsigned char *block = scalloc_malloc(size);
  CHECK(block != NULL);
  fill(block, size);
  return block;
}

static void before_constructors(int argc, char **argv, char **environment) {
  (void)environment;
  edges_wanted = argc > 1 && strcmp(argv[1], "edges") == 0;
  if (!edges_wanted) return;
  earliest = make(300);
  use_all_sizes();
  passed++;
}

__attribute__((section(".preinit_array"), used)) static void (*preinit)(int, char **, char **) = before_constructors;

__attribute__((constructor(101))) static void first_constructor(void) {
  if (!edges_wanted) return;
  CHECK(passed == 1 && intact(earliest, 300));
  early = make(5000);
  passed++;
}

__attribute__((destructor(101))) static void last_destructor(void) {
  if (!edges_wanted) return;
  CHECK(passed == 4);
  use_all_sizes();
  CHECK(intact(earliest, 300));
  scalloc_free(earliest);
  check_heap();
  if (write(STDERR_FILENO, "edges passed\n", 13) != 13) _exit(1);
}

static void at_exit(void) {
  CHECK(passed == 3 && intact(early, 5000));
  scalloc_free(early);
  use_all_sizes();
  passed++;
}

static void edges(void) {
  alarm(SECONDS);
  CHECK(passed == 2 && preinit != NULL);
  CHECK(intact(earliest, 300) && intact(early, 5000));
  CHECK(atexit(at_exit) == 0);
  use_all_sizes();
  passed++;
}

/* ---- threads that are not pthread_create's ---------------------------------------------------------------------------- */

static int in_c11_thread(void *block) {
  use_all_sizes();
  scalloc_free(block);
  return 7;
}

static sem_t rung;

static void on_timer(union sigval value) {
  use_all_sizes();
  scalloc_free(value.sival_ptr);
  sem_post(&rung);
}

static void c11(void) {
  thrd_t thread;
  timer_t timer;
  int result;
  alarm(SECONDS);
  stats before = stats_now();
  for (int i = 0; i < 8; i++) {
    CHECK(thrd_create(&thread, in_c11_thread, scalloc_malloc(40)) == thrd_success);
    CHECK(thrd_join(thread, &result) == thrd_success && result == 7);
  }
  CHECK(sem_init(&rung, 0, 0) == 0);
  struct sigevent event = {.sigev_notify = SIGEV_THREAD, .sigev_notify_function = on_timer};
  event.sigev_value.sival_ptr = scalloc_malloc(77);
  CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
  CHECK(timer_settime(timer, 0, &(struct itimerspec){.it_value = {0, 1000}}, NULL) == 0);
  while (sem_wait(&rung) != 0) continue;
  timer_delete(timer);
  scalloc_purge();
  CHECK_INT(stats_now().live, ==, before.live);
}

/* ---- threads that leave ----------------------------------------------------------------------------------------------- */

enum { KEYS = 12 };

static pthread_key_t keys[KEYS];
static atomic_int destroyed, thread_locals_destroyed;

/* Sets its value again, so that it is called in every round there is: before and after the heap of the thread is gone. */
static void tsd_destructor(void *value) {
  void *const *at = value;
  pthread_key_t key;
  memcpy(&key, at, sizeof key);
  CHECK(intact((char *)value + 16, 200));
  scalloc_free(value);
  use_all_sizes();
  atomic_fetch_add(&destroyed, 1);
  if (rng_below(&(rng){(uint64_t)atomic_load(&destroyed)}, 10) == 0) return;
  unsigned char *again = scalloc_malloc(216);
  memcpy(again, &key, sizeof key);
  fill(again + 16, 200);
  CHECK(pthread_setspecific(key, again) == 0);
}

static void last_value(void *value) { scalloc_free(value); }

/* What a C++ thread_local with a destructor becomes. */
int __cxa_thread_atexit_impl(void (*destructor)(void *), void *object, void *dso);
extern void *__dso_handle;

static void thread_local_destructor(void *object) {
  CHECK(intact(object, 500));
  scalloc_free(object);
  use_all_sizes();
  atomic_fetch_add(&thread_locals_destroyed, 1);
}

static void *leave_values(void *argument) {
  for (int i = 0; i < KEYS; i++) {
    unsigned char *value = scalloc_malloc(216);
    memcpy(value, &keys[i], sizeof keys[i]);
    fill(value + 16, 200);
    CHECK(pthread_setspecific(keys[i], value) == 0);
  }
  CHECK(__cxa_thread_atexit_impl(thread_local_destructor, make(500), &__dso_handle) == 0);
  return argument;
}

static void leaving(void) {
  enum { THREADS = 6 };
  pthread_t threads[THREADS];
  alarm(SECONDS);
  for (int i = 0; i < KEYS; i++) CHECK(pthread_key_create(&keys[i], i % 4 == 3 ? last_value : tsd_destructor) == 0);
  for (int i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, leave_values, NULL) == 0);
  for (int i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  for (uint32_t id = 1; id <= heap_count(); id++) /* no thread, no heap, however late it was made */
    CHECK(heap_at(id)->status != HEAP_LIVE || heap_at(id) == thread_heap);
  CHECK_INT(thread_locals_destroyed, ==, THREADS);
  CHECK_INT(destroyed, >=, 2 * THREADS * KEYS * 3 / 4);
  take_census();
  check_heap();
}

/* ---- forks ------------------------------------------------------------------------------------------------------------ */

enum { SLOTS = 400, BUSY = 4 };

static _Atomic(size_t *) slots[SLOTS];
static atomic_bool stop;

static void free_checked(size_t *block) {
  if (!block) return;
  CHECK(intact(block + 1, *block - sizeof *block));
  scalloc_free(block);
}

static void *be_busy(void *seed) {
  rng random = {(uintptr_t)seed};
  while (!atomic_load(&stop)) {
    size_t size = sizeof(size_t) + rng_log(&random, rng_percent(&random, 95) ? 13 : 21), *block = scalloc_malloc(size);
    CHECK(block != NULL);
    *block = size;
    fill(block + 1, size - sizeof *block);
    free_checked(atomic_exchange(&slots[rng_below(&random, SLOTS)], block));
  }
  return NULL;
}

static void in_the_child(void) {
  pthread_t thread;
  alarm(SECONDS);
  atomic_store(&stop, false);
  use_all_sizes();
  CHECK(pthread_create(&thread, NULL, be_busy, (void *)99) == 0);
  for (size_t i = 0; i < SLOTS; i++) free_checked(atomic_exchange(&slots[i], NULL));
  use_all_sizes();
  atomic_store(&stop, true);
  CHECK(pthread_join(thread, NULL) == 0);
  for (size_t i = 0; i < SLOTS; i++) free_checked(atomic_exchange(&slots[i], NULL));
  take_census();
  check_heap();
  char *again[] = {(char *)(uintptr_t) "self", (char *)(uintptr_t) "edges", NULL};
  execv("/proc/self/exe", again);
  _exit(127);
}

static void forked(void) {
  pthread_t threads[BUSY];
  alarm(SECONDS);
  for (uintptr_t i = 0; i < BUSY; i++) CHECK(pthread_create(&threads[i], NULL, be_busy, (void *)(i + 1)) == 0);
  for (int i = 0; i < 3; i++) {
    int status;
    use_all_sizes();
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) in_the_child();
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK_INT(status, ==, 0);
  }
  atomic_store(&stop, true);
  for (int i = 0; i < BUSY; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  for (size_t i = 0; i < SLOTS; i++) free_checked(slots[i]);
  check_heap();
}

static void lifecycle(void) {
  static const char *const programs[] = {"edges", "c11", "leaving", "forked"};
  long runs = argument("--runs", 10);
  if (UNDER_TSAN) skip_under_sanitizers(); /* it ends its own state of a thread before the last destructors run */
  for (long run = 0; run < runs; run++)
    for (size_t i = 0; i < LENGTH(programs); i++) {
      if (UNDER_SANITIZER && strcmp(programs[i], "forked") == 0)
        continue; /* ASan's own lock hangs where threads start during a fork */
      child c = run_self_ok(programs[i], NULL, 0);
      if (i == 0) CHECK(strcmp(c.err, "edges passed\n") == 0);
    }
  printf("%ld runs of %zu programs\n", runs, LENGTH(programs));
}

MODES(MODE(lifecycle), MODE(edges), MODE(c11), MODE(leaving), MODE(forked))
