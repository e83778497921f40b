/*
 * opened.c - the preload library opened by dlopen instead: its TLS finds room, its functions work beside glibc's malloc in threads
 * that were there before, and it stays when it is closed. Run plainly, with the library's path.
 */
#include "own.h"

#include <pthread.h>

static void *(*their_malloc)(size_t);
static void (*their_free)(void *);
static pthread_barrier_t opened, closed;

static void *thread(void *unused) {
  (void)unused;
  pthread_barrier_wait(&opened);
  char *p = their_malloc(100), *q = their_malloc(3 << 20);
  CHECK(is_ours(p) && is_ours(q));
  memset(p, 1, 100);
  their_free(q);
  pthread_barrier_wait(&closed);
  their_free(their_malloc(5000));
  return p;
}

int main(int argc, char **argv) {
  pthread_t threads[4];
  CHECK_INT(argc, ==, 2);
  pthread_barrier_init(&opened, NULL, LENGTH(threads) + 1);
  pthread_barrier_init(&closed, NULL, LENGTH(threads) + 1);
  for (size_t i = 0; i < LENGTH(threads); i++) CHECK(pthread_create(&threads[i], NULL, thread, NULL) == 0);
  void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) test_fail(__FILE__, __LINE__, "%s", dlerror());
  *(void **)&their_malloc = dlsym(library, "malloc");
  *(void **)&their_free = dlsym(library, "free");
  CHECK(their_malloc != NULL && their_free != NULL && their_malloc != malloc);
  pthread_barrier_wait(&opened);
  CHECK(dlclose(library) == 0);
  pthread_barrier_wait(&closed);
  for (size_t i = 0; i < LENGTH(threads); i++) {
    void *p;
    CHECK(pthread_join(threads[i], &p) == 0);
    their_free(p);
  }
  void *glibc = malloc(100);
  CHECK(!is_ours(glibc));
  their_free(glibc); /* goes back */
  return 0;
}
