/*
 * many_threads.c - thousands of threads alive at once, each with blocks of many sizes; then each frees the blocks of others,
 * while their owners are still there. The main thread frees the rest after all are gone.
 *
 *   many_threads [--threads N]
 */
#include "../test.h"
#include <pthread.h>
#include <stdatomic.h>

enum { MOST = 20000, BLOCKS = 20, STACK = 64 * 1024 };

typedef struct gate { /* opens when told to; counts who waits */
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  long waiting;
  bool open;
} gate;

#define GATE                                                                                                                   \
  { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, false }
static gate allocated = GATE, freed = GATE;

static void pass(gate *g) {
  pthread_mutex_lock(&g->mutex);
  g->waiting++;
  pthread_cond_broadcast(&g->changed);
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
static long threads;

static size_t size_of(long thread, size_t index) { return ((size_t)8 << index % 11) + (size_t)thread % 7; }

static void check_and_free(long thread, size_t index) {
  unsigned char *block = atomic_exchange(&blocks[thread][index], NULL);
  if (!block) return;
  CHECK(intact(block, size_of(thread, index)));
  scalloc_free(block);
}

static void *live(void *argument) {
  long self = (long)(intptr_t)argument;
  for (size_t i = 0; i < BLOCKS; i++) {
    unsigned char *block = scalloc_malloc(size_of(self, i));
    CHECK(block != NULL);
    fill(block, size_of(self, i));
    blocks[self][i] = block;
  }
  pass(&allocated);
  for (size_t i = 0; i + 1 < BLOCKS; i++) check_and_free((self + 1 + (long)i * 31) % threads, i); /* the last one stays */
  pass(&freed);
  return NULL;
}

static long start_all(pthread_t *handles, long wanted) {
  pthread_attr_t attributes;
  CHECK(pthread_attr_init(&attributes) == 0 && pthread_attr_setstacksize(&attributes, STACK) == 0);
  for (long i = 0; i < wanted; i++) {
    int error = pthread_create(&handles[i], &attributes, live, (void *)(intptr_t)i);
    if (error != 0) test_fail(__FILE__, __LINE__, "this system gives no more than %ld threads: %s", i, strerror(error));
  }
  return wanted;
}

int main(int argc, char **argv) {
  static pthread_t handles[MOST];
  threads = option_number(argc, argv, "--threads", 2000);
  CHECK(threads >= 2 && threads <= MOST);
  scalloc_free(scalloc_malloc(1));
  stats before = stats_now();
  double start = now();
  start_all(handles, threads);
  wait_until(&allocated, threads);
  check_heap();
  check_span_sum(stats_now());
  open_gate(&allocated);
  wait_until(&freed, threads); /* all have freed, nobody has gone */
  check_heap();
  stats all = stats_now();
  check_span_sum(all);
  open_gate(&freed);
  for (long i = 0; i < threads; i++) CHECK(pthread_join(handles[i], NULL) == 0);
  check_heap();
  for (long t = 0; t < threads; t++)
    for (size_t i = 0; i < BLOCKS; i++) check_and_free(t, i);
  check_all_returned(before);
  printf("%ld threads at once: %.1f s, spans opened %lld\n", threads, now() - start, all.opened);
  return 0;
}
