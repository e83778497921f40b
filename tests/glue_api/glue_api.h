/*
 * glue_api.h - what the tests of the runtime glue share, on its public header.
 *
 *   world        a heap with one kind, one slot and a mutator
 *   glue_now     the numbers of scalloc_rt_stats_json
 *   check_ends   what all heaps of a test must come to: no span lent, nothing committed for them
 *   in_child     an act in a child of this process, which must end well
 *   aborts       an act in a child of this process, which must end it with one line
 *   part         a named test of a program; PARTS_MAIN runs the one that argv[1] names, or all in turn
 */
#ifndef SCALLOC_TESTS_GLUE_API_H
#define SCALLOC_TESTS_GLUE_API_H

#include "../test.h"

#include <pthread.h>
#include <scalloc/runtime_glue.h>
#include <stdatomic.h>

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif
#ifndef UNDER_TSAN
#define UNDER_TSAN 0
#endif

enum { SKIP_CODE = 77, SPANS_MOST = 1 << 16 }; /* SKIP_RETURN_CODE of CTest; spans that a test may meet */

/* ---- heaps ------------------------------------------------------------------------------------------------------------ */

typedef struct world {
  scalloc_rt_heap *heap;
  scalloc_rt_mutator *mutator;
  unsigned slot;
  size_t size; /* of its blocks */
} world;

/* A heap with one kind of these flags, a slot for `size`, a mutator; conf may be NULL. */
world world_new(const scalloc_rt_heap_conf *conf, unsigned flags, size_t size);
void world_end(world *w);

/* Fails the test if the heap, whose blocks all die, does not serve small and large blocks, a cycle and a sweep. */
void world_use(world *w);

/* A block of the world's slot, never NULL. */
void *world_alloc(world *w);

int kind_with(scalloc_rt_heap *heap, unsigned flags);
unsigned slot_for(scalloc_rt_heap *heap, int kind, size_t size, size_t *rounded);
bool is_live(scalloc_rt_heap *heap, const void *block);

/* The block's reference; it must be live. */
scalloc_rt_ref ref_of(scalloc_rt_heap *heap, const void *block);

void mark(scalloc_rt_heap *heap, const void *block);
void cycle_keeping(scalloc_rt_heap *heap, void *const *blocks, size_t count);

static inline void cycle(scalloc_rt_heap *heap) { cycle_keeping(heap, NULL, 0); }
static inline void sweep_all(scalloc_rt_heap *heap) {
  while (scalloc_rt_sweep(heap, NULL, SIZE_MAX) > 0) continue;
}

/* ---- statistics --------------------------------------------------------------------------------------------------------- */

typedef struct glue_stats {
  long long hot, retired, reusable, unswept, deferred, large; /* spans */
  long long live, committed, limit;                           /* bytes */
  long long cycles, swept, released, refills;
} glue_stats;

glue_stats glue_now(scalloc_rt_heap *heap);
static inline long long glue_spans(glue_stats s) { return s.hot + s.retired + s.reusable + s.unswept + s.deferred + s.large; }

/* Nothing is live in the process, of these heaps or of any other, and no page is kept after a purge. */
void check_ends(void);

/* ---- faults --------------------------------------------------------------------------------------------------------------- */

/* Runs act(context) in a child. It must end by SIGABRT after one line, "scalloc: <what> 0x...: <...why...>". */
void aborts(void (*act)(void *), void *context, const char *what, const char *why);
#define ABORTS(act, context, what, why) (printf("  %s %s: %s\n", #act, what, why), aborts((act), (context), (what), (why)))

/* Hides from the compiler what a pointer is. */
static inline void *hidden(const void *pointer) {
  void *volatile hiding = (void *)(uintptr_t)pointer;
  return hiding;
}

/* ---- forks ------------------------------------------------------------------------------------------------------------------ */

/* Runs act() in a child, which must end well within a time limit. */
void in_child(void (*act)(void));

/* Its parts: the child's first call; the parent's wait for one that it forked, in `round` of the test. */
void child_begin(void);
void child_end(pid_t pid, long round);

/* ---- threads ---------------------------------------------------------------------------------------------------------------- */

enum { THREADS_MOST = 32 };
void in_threads(unsigned count, void (*act)(unsigned number, void *context), void *context);

static inline bool wait_until(atomic_bool *flag) {
  while (!atomic_load(flag)) sched_yield();
  return true;
}

/* ---- the parts of a program --------------------------------------------------------------------------------------------------- */

typedef struct part {
  const char *name;
  void (*run)(void);
} part;

#define PART(function)                                                                                                         \
  { #function, function }

int run_parts(int argc, char **argv, const part *parts, size_t count);

#define PARTS_MAIN(...)                                                                                                        \
  int main(int argc, char **argv) {                                                                                            \
    static const part parts[] = {__VA_ARGS__};                                                                                 \
    return run_parts(argc, argv, parts, LENGTH(parts));                                                                        \
  }

/* Length of loops, in percent: --scale. */
extern long scale;
static inline long scaled(long n) { return n * scale / 100 > 0 ? n * scale / 100 : 1; }

#endif
