/*
 * properties.h - what the property tests share: private headers of the core, a table of modes, a thread that does what it is
 * told, and a census of the span table.
 *
 * docs/properties.md lists the properties. A program holds several; its first argument names the one to show.
 */
#ifndef SCALLOC_TESTS_PROPERTIES_H
#define SCALLOC_TESTS_PROPERTIES_H

#include "heap.h"
#include "lists.h"
#include "options.h"
#include "pool.h"
#include "runs.h"
#include "thread.h"
#include "walk.h"

#include "../test.h"
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/prctl.h>

/* ---- modes ------------------------------------------------------------------------------------------------------------ */

typedef struct mode {
  const char *name;
  void (*run)(void);
} mode;

#define MODE(function)                                                                                                         \
  { #function, function }

static int argument_count;
static char **arguments;

/* The number behind --name on the command line. */
static inline long argument(const char *name, long otherwise) {
  return option_number(argument_count, arguments, name, otherwise);
}

/* Children that run another mode end with their parent, so the time limit of a test holds for all of it. */
static inline int run_mode(const mode *modes, size_t count, int argc, char **argv) {
  argument_count = argc;
  arguments = argv;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (size_t i = 0; i < count && argc > 1; i++)
    if (strcmp(argv[1], modes[i].name) == 0) return modes[i].run(), 0;
  for (size_t i = 0; i < count; i++) fprintf(stderr, "%s %s\n", argv[0], modes[i].name);
  return 2;
}

#define MODES(...)                                                                                                             \
  int main(int argc, char **argv) {                                                                                            \
    static const mode modes[] = {__VA_ARGS__};                                                                                 \
    return run_mode(modes, LENGTH(modes), argc, argv);                                                                         \
  }

/* ---- sanitizers ------------------------------------------------------------------------------------------------------- */

#if defined(__SANITIZE_ADDRESS__) || UNDER_TSAN
#define UNDER_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_SANITIZER 1
#endif
#endif
#ifndef UNDER_SANITIZER
#define UNDER_SANITIZER 0
#endif

/* For what a sanitizer changes by its own system calls, mappings or signal handlers: CTest shows the test as skipped. */
static inline void skip_under_sanitizers(void) {
  if (!UNDER_SANITIZER) return;
  printf("not shown under a sanitizer\n");
  fflush(stdout);
  _exit(77);
}

/* ---- a thread that acts only when told -------------------------------------------------------------------------------- */

typedef struct worker {
  pthread_t thread;
  sem_t told, did;
  void (*act)(void *context); /* NULL: leave */
  void *context;
} worker;

static inline void *worker_main(void *argument) {
  worker *w = argument;
  for (;;) {
    while (sem_wait(&w->told) != 0) continue;
    if (!w->act) return NULL;
    w->act(w->context);
    sem_post(&w->did);
  }
}

static inline void worker_start(worker *w) {
  CHECK(sem_init(&w->told, 0, 0) == 0 && sem_init(&w->did, 0, 0) == 0);
  CHECK(pthread_create(&w->thread, NULL, worker_main, w) == 0);
}

static inline void worker_begin(worker *w, void (*act)(void *), void *context) {
  w->act = act;
  w->context = context;
  sem_post(&w->told);
}

static inline void worker_finish(worker *w) {
  while (sem_wait(&w->did) != 0) continue;
}

static inline void worker_do(worker *w, void (*act)(void *), void *context) {
  worker_begin(w, act, context);
  worker_finish(w);
}

static inline void worker_stop(worker *w) {
  worker_begin(w, NULL, NULL);
  CHECK(pthread_join(w->thread, NULL) == 0);
}

/* ---- spans and blocks ------------------------------------------------------------------------------------------------- */

static inline size_t pooled_now(void) {
  size_t dirty;
  return pool_count(&dirty);
}

/* Blocks that the real span has room for as it is now. */
static inline uint32_t span_blocks(const span *s) { return (s->limit - s->first) / s->block; }

static inline uint32_t span_live(const span *s) { return s->used - word_count(s->word); }

/* The smallest size that malloc serves with a class; 0 for the classes that only the Lua path uses. */
static inline size_t class_malloc_size(unsigned c) {
  size_t below = c == 0 ? 0 : class_size(c - 1);
  return class_of_malloc(below + 1) == c ? below + 1 : class_of_malloc(class_size(c)) == c ? class_size(c) : 0;
}

/* Calls `act` with every block of a chain that leads through the first word of each. */
static inline void *chain_push(void *chain, void *block) {
  *(void **)block = chain;
  return block;
}

/* ---- a census --------------------------------------------------------------------------------------------------------- */

typedef struct census {
  size_t hot, floating, reusable, pooled, runs, large, all; /* spans */
} census;

/* A span in use, at a quiescent point: its state is what its counts say, and it is where its state says. */
static inline void check_in_use(const span *s, census *c) {
  word_t w = s->word;
  const heap *h = owner_heap(s->owner);
  uint32_t live = span_live(s);
  bool in_set = s->in_list >> LIST_SET & 1;
  CHECK(h != NULL && (s->in_list >> LIST_ALL & 1));
  if (word_state(w) == SPAN_HOT) {
    CHECK(h->hot[heap_hot_slot(s->class_index)] == s && !in_set);
    c->hot++;
    return;
  }
  CHECK_INT(live, >, 0); /* an empty one is in the pool */
  if (word_state(w) == SPAN_REUSABLE) {
    CHECK(in_set);
    c->reusable++;
    return;
  }
  CHECK(!in_set);
  CHECK_INT(live, >=, s->reusable_below); /* no more than the threshold is free */
  c->floating++;
}

/*
 * Every span below the high-water mark is in one place: hot in a slot of its heap, reusable and linked, floating with at most
 * the threshold free, in the pool, in a free run, or part of a large block. Nothing is settled or repaired on the way.
 */
static inline census take_census(void) {
  census c = {0};
  uint32_t end = arena_high_water(), step;
  for (uint32_t i = 1; i < end; i += step) {
    const span *s = span_at(i);
    span_state state = word_state(s->word);
    step = walk_step(s);
    c.all += step;
    if (state == SPAN_HOT || state == SPAN_FLOATING || state == SPAN_REUSABLE)
      check_in_use(s, &c);
    else if (state == SPAN_FREE)
      c.pooled++;
    else if (state == SPAN_RUN)
      c.runs += step;
    else if (state == SPAN_LARGE)
      c.large += step;
    else
      test_fail(__FILE__, __LINE__, "span %u is in state %d", i, (int)state);
  }
  CHECK_INT(c.all, ==, end ? end - 1 : 0);
  CHECK_INT(c.pooled, ==, pooled_now());
  CHECK_INT(c.runs, ==, runs_spans());
  CHECK_INT(c.hot + c.floating + c.reusable + c.pooled + c.runs + c.large, ==, c.all);
  return c;
}

#endif
