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

int main(void) {
  pthread_t thread;
  scalloc_option_set("SCALLOC_LIMIT_BYTES", 32 << 20);
  for (int i = 0; i < BLOCKS; i++)
    if ((blocks[i] = scalloc_malloc(SIZE)) == NULL) return 1;
  if (pthread_create(&thread, NULL, free_one, NULL) != 0) return 1;
  pthread_join(thread, NULL);
  for (int i = 1; i < BLOCKS; i++) scalloc_free(blocks[i]);
  scalloc_free(scalloc_malloc(3 * SIZE));
  scalloc_purge();
  return scalloc_malloc(64 << 20) != NULL;
}
