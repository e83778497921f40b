/* probes_subject.c - comes past every probe, for probes.sh. */
#include <pthread.h>
#include <scalloc/scalloc.h>
#include <stdlib.h>

enum { BLOCKS = 5000, SIZE = 1000 }; /* more than two spans */
static void *blocks[BLOCKS];

static void *free_one(void *nothing) {
  scalloc_free(blocks[0]); /* of a span that is full, and of another thread: mail */
  return nothing;
}

static void *allocate_one(void *nothing) {
  scalloc_free(scalloc_malloc(2 * SIZE)); /* from a span of the other thread's stack of the pool */
  return nothing;
}

static int run(void *(*work)(void *)) {
  pthread_t thread;
  return pthread_create(&thread, NULL, work, NULL) == 0 && pthread_join(thread, NULL) == 0;
}

int main(void) {
  scalloc_option_set("SCALLOC_LIMIT_BYTES", 32 << 20);
  for (int i = 0; i < BLOCKS; i++)
    if ((blocks[i] = scalloc_malloc(SIZE)) == NULL) return 1;
  if (!run(free_one)) return 1;
  for (int i = 1; i < BLOCKS; i++) scalloc_free(blocks[i]);
  if (!run(allocate_one)) return 1;
  scalloc_free(scalloc_malloc(3 * SIZE));
  scalloc_purge();
  return scalloc_malloc(64 << 20) != NULL;
}
