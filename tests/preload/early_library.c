/*
 * early_library.c - a library whose constructor runs before that of the preloaded one, as those of all a program is linked with do:
 * more fork handlers than glibc has room for without allocating, blocks, a thread, and forks whose children go on.
 */
#include "own.h"

#include <pthread.h>

enum { HANDLERS = 200 };

int early_children;    /* that ended well */
void *early_blocks[3]; /* the program frees them */

static void nothing(void) {}

static void *allocate(void *unused) {
  (void)unused;
  void *kept = NULL;
  for (int i = 0; i < 1000; i++) {
    free(kept);
    CHECK((kept = malloc((size_t)i * 7 % 3000)) != NULL);
  }
  return kept;
}

static void use(void) {
  free(allocate(NULL));
  free(early_blocks[0]);
  early_blocks[0] = NULL;
  pthread_t thread;
  void *kept;
  CHECK(pthread_create(&thread, NULL, allocate, NULL) == 0 && pthread_join(thread, &kept) == 0);
  free(kept);
}

__attribute__((constructor)) static void begin(void) {
  pthread_t thread;
  early_blocks[0] = malloc(100);
  for (int i = 0; i < HANDLERS; i++) CHECK(pthread_atfork(nothing, nothing, nothing) == 0);
  early_children += status_of(use) == 0;
  CHECK(pthread_create(&thread, NULL, allocate, NULL) == 0);
  early_children += status_of(use) == 0; /* while the thread allocates */
  CHECK(pthread_join(thread, &early_blocks[1]) == 0);
  early_children += status_of(use) == 0;
  early_blocks[2] = calloc(3, 1 << 20);
}

__attribute__((destructor)) static void end(void) {
  void *last = malloc(50);
  if (last == NULL) _exit(3);
  free(last);
}
