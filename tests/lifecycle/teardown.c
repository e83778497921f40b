/*
 * teardown.c - scalloc before main, after it, and in every way in which a thread can end.
 *
 *   teardown [MODE]     without one, everything; processes that have to end in some way are this program again
 *
 * Two keys for thread-specific data are made before the library makes its own, so their destructors run before the heap of the
 * thread is retired; two are made later, so theirs run after it.
 */
#include "life.h"
#include <limits.h>
#include <threads.h>

/* Every round there is; TSan ends its own part of a thread in the last one. */
enum { EARLY_KEYS = 2, KEYS = 4, ROUNDS = PTHREAD_DESTRUCTOR_ITERATIONS - UNDER_TSAN };

static void say(const char *text) { CHECK(write(STDERR_FILENO, text, strlen(text)) == (ssize_t)strlen(text)); }

/* ---- before main and after it ---------------------------------------------------------------------------------------- */

static pthread_key_t keys[KEYS];
static block *early, *last_of_main;
static bool tell; /* in a process whose words are read */

static void destroy_value(void *value);

__attribute__((constructor(101))) static void very_early(void) {
  for (size_t i = 0; i < EARLY_KEYS; i++) CHECK(pthread_key_create(&keys[i], destroy_value) == 0);
  early = block_new(100);
  use_all_sizes();
  use_heaps();
}

__attribute__((constructor)) static void before_main(void) {
  block_check(early);
  use_all_sizes();
}

static void at_exit(void) {
  block_check(early);
  use_all_sizes();
  use_heaps();
  if (tell) say("atexit ");
}

static void at_quick_exit_(void) {
  use_all_sizes();
  if (tell) say("quick ");
}

__attribute__((destructor)) static void after_main(void) {
  use_all_sizes();
  block_free(last_of_main);
  if (tell) say("destructor ");
}

__attribute__((destructor(101))) static void very_late(void) {
  block_free(early);
  use_all_sizes();
  use_heaps();
  if (tell) say("last\n");
}

/* ---- destructors of thread-specific data ----------------------------------------------------------------------------- */

static atomic_int destructions[KEYS];

typedef struct value {
  size_t key, round;
  block *foreign; /* of another thread */
} value;

/* Sets a value again for as many rounds as there are. */
static void destroy_value(void *old_value) {
  value old = *(value *)old_value, *next = NULL;
  block_free(old.foreign);
  scalloc_free(old_value);
  use_all_sizes();
  atomic_fetch_add(&destructions[old.key], 1);
  if (old.round + 1 == ROUNDS) return;
  CHECK(next = (value *)scalloc_malloc(sizeof *next));
  *next = (value){old.key, old.round + 1, block_new(700 * KB)};
  CHECK(pthread_setspecific(keys[old.key], next) == 0);
}

static void *set_values(void *foreign) {
  for (size_t i = 0; i < KEYS; i++) {
    value *first = (value *)scalloc_malloc(sizeof *first);
    CHECK(first != NULL);
    *first = (value){i, 0, i == 0 ? (block *)foreign : block_new(50 * i)};
    CHECK(pthread_setspecific(keys[i], first) == 0);
  }
  return NULL;
}

/* Allocates nothing before its destructors do. */
static void *set_values_of_another(void *values) {
  for (size_t i = 0; i < KEYS; i++) CHECK(pthread_setspecific(keys[i], ((value **)values)[i]) == 0);
  return NULL;
}

static void run_thread(void *(*run)(void *), void *argument) {
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, run, argument) == 0 && pthread_join(thread, NULL) == 0);
}

static void destructors_may_use_it_in_every_round(void) {
  enum { TIMES = 40 };
  stats before = stats_now();
  for (size_t i = 0; i < KEYS; i++) atomic_store(&destructions[i], 0);
  for (int i = 0; i < TIMES; i++) run_thread(set_values, block_new(3000));
  for (int i = 0; i < TIMES; i++) {
    value *values[KEYS];
    for (size_t k = 0; k < KEYS; k++) {
      CHECK(values[k] = (value *)scalloc_malloc(sizeof *values[k]));
      *values[k] = (value){k, 0, block_new(300)};
    }
    run_thread(set_values_of_another, values);
  }
  for (size_t i = 0; i < KEYS; i++) CHECK_INT(destructions[i], ==, 2 * TIMES * ROUNDS);
  check_all_returned(before);
}

/* ---- ways for a thread to end ---------------------------------------------------------------------------------------- */

static void free_in_cleanup(void *one) { block_free((block *)one); }

__attribute__((noinline)) static void exit_from(unsigned depth, block *left) {
  block *mine = block_new(64 * KB << depth);
  pthread_cleanup_push(free_in_cleanup, mine);
  if (depth > 0)
    exit_from(depth - 1, left);
  else if (left)
    pthread_exit(left);
  pthread_cleanup_pop(1);
}

static void *exit_from_a_nested_call(void *left) {
  set_values(NULL);
  exit_from(5, (block *)left);
  return NULL;
}

static void by_pthread_exit_in_a_nested_call(void) {
  stats before = stats_now();
  for (int i = 0; i < 20; i++) {
    pthread_t thread;
    void *left;
    CHECK(pthread_create(&thread, NULL, exit_from_a_nested_call, block_new(1000)) == 0 && pthread_join(thread, &left) == 0);
    block_free((block *)left);
  }
  check_all_returned(before);
}

static void *allocate_until_cancelled(void *started) {
  block *mine = block_new(70000);
  set_values(NULL);
  pthread_cleanup_push(free_in_cleanup, mine);
  for (;;) {
    use_heaps();
    atomic_store((atomic_bool *)started, true);
    pthread_testcancel();
  }
  pthread_cleanup_pop(1);
  return NULL;
}

static void by_cancellation(void) {
  stats before = stats_now();
  for (int i = 0; i < 20; i++) {
    pthread_t thread;
    void *result;
    atomic_bool started = false;
    CHECK(pthread_create(&thread, NULL, allocate_until_cancelled, &started) == 0);
    while (!atomic_load(&started)) sched_yield();
    CHECK(pthread_cancel(thread) == 0 && pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED);
  }
  check_all_returned(before);
}

static _Atomic(block *) left_by_detached[64];

static void *leave_and_go(void *place) {
  use_heaps();
  set_values(NULL);
  atomic_store((_Atomic(block *) *)place, block_new(5000));
  return NULL;
}

static bool alone(void) { return proc_kb("/proc/self/status", "\nThreads:") == 1; }

static void detached(void) {
  if (UNDER_TSAN) return; /* it sees no order between the end of a detached thread and what follows */
  stats before = stats_now();
  pthread_attr_t attributes;
  CHECK(pthread_attr_init(&attributes) == 0);
  CHECK(pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) == 0);
  for (size_t i = 0; i < LENGTH(left_by_detached); i++) {
    pthread_t thread;
    CHECK(pthread_create(&thread, &attributes, leave_and_go, (void *)&left_by_detached[i]) == 0);
  }
  for (size_t i = 0; i < LENGTH(left_by_detached); i++) {
    while (atomic_load(&left_by_detached[i]) == NULL) sched_yield();
    block_free(left_by_detached[i]);
  }
  for (int i = 0; i < 20000 && !alone(); i++) sleep_ms(1);
  check_all_returned(before);
}

static int run_c11(void *argument) {
  use_all_sizes();
  block_free((block *)argument);
  set_values(NULL);
  thrd_exit(7);
}

static tss_t c11_key;
static atomic_int c11_destructions;

static void destroy_c11(void *one) {
  block_free((block *)one);
  use_all_sizes();
  atomic_fetch_add(&c11_destructions, 1);
}

static int run_c11_with_value(void *argument) {
  (void)argument;
  CHECK(tss_set(c11_key, block_new(300)) == thrd_success);
  return 0;
}

static void c11_threads(void) {
  if (UNDER_TSAN) return; /* that of GCC 12 does not know thrd_create */
  stats before = stats_now();
  CHECK(tss_create(&c11_key, destroy_c11) == thrd_success);
  for (int i = 0; i < 20; i++) {
    thrd_t one, other;
    int result;
    CHECK(thrd_create(&one, run_c11, block_new(50)) == thrd_success);
    CHECK(thrd_create(&other, run_c11_with_value, NULL) == thrd_success);
    CHECK(thrd_join(one, &result) == thrd_success && result == 7 && thrd_join(other, NULL) == thrd_success);
  }
  tss_delete(c11_key);
  CHECK_INT(c11_destructions, ==, 20);
  check_all_returned(before);
}

/* ---- ways for a process to end --------------------------------------------------------------------------------------- */

static pthread_t main_thread;

static void *outlive_main(void *of_main) {
  CHECK(pthread_join(main_thread, NULL) == 0);
  block_free((block *)of_main);
  use_everything();
  check_heap();
  exit(0);
}

static void main_exits_first(void) {
  pthread_t thread;
  main_thread = pthread_self();
  set_values(NULL);
  CHECK(pthread_create(&thread, NULL, outlive_main, block_new(2 * MB)) == 0);
  pthread_exit(NULL);
}

static void *never_end(void *argument) {
  for (;;) use_heaps();
  return argument;
}

static void *call_exit(void *argument) {
  last_of_main = block_new(90000);
  exit(argument == NULL ? 0 : 1);
}

static void exit_in_a_thread_among_others(void) {
  pthread_t thread;
  for (int i = 0; i < 3; i++) CHECK(pthread_create(&thread, NULL, never_end, NULL) == 0);
  CHECK(pthread_create(&thread, NULL, call_exit, NULL) == 0);
  never_end(NULL);
}

/* Statistics taken while other threads allocate are approximate, which TSan calls a race. */
static void check_last_words(const char *mode, const char *const *words) {
  char statistics[] = "SCALLOC_STATS=1", *environment[] = {UNDER_TSAN ? NULL : statistics, NULL};
  for (int i = 0; i < 5; i++) {
    child ended = run_self_ok(mode, environment, 0);
    for (size_t k = 0; words[k]; k++)
      if (!strstr(ended.err, words[k])) test_fail(__FILE__, __LINE__, "'%s' said '%s', not %s", mode, ended.err, words[k]);
  }
}

static void processes_end_in_every_way(void) {
  static const char *const quick[] = {"quick", NULL};
  static const char *const all[] = {"atexit", "destructor", "last", UNDER_TSAN ? NULL : "\"spans_opened\"", NULL};
  if (!UNDER_TSAN) check_last_words("main-exits-first", all); /* TSan dies itself when the main thread is joined */
  check_last_words("exit-in-a-thread", all);
  check_last_words("return", all);
  check_last_words("quick", quick);
}

int main(int argc, char **argv) {
  for (size_t i = EARLY_KEYS; i < KEYS; i++) CHECK(pthread_key_create(&keys[i], destroy_value) == 0);
  CHECK(atexit(at_exit) == 0 && at_quick_exit(at_quick_exit_) == 0);
  block_check(early);
  tell = argc > 1;
  if (argc > 1) alarm(CHILD_SECONDS);
  if (argc > 1 && strcmp(argv[1], "main-exits-first") == 0) main_exits_first();
  if (argc > 1 && strcmp(argv[1], "exit-in-a-thread") == 0) exit_in_a_thread_among_others();
  if (argc > 1 && strcmp(argv[1], "quick") == 0) quick_exit(0);
  if (argc > 1) return 0;
  use_everything();
  destructors_may_use_it_in_every_round();
  by_pthread_exit_in_a_nested_call();
  by_cancellation();
  detached();
  c11_threads();
  processes_end_in_every_way();
  return 0;
}
