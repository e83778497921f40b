/* lua_flags_shared.c - a heap that threads share. */
#include "lua_flags.h"
#include <pthread.h>

enum { THREADS = 4, SHARED_OPS = 20000 };
static void *volatile exchange[64];
static pthread_mutex_t exchange_lock = PTHREAD_MUTEX_INITIALIZER;

/* Allocates, and frees what others have allocated; a block's first word is its size. */
static void *share(void *argument) {
  scalloc_lua_heap *heap = argument;
  rng random = {(uint64_t)(uintptr_t)&random};
  for (int op = 0; op < SHARED_OPS; op++) {
    size_t size = 8 + rng_log(&random, 10);
    size_t *block = scalloc_lua_alloc_shared(heap, NULL, 4, size);
    CHECK(block != NULL);
    *block = size;
    size_t i = rng_below(&random, LENGTH(exchange));
    pthread_mutex_lock(&exchange_lock);
    size_t *other = exchange[i];
    exchange[i] = block;
    pthread_mutex_unlock(&exchange_lock);
    if (other) scalloc_lua_alloc_shared(heap, other, *other, 0);
  }
  return NULL;
}

static void threads_share_a_heap(unsigned flags, size_t prealloc) {
  scalloc_lua_heap *heap = new_heap(SCALLOC_LUA_SHARED | flags, prealloc);
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, share, heap) == 0);
  for (int i = 0; i < 100; i++) { /* while they work, each look is of one moment */
    scalloc_lua_stats s = stats_of(heap);
    CHECK_INT(s.used, <=, s.peak);
    CHECK_INT(s.used, >=, 8 * s.blocks);
    CHECK_INT(s.used, <=, 1100 * s.blocks);
  }
  for (int i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  size_t used = 0;
  for (size_t i = 0; i < LENGTH(exchange); i++)
    if (exchange[i]) used += *(size_t *)exchange[i];
  CHECK_INT(scalloc_lua_used(heap), ==, used);
  check_heap();
  for (size_t i = 0; i < LENGTH(exchange); i++)
    if (exchange[i]) release(heap, exchange[i], *(size_t *)exchange[i]), exchange[i] = NULL;
  CHECK_INT(scalloc_lua_used(heap), ==, 0);
  scalloc_lua_heap_destroy(heap);
}

void shared_run(void) {
  threads_share_a_heap(0, 0);
  threads_share_a_heap(SCALLOC_LUA_PROFILE | SCALLOC_LUA_GUARD, 0);
  threads_share_a_heap(0, 100000);
}
