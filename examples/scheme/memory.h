/*
 * memory.h - allocation, roots and threads as the rest of the interpreter sees them. Together with memory.c, collect.c and
 * threads.c this is all contact with scalloc/runtime_glue.h.
 *
 * ROOTS. A collection may happen in every function that takes a `thread *`: in allocations and in safe points. What must
 * outlive such a call lies on the thread's stack: arguments of a primitive are there already, anything else is pushed.
 * An object is allocated first and filled at once, from the stack; between the two there is no other allocation. Nothing moves,
 * so a C pointer into an object stays good as long as the object is on the stack or reachable from there.
 */
#ifndef SCHEME_MEMORY_H
#define SCHEME_MEMORY_H

#include "value.h"
#include <pthread.h>
#include <scalloc/runtime_glue.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdio.h>

typedef struct thread {
  scalloc_rt_mutator *mutator;
  value *sp; /* first free place of the stack */
  value *stack, *limit;
  value code, env, condition; /* of the running procedure; of the last error */
  value self;                 /* the Scheme object of this thread */
  value no_memory;            /* a condition for when none can be allocated */
  value *pc;                  /* into `code` */
  size_t handler;             /* stack height of the innermost error handler; 0 = none */
  unsigned line;              /* of the call or variable that is evaluated */
  unsigned countdown, tries;  /* --stress; collections without success for one allocation */
  jmp_buf *escape;            /* where `fail` goes */
  char *scratch;              /* malloc's: text on its way in or out */
  struct thread *next;
} thread;

/* Kinds of blocks: what the tracer has to do with one. The number is the glue's number of the kind. */
enum kind {
  KIND_PAIR,   /* two values */
  KIND_FIELDS, /* header and `count` values */
  KIND_BYTES,  /* NOSCAN: the tracer does not touch them */
  KIND_SYMBOL, /* UNCOLLECTABLE: roots, freed by hand */
  KIND_NATIVE, /* DISCLAIM: something of the system is inside and must be given back */
  KIND_WEAK,   /* store of a weak table: keys do not hold what they name */
  KINDS
};

typedef struct {
  unsigned number;
  size_t rounded;
} slot;

enum { GRANULE = 16, SMALL = 16 }; /* blocks of up to SMALL granules have their slots looked up once, at the start */
enum { FIRST_BUDGET = 4 << 20 };   /* bytes until the first collection, and the least between two */

/* A finalizer: `action` is called with `object` once nothing else reaches it. */
typedef struct {
  value object, action;
  unsigned long due; /* the cycle that found the object dead */
} finalizer;

typedef struct {
  finalizer *items;
  size_t count, room;
} finalizers;

typedef struct {
  scalloc_rt_heap *heap;
  slot slots[KINDS][SMALL + 1];
  size_t heap_limit;
  unsigned stress;      /* collect at every n-th allocation; 0 = no */
  pthread_mutex_t lock; /* guards everything below; never held by a thread that allocates or runs Scheme */
  pthread_cond_t changed;
  thread *threads;
  unsigned running; /* threads that must reach a safe point before marking */
  bool stopping;
  finalizers waiting, ready;
  unsigned long cycles;
  size_t live;   /* bytes marked by the last cycle */
  int64_t left;  /* bytes that all threads together may allocate until the next one */
  int64_t share; /* of that, what a thread takes at a time */
  double pause_sum, pause_max;
  atomic_ulong released; /* native objects that the disclaim hook saw */
} world_state;

extern world_state world;

/* Errors go to the innermost handler of the program and do not return (run.c). */
_Noreturn void fail(thread *t, const char *message, value irritant); /* irritant: UNBOUND for none */
_Noreturn void fail_top(thread *t); /* the list of irritants and the message are on the stack */
_Noreturn void fail_memory(thread *t);
_Noreturn void fail_with(thread *t, value condition);

void memory_init(size_t heap_limit, unsigned every); /* every: see stress */
void memory_end(void);
void memory_stats(FILE *out);
void return_memory(thread *t);
void *alloc_any(thread *t, enum kind kind, size_t bytes);
void stress(thread *t);

/* collect.c: true if the memory that nobody reaches is free now, though perhaps not yet swept. */
bool collect(thread *t);
void pace(void);
void finalize(thread *t, value what, value action);
bool finalizers_due(void);
bool next_finalizer(value *what, value *action);

/* threads.c */
thread *thread_new(value self);
void thread_end(thread *t);
void safe_point(thread *t);
void park(thread *t);
void unpark(thread *t);
void wait_for_restart(thread *t);
bool stop_for_good(thread *t); /* true: there is no other thread */
void release_native(object *o);

enum { POLL_STOP = 2 }; /* in mutator->poll; bit 0 is the glue's */

/* At every call and loop: one load and one branch unless somebody wants the world stopped. */
static inline void poll(thread *t) {
  if (__builtin_expect(__atomic_load_n(&t->mutator->poll, __ATOMIC_RELAXED) & POLL_STOP, 0)) safe_point(t);
}

static inline void push(thread *t, value v) {
  if (__builtin_expect(t->sp == t->limit, 0)) fail(t, "recursion too deep", UNBOUND);
  *t->sp++ = v;
}

static inline value pop(thread *t) { return *--t->sp; }

/* The fast path of every small allocation: scalloc_rt_alloc is inline too, so there is no call in it. */
static inline void *alloc_small(thread *t, const slot *s) {
  if (__builtin_expect(world.stress != 0, 0)) stress(t);
  void *block = scalloc_rt_alloc(t->mutator, s->number, s->rounded);
  if (__builtin_expect(block == NULL, 0)) fail_memory(t);
  return block;
}

static inline pair *new_pair(thread *t) { return alloc_small(t, &world.slots[KIND_PAIR][1]); }

/* A block of `kind` with its header; the caller writes the fields before anything else is allocated. */
static inline object *new_object(thread *t, enum kind kind, enum type type, size_t count, size_t more_bytes) {
  size_t bytes = sizeof(object) + count * sizeof(value) + more_bytes;
  size_t granules = (bytes + GRANULE - 1) / GRANULE;
  object *o = granules <= SMALL ? alloc_small(t, &world.slots[kind][granules]) : alloc_any(t, kind, bytes);
  o->header = header_of(type, count);
  return o;
}

/* Replaces the two values on top of the stack, (... car cdr), by their pair. */
static inline void cons_top(thread *t) {
  pair *p = new_pair(t);
  *p = (pair){t->sp[-2], t->sp[-1]};
  t->sp--;
  t->sp[-1] = pair_value(p);
}

#endif
