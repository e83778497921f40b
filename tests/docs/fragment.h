/* What the statements of the documents take as given: each block that is no whole program becomes a function behind this. */
#include <scalloc/lua_alloc.h>
#include <scalloc/runtime_glue.h>
#include <scalloc/scalloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef WITH_BOEHM
#include <gc.h>
#include <scalloc/boehm.h>
#endif

struct entry {
  void *object;
};

/* docs/runtime.md: a collector at work on a heap, and an object that lives. */
static scalloc_rt_heap *heap;
static void *object;
static const bool one_thread_marks = true;
static unsigned pushed;

static inline void push(void *marked) { pushed += marked == object; }

static inline void set_up(void) {
  heap = scalloc_rt_heap_create(NULL);
  scalloc_rt_kind_conf conf = {.size = sizeof conf};
  size_t bytes;
  unsigned slot = scalloc_rt_slot(heap, scalloc_rt_kind_new(heap, &conf), 32, &bytes);
  object = scalloc_rt_alloc(scalloc_rt_attach(heap, NULL), slot, bytes);
}

/* The heaps are as they ought to be, and a block that marks has marked. */
static inline int verdict(bool marks) {
  char why[200] = "the object was not pushed";
  if (scalloc_check(why, sizeof why) && (!marks || pushed == 1)) return 0;
  fprintf(stderr, "%s\n", why);
  return 1;
}
