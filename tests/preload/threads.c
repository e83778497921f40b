/*
 * threads.c - threads that come and go: destructors of thread-specific data, before and after the allocator's own, for as many
 * rounds as there are, free and allocate; blocks outlive their threads. Memory must not grow with the number of threads. Run under
 * scalloc-run.
 */
#include "surroundings.h"

#include <limits.h>
#include <pthread.h>

enum { KEYS = 64, ROUNDS = 12, THREADS = 1000, AT_ONCE = 4, BLOCKS = 100, SLACK_KB = 1024 };

static pthread_key_t keys[KEYS]; /* more than there is room for without an allocation */

static void at_exit(void *value) {
  uintptr_t *block = value;
  char *other = malloc(100);
  CHECK(other != NULL);
  memset(other, 1, 100);
  free(other);
  size_t key = block[0], again = block[1];
  free(block);
  if (again == 0) return;
  CHECK((block = calloc(2, sizeof *block)) != NULL && is_ours(block));
  block[0] = key;
  block[1] = again - 1;
  pthread_setspecific(keys[key], block);
}

static void *thread(void *unused) {
  (void)unused;
  void *blocks[BLOCKS];
  for (size_t i = 0; i < KEYS; i++) {
    uintptr_t *block = malloc(50 + i * 10);
    CHECK(block != NULL);
    block[0] = i;
    block[1] = i % 3; /* rounds more */
    CHECK(pthread_setspecific(keys[i], block) == 0);
  }
  for (size_t i = 0; i < BLOCKS; i++) CHECK((blocks[i] = malloc(i * 50)) != NULL);
  for (size_t i = 1; i < BLOCKS; i++) free(blocks[i]);
  return blocks[0];
}

static void come_and_go(void) {
  for (size_t n = 0; n < THREADS; n += AT_ONCE) {
    pthread_t threads[AT_ONCE];
    for (size_t i = 0; i < AT_ONCE; i++) CHECK(pthread_create(&threads[i], NULL, thread, NULL) == 0);
    for (size_t i = 0; i < AT_ONCE; i++) {
      void *block;
      CHECK(pthread_join(threads[i], &block) == 0);
      free(block);
    }
  }
}

int main(void) {
  on_scalloc();
  for (size_t i = 0; i < KEYS; i++) CHECK(pthread_key_create(&keys[i], at_exit) == 0);
  /* It settles in the first third (121 rounds end where the tenth does), and then varies by steps with how threads met: the least
     of the last third is held to the most of the second. */
  long first = 0, last = LONG_MAX;
  for (int round = 0; round < ROUNDS; round++) {
    come_and_go();
    long now = footprint_kb(true);
    if (round / (ROUNDS / 3) == 1 && now > first) first = now;
    if (round / (ROUNDS / 3) == 2 && now < last) last = now;
  }
  printf("%d threads: at most %ld kB in the second third, at least %ld in the last\n", ROUNDS * THREADS, first, last);
  CHECK_INT(last, <=, first + SLACK_KB);
  return 0;
}
