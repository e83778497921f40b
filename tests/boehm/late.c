/*
 * late.c - the bridge as a plugin loads it: by dlopen, in a program where libgc has been running for a while. The fork handlers
 * then stand in the wrong order; forks must come through all the same, while tokens die and heaps are destroyed.
 *
 *   late PATH [--rounds N]
 */
#define GC_THREADS
#include <dlfcn.h>
#include <gc/gc.h>
#include <pthread.h>
#include <scalloc/boehm.h>

#include "../test.h"

enum { BYTES = 100000 };

static scalloc_boehm_heap *(*heap_new)(void);
static void (*heap_destroy)(scalloc_boehm_heap *);
static void *(*allocate)(scalloc_boehm_heap *, size_t);
static void *(*token_new)(scalloc_boehm_heap *, void *);
static scalloc_boehm_heap *heap;
static volatile bool stop;

static void *symbol(void *library, const char *name) {
  void *address = dlsym(library, name);
  if (address == NULL) test_fail(__FILE__, __LINE__, "no %s in the library", name);
  return address;
}

static void load(const char *path) {
  void *library = dlopen(path, RTLD_NOW);
  if (library == NULL) test_fail(__FILE__, __LINE__, "%s", dlerror());
  *(void **)&heap_new = symbol(library, "scalloc_boehm_heap_new");
  *(void **)&heap_destroy = symbol(library, "scalloc_boehm_heap_destroy");
  *(void **)&allocate = symbol(library, "scalloc_boehm_malloc");
  *(void **)&token_new = symbol(library, "scalloc_boehm_token_new");
}

/* Nobody keeps the token, so the block goes some time later, in a sweep. */
static void *let_die(void *unused) {
  while (!stop) CHECK(token_new(heap, allocate(heap, BYTES)) != NULL);
  return unused;
}

static void *destroy(void *unused) {
  while (!stop) {
    scalloc_boehm_heap *own = heap_new();
    for (int i = 0; i < 4; i++) CHECK(allocate(own, BYTES) != NULL);
    heap_destroy(own);
  }
  return unused;
}

/* 0, or how the child ended. */
static int forked(void) {
  int status = -1;
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    alarm(30);
    for (int i = 0; i < 20; i++) CHECK(token_new(heap, allocate(heap, BYTES)) != NULL);
    GC_gcollect();
    _exit(0);
  }
  CHECK(waitpid(pid, &status, 0) == pid);
  return status;
}

int main(int argc, char **argv) {
  CHECK(argc > 1);
  long rounds = option_number(argc, argv, "--rounds", 300);
  GC_set_handle_fork(1);
  GC_INIT();
  load(argv[1]);
  heap = heap_new();
  CHECK(heap != NULL);
  pthread_t threads[3];
  for (size_t i = 0; i < LENGTH(threads); i++) CHECK(pthread_create(&threads[i], NULL, i == 0 ? destroy : let_die, NULL) == 0);
  for (long i = 0; i < rounds; i++) {
    alarm(60); /* a deadlock ends the test */
    CHECK_INT(forked(), ==, 0);
  }
  stop = true;
  for (size_t i = 0; i < LENGTH(threads); i++) CHECK(pthread_join(threads[i], NULL) == 0);
  heap_destroy(heap);
  return 0;
}
