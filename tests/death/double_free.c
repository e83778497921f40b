/* double_free.c - blocks given back twice. */
#include "death.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

static void free_it(void *block) { scalloc_free(block); }

static void twice(void *block) {
  target(block);
  scalloc_free(block);
  scalloc_free(hidden(block));
}

static void at_once_small(void) { twice(scalloc_malloc(SMALL)); }
static void at_once_tiny(void) { twice(scalloc_malloc(0)); }
static void at_once_medium(void) { twice(scalloc_malloc(MEDIUM)); }
static void at_once_large(void) { twice(scalloc_malloc(BIG)); }
static void at_once_calloc(void) { twice(scalloc_calloc(10, 10)); }
static void at_once_aligned(void) { twice(scalloc_aligned_alloc(256, SMALL)); }
static void at_once_aligned_large(void) { twice(scalloc_aligned_alloc(8 * MB, BIG)); }

/* Other blocks come and go in between. */
static void delayed(size_t size, size_t others) {
  void *block = scalloc_malloc(size);
  target(block);
  scalloc_free(block);
  use_memory(others);
  scalloc_free(hidden(block));
}
static void delayed_small(void) { delayed(SMALL, 1000); }
static void delayed_medium(void) { delayed(MEDIUM, 1000); }

/* With neighbours that keep its span in use. */
static void after_malloc(void) {
  void *first = scalloc_malloc(SMALL), *block = scalloc_malloc(SMALL);
  CHECK(first);
  target(block);
  scalloc_free(block);
  CHECK(scalloc_malloc(SMALL));
  scalloc_free(hidden(block));
}

static void in_other_thread(void) {
  void *block = scalloc_malloc(SMALL);
  target(block);
  scalloc_free(block);
  in_thread(free_it, hidden(block));
}
static void of_other_thread(void) {
  void *block = scalloc_malloc(SMALL);
  target(block);
  in_thread(free_it, block);
  scalloc_free(hidden(block));
}
static void in_two_threads(void) {
  void *block = scalloc_malloc(SMALL);
  target(block);
  in_thread(free_it, block);
  in_thread(free_it, hidden(block));
}

static pthread_barrier_t barrier;
static void *race(void *block) {
  pthread_barrier_wait(&barrier);
  scalloc_free(block);
  return NULL;
}
static void at_the_same_time(void) {
  void *block = scalloc_malloc(SMALL);
  pthread_t threads[2];
  target(block);
  CHECK(pthread_barrier_init(&barrier, NULL, 2) == 0);
  for (int i = 0; i < 2; i++) CHECK(pthread_create(&threads[i], NULL, race, block) == 0);
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
}

static void after_realloc(void) {
  void *block = scalloc_malloc(SMALL);
  target(block);
  CHECK(scalloc_realloc(block, 5000));
  scalloc_free(hidden(block));
}
static void by_realloc_to_nothing(void) {
  void *block = scalloc_malloc(SMALL);
  target(block);
  CHECK(scalloc_realloc(block, 0) == NULL);
  scalloc_free(hidden(block));
}
static void after_large_realloc(void) {
  void *block = scalloc_malloc(BIG), *behind = scalloc_malloc(BIG);
  target(block);
  CHECK(behind && scalloc_realloc(block, SMALL));
  scalloc_free(hidden(block));
}

static void through_a_heap(void) {
  scalloc_heap *heap = scalloc_heap_new();
  void *block = scalloc_heap_malloc(heap, SMALL);
  target(block);
  scalloc_free(block);
  scalloc_heap_free(heap, hidden(block));
}
static void through_another_heap(void) {
  scalloc_heap *heap = scalloc_heap_new(), *other = scalloc_heap_new();
  void *block = scalloc_heap_malloc(heap, SMALL);
  target(block);
  scalloc_heap_free(heap, block);
  scalloc_heap_free(other, hidden(block));
}
static void after_heap_destroy(void) {
  scalloc_heap *heap = scalloc_heap_new();
  void *block = scalloc_heap_malloc(heap, SMALL);
  target(block);
  scalloc_heap_destroy(heap);
  scalloc_free(hidden(block));
}
static void after_heap_destroy_large(void) {
  scalloc_heap *heap = scalloc_heap_new();
  void *block = scalloc_heap_malloc(heap, BIG);
  target(block);
  scalloc_heap_destroy(heap);
  scalloc_free(hidden(block));
}
static void after_purge(void) {
  void *block = scalloc_malloc(SMALL);
  target(block);
  scalloc_free(block);
  scalloc_purge();
  scalloc_free(hidden(block));
}
static void by_free_sized(void) {
  void *block = scalloc_malloc(SMALL);
  target(block);
  scalloc_free_sized(block, SMALL);
  scalloc_free_sized(hidden(block), SMALL);
}
static void in_a_child_process(void) {
  void *block = scalloc_malloc(SMALL);
  scalloc_free(block);
  int status;
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    target(block);
    scalloc_free(hidden(block));
    _exit(0);
  }
  CHECK(waitpid(pid, &status, 0) == pid);
  if (WIFSIGNALED(status)) abort();
}

/* Blocks that share a word of the live map: no thread's free may undo another's. */
enum { NEIGHBOURS = 8000 };
static void *neighbours[NEIGHBOURS];
static atomic_size_t arrived; /* of two threads, at each group of blocks, so that they stay together */
static void *free_every_second(void *from) {
  for (size_t i = (uintptr_t)from, met = 0; i < NEIGHBOURS; i += 2) {
    if (i % 16 < 2) {
      atomic_fetch_add(&arrived, 1);
      met += 2;
      for (unsigned spins = 0; atomic_load(&arrived) < met;)
        if (++spins > 5000) sched_yield();
    }
    scalloc_free(neighbours[i]);
  }
  return NULL;
}
static void frees_of_neighbours_do_not_meet(void) {
  pthread_t threads[2];
  for (int round = 0; round < 3; round++) {
    atomic_store(&arrived, 0);
    for (size_t i = 0; i < NEIGHBOURS; i++) CHECK(neighbours[i] = scalloc_malloc(8));
    for (uintptr_t i = 0; i < 2; i++) CHECK(pthread_create(&threads[i], NULL, free_every_second, (void *)i) == 0);
    for (int i = 0; i < 2; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    scalloc_purge();
    CHECK_INT(stats_now().live, ==, 0);
    check_heap();
  }
}

static void frees_of_all_kinds_are_fine(void) {
  for (size_t size = 0; size < 4 * MB; size = size * 3 + 1) {
    scalloc_free(scalloc_malloc(size));
    scalloc_free_sized(scalloc_malloc(size), size);
    scalloc_free(scalloc_realloc(scalloc_malloc(size), size / 2 + 1));
    in_thread(free_it, scalloc_malloc(size));
  }
  scalloc_free(NULL);
  check_heap();
}

#define DOUBLE "double free", "free already"
#define NOT_IN_PLAIN NULL, NULL
#define GONE "invalid pointer", "in memory that is not allocated"

static const shape shapes[] = {
    {"double_small", "a block of 100 bytes freed twice", at_once_small, DOUBLE, NOT_IN_PLAIN},
    {"double_tiny", "a block of 0 bytes freed twice", at_once_tiny, DOUBLE, NOT_IN_PLAIN},
    {"double_medium", "a block of 200,000 bytes freed twice", at_once_medium, DOUBLE, NOT_IN_PLAIN},
    {"double_large", "a block of 3 MB freed twice", at_once_large, DOUBLE, GONE},
    {"double_calloc", "a block of calloc freed twice", at_once_calloc, DOUBLE, NOT_IN_PLAIN},
    {"double_aligned", "an aligned block freed twice", at_once_aligned, DOUBLE, NOT_IN_PLAIN},
    {"double_aligned_large", "a block aligned to 8 MB freed twice", at_once_aligned_large, DOUBLE, GONE},
    {"double_delayed_small", "the same, other blocks in between", delayed_small, DOUBLE, NOT_IN_PLAIN},
    {"double_delayed_medium", "the same of 200,000 bytes", delayed_medium, DOUBLE, NOT_IN_PLAIN},
    {"double_after_malloc", "a malloc of the same size in between", after_malloc, DOUBLE, NOT_IN_PLAIN},
    {"double_in_other_thread", "first here, then in another thread", in_other_thread, DOUBLE, NOT_IN_PLAIN},
    {"double_of_other_thread", "first in another thread, then here", of_other_thread, DOUBLE, NOT_IN_PLAIN},
    {"double_in_two_threads", "in two other threads", in_two_threads, DOUBLE, NOT_IN_PLAIN},
    {"double_at_the_same_time", "in two threads at the same time", at_the_same_time, DOUBLE, NOT_IN_PLAIN},
    {"double_after_realloc", "the old block, after realloc moved it", after_realloc, DOUBLE, NOT_IN_PLAIN},
    {"double_by_realloc_0", "after realloc to 0 bytes", by_realloc_to_nothing, DOUBLE, NOT_IN_PLAIN},
    {"double_after_large_realloc", "the old block of 3 MB, after realloc moved it", after_large_realloc, DOUBLE, GONE},
    {"double_through_a_heap", "free, then heap_free", through_a_heap, DOUBLE, NOT_IN_PLAIN},
    {"double_through_another_heap", "heap_free, then that of another heap", through_another_heap, DOUBLE, NOT_IN_PLAIN},
    {"double_after_heap_destroy", "a block of a heap that was destroyed", after_heap_destroy, DOUBLE, GONE},
    {"double_after_heap_destroy_large", "the same of 3 MB", after_heap_destroy_large, DOUBLE, GONE},
    {"double_after_purge", "after the memory went back to the system", after_purge, DOUBLE, GONE},
    {"double_by_free_sized", "free_sized twice", by_free_sized, DOUBLE, NOT_IN_PLAIN},
    {"double_in_a_child_process", "here, then in the child of a fork", in_a_child_process, DOUBLE, NOT_IN_PLAIN},
    {"frees_of_neighbours_do_not_meet", "", frees_of_neighbours_do_not_meet, NULL, NULL, NULL, NULL},
    {"frees_of_all_kinds_are_fine", "", frees_of_all_kinds_are_fine, NULL, NULL, NULL, NULL},
};
const subject double_frees = {"double_free", "Double frees", shapes, LENGTH(shapes)};
