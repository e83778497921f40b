/*
 * threads_crowd.c - thousands of threads alive at once, each with blocks of several sizes; then each frees the blocks of
 * others, while their owners are still there. The main thread frees the rest after all are gone.
 *
 *   threads_crowd [--threads N]     fewer if the system gives fewer: the run is made with those and then counts as skipped
 */
#include "life.h"
#include <limits.h>

enum { MOST = 30000, BLOCKS = 8, SIZES = 4, STACK = 64 * 1024 };

typedef struct gate { /* opens when told to; counts who waits */
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  long waiting;
  bool open;
} gate;

#define GATE                                                                                                                   \
  { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, false }
static gate allocated = GATE, freed = GATE;

static void pass(gate *g, long last) {
  pthread_mutex_lock(&g->mutex);
  if (++g->waiting == last) pthread_cond_broadcast(&g->changed);
  while (!g->open) pthread_cond_wait(&g->changed, &g->mutex);
  pthread_mutex_unlock(&g->mutex);
}

static void wait_until(gate *g, long waiting) {
  pthread_mutex_lock(&g->mutex);
  while (g->waiting < waiting) pthread_cond_wait(&g->changed, &g->mutex);
  pthread_mutex_unlock(&g->mutex);
}

static void open_gate(gate *g) {
  pthread_mutex_lock(&g->mutex);
  g->open = true;
  pthread_cond_broadcast(&g->changed);
  pthread_mutex_unlock(&g->mutex);
}

static _Atomic(unsigned char *) blocks[MOST][BLOCKS];
static atomic_long arrived; /* threads that have allocated */
static long threads;        /* known when the first gate opens */

static size_t size_of(long thread, size_t index) { return ((size_t)16 << index % SIZES * 2) + (size_t)thread % 7; }

static void check_and_free(long thread, size_t index) {
  unsigned char *one = atomic_exchange(&blocks[thread][index], NULL);
  if (!one) return;
  CHECK(intact(one, size_of(thread, index)));
  scalloc_free(one);
}

static void *live(void *argument) {
  long self = (long)(intptr_t)argument;
  for (size_t i = 0; i < BLOCKS; i++) {
    unsigned char *one = (unsigned char *)scalloc_malloc(size_of(self, i));
    CHECK(one != NULL);
    fill(one, size_of(self, i));
    blocks[self][i] = one;
  }
  atomic_fetch_add(&arrived, 1);
  pass(&allocated, LONG_MAX);
  for (size_t i = 0; i + 1 < BLOCKS; i++) check_and_free((self + 1 + (long)i * 31) % threads, i); /* the last one stays */
  pass(&freed, threads);
  return NULL;
}

/* How many of them the system gives. */
static long start_all(pthread_t *handles, long wanted) {
  pthread_attr_t attributes;
  long started = 0;
  CHECK(pthread_attr_init(&attributes) == 0 && pthread_attr_setstacksize(&attributes, STACK) == 0);
  while (started < wanted && pthread_create(&handles[started], &attributes, live, (void *)(intptr_t)started) == 0) started++;
  return started;
}

/* No thread allocates or frees while these run. */
static stats look(void) {
  check_heap();
  stats all = stats_now();
  check_span_sum(all);
  return all;
}

int main(int argc, char **argv) {
  static pthread_t handles[MOST];
  long wanted = option_number(argc, argv, "--threads", 10000);
  if (UNDER_TSAN && wanted > 500) wanted = 500; /* more are too many mappings of its own for TSan */
  CHECK(wanted >= 2 && wanted <= MOST);
  scalloc_free(scalloc_malloc(1));
  stats before = stats_now();
  double start = now();
  threads = start_all(handles, wanted);
  CHECK(threads >= 2);
  while (atomic_load(&arrived) < threads) sleep_ms(1);
  stats all = look();
  CHECK_INT(all.hot, >=, threads * SIZES); /* each has its own: none allocates from another's */
  open_gate(&allocated);
  wait_until(&freed, threads); /* all have freed, nobody has gone */
  all = look();
  CHECK_INT(all.remote_frees, >=, before.remote_frees + threads * (BLOCKS - 1) / 2);
  open_gate(&freed);
  for (long i = 0; i < threads; i++) CHECK(pthread_join(handles[i], NULL) == 0);
  check_heap();
  for (long t = 0; t < threads; t++)
    for (size_t i = 0; i < BLOCKS; i++) check_and_free(t, i);
  check_all_returned(before);
  printf("%ld threads at once: %.1f s, spans opened %lld\n", threads, now() - start, all.opened);
  if (threads < wanted) printf("this system gives no more than %ld of %ld threads: skipped\n", threads, wanted);
  return threads < wanted ? SKIP_CODE : 0;
}
