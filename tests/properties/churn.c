/*
 * churn.c - property 23: threads come and go, leaving blocks behind.
 *
 *   churn [--cycles N] [--threads N]
 *
 * N threads (100,000 at full length), a few at a time, allocate and leave some blocks that later threads free; in the end every
 * span is in the pool. Then N threads at once (10,050). Then the steps of a thread's exit are counted (steps_counted.h), which
 * must be the same with 10 floating spans and with 2,000.
 */
#include "properties.h"

#include "steps_counted.h"

#include <stdatomic.h>

enum { AT_ONCE = 6, LEFT = 1024, EACH = 12, STACK = 64 * 1024 };

/* ---- create, leave blocks, exit --------------------------------------------------------------------------------------- */

static _Atomic(unsigned char *) left[LEFT];

static size_t size_of(uintptr_t number, size_t i) { return 16 + ((number * 37 + i * i * 911) % 700 << i % 7); }

static void free_left(unsigned char *block) {
  size_t size;
  if (!block) return;
  memcpy(&size, block, sizeof size);
  CHECK(intact(block + sizeof size, size - sizeof size));
  scalloc_free(block);
}

/* Most blocks stay behind, in places where blocks of threads lie that are gone. */
static void *come_and_go(void *argument) {
  uintptr_t number = (uintptr_t)argument;
  for (size_t i = 0; i < EACH; i++) {
    size_t size = size_of(number, i);
    unsigned char *block = scalloc_malloc(size);
    CHECK(block != NULL);
    memcpy(block, &size, sizeof size);
    fill(block + sizeof size, size - sizeof size);
    free_left(atomic_exchange(&left[mix(number * EACH + i) % LEFT], i % 4 ? block : NULL));
    if (i % 4 == 0) free_left(block);
  }
  return NULL;
}

static void start(pthread_t *thread, void *(*run)(void *), uintptr_t argument_value) {
  pthread_attr_t attributes;
  CHECK(pthread_attr_init(&attributes) == 0 && pthread_attr_setstacksize(&attributes, STACK) == 0);
  int error = pthread_create(thread, &attributes, run, (void *)argument_value);
  if (error != 0) test_fail(__FILE__, __LINE__, "no more threads: %s", strerror(error));
  pthread_attr_destroy(&attributes);
}

static void come_and_go_for_long(long cycles) {
  pthread_t threads[AT_ONCE];
  size_t most = 0;
  for (long cycle = 0; cycle < cycles; cycle++) {
    if (cycle >= AT_ONCE) CHECK(pthread_join(threads[cycle % AT_ONCE], NULL) == 0);
    start(&threads[cycle % AT_ONCE], come_and_go, (uintptr_t)cycle);
    if (cycle == cycles / 4) most = arena_high_water();
  }
  for (long i = 0; i < AT_ONCE; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  printf("%ld threads: %zu spans opened after a quarter, %u in the end\n", cycles, most - 1, arena_high_water() - 1);
  CHECK_INT(arena_high_water(), <=, most + most / 4 + 16); /* a quarter of the way it has as many blocks as it will */
  for (size_t i = 0; i < LEFT; i++) free_left(atomic_exchange(&left[i], NULL));
  census c = take_census();
  CHECK_INT(c.pooled + c.runs, ==, c.all); /* no thread is left, and this one has no heap */
  CHECK(thread_heap_or_null() == NULL);
  CHECK_INT(heap_count(), <=, 2 * AT_ONCE); /* a thread inherits the heap of one that is gone */
}

/* ---- many at once ----------------------------------------------------------------------------------------------------- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long waiting;
static bool leave;

static void *allocate_and_wait(void *argument) {
  uintptr_t number = (uintptr_t)argument;
  void *own = scalloc_malloc(16 + number % 100), *behind = scalloc_malloc(sizeof(void *));
  CHECK(own != NULL && behind != NULL);
  *(void **)behind = behind;
  free_left(NULL);
  pthread_mutex_lock(&mutex);
  waiting++;
  pthread_cond_broadcast(&changed);
  while (!leave) pthread_cond_wait(&changed, &mutex);
  pthread_mutex_unlock(&mutex);
  scalloc_free(own);
  return behind;
}

static void many_at_once(long count) {
  pthread_t *threads = calloc((size_t)count, sizeof *threads);
  for (long i = 0; i < count; i++) start(&threads[i], allocate_and_wait, (uintptr_t)i);
  pthread_mutex_lock(&mutex);
  while (waiting < count) pthread_cond_wait(&changed, &mutex);
  pthread_mutex_unlock(&mutex);
  census all = take_census();
  CHECK_INT(all.hot, >=, count);
  CHECK_INT(heap_count(), >=, count);
  pthread_mutex_lock(&mutex);
  leave = true;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&mutex);
  for (long i = 0; i < count; i++) {
    void *behind;
    CHECK(pthread_join(threads[i], &behind) == 0);
    CHECK(*(void **)behind == behind);
    scalloc_free(behind);
  }
  free(threads);
  census c = take_census();
  CHECK_INT(c.pooled + c.runs, ==, c.all);
  printf("%ld threads at once: %zu hot spans\n", count, all.hot);
}

/* ---- the cost of an exit ---------------------------------------------------------------------------------------------- */

static void **kept;

static void *exit_with_floating_spans(void *argument) {
  uintptr_t floating = (uintptr_t)argument;
  for (uintptr_t i = 0; i < 2 * floating + 2; i++) CHECK((kept[i] = scalloc_malloc(MB)) != NULL);
  census c = take_census();
  CHECK_INT(c.floating, ==, floating);
  steps = 0; /* what follows is the exit */
  return NULL;
}

static uint64_t steps_of_an_exit(uintptr_t floating) {
  pthread_t thread;
  CHECK((kept = calloc(2 * floating + 2, sizeof *kept)) != NULL);
  start(&thread, exit_with_floating_spans, floating);
  CHECK(pthread_join(thread, NULL) == 0);
  uint64_t taken = steps;
  for (uintptr_t i = 0; i < 2 * floating + 2; i++) scalloc_free(kept[i]);
  free(kept);
  return taken;
}

static void churn(void) {
  long cycles = argument("--cycles", 10000), threads = argument("--threads", 10050);
  come_and_go_for_long(cycles);
  many_at_once(threads);
  uint64_t few = steps_of_an_exit(10), many = steps_of_an_exit(2000);
  printf("an exit takes %llu steps with 10 floating spans, %llu with 2000\n", (unsigned long long)few,
         (unsigned long long)many);
  CHECK_INT(few, >, 100);
  CHECK_INT(many, ==, few);
  check_heap();
}

MODES(MODE(churn))
