/*
 * explore_memory.h - between memory (explore_memory.c), the operations of threads on it (model_ops.c) and the search (explore.c):
 * what a thread is, what all three share, and memory as the search goes through it, there and back.
 */
#ifndef SCALLOC_TESTS_EXPLORE_MEMORY_H
#define SCALLOC_TESTS_EXPLORE_MEMORY_H

#include <string.h>

#include "explore_private.h"

enum { BUFFER = 64 }; /* stores of a thread that have not reached memory, at most */

typedef enum { NEXT_LOAD, NEXT_STORE, NEXT_LOCKED, NEXT_RELAX, NEXT_YIELD, NEXT_AWAIT, NEXT_DONE } next_step;

typedef struct {
  char *address;
  uint64_t value;
  unsigned size;
} store;

typedef struct {
  void *stack_pointer;
  uint64_t history, before_read; /* of the values read; as it was before the last one */
  uint64_t history_at_forget;
  next_step next;
  char *address; /* of the next step */
  unsigned size;
  uint64_t waits_while; /* RELAX: the value that has to change */
  bool woken;           /* YIELD: another thread has changed memory since */
  char *read_address;   /* last read */
  unsigned read_size;
  uint64_t read_value;
  const volatile void *lock; /* held; one at most */
  unsigned stores;
  store buffer[BUFFER]; /* the last: of it, and of a thread that is saved, only what is in use counts */
} thread;

typedef struct {
  thread threads[MODEL_THREADS];
  unsigned thread_count;
  thread *running;      /* NULL: the explorer itself */
  const thread *moving; /* whose step this is, or whose store drains */
  enum { OFF, EXPLORING, FINISHING } mode;
  bool sequential, full; /* options */
  bool restart;          /* a cell turned out to be shared */
  uint64_t hash;         /* of memory */
} explorer_state;
extern explorer_state explorer;

static inline uint64_t model_mix(uint64_t a, uint64_t b) {
  uint64_t x = a * UINT64_C(0x9e3779b97f4a7c15) ^ (b + UINT64_C(0x7f4a7c159e3779b9));
  x = (x ^ (x >> 32)) * UINT64_C(0xd6e8feb86659fd93);
  x = (x ^ (x >> 29)) * UINT64_C(0xbf58476d1ce4e5b9);
  return x ^ (x >> 32);
}

/* ---- memory (explore_memory.c) ---------------------------------------------------------------------------------------- */

static inline uint64_t memory_read(const volatile void *address, unsigned size) {
  uint64_t value = 0;
  memcpy(&value, (const void *)address, size);
  return value;
}

/* A change that nobody is told of and nothing takes back. */
static inline void memory_set(volatile void *address, unsigned size, uint64_t value) { memcpy((void *)address, &value, size); }

/* The 8 bytes that the address lies in. */
static inline char *memory_base(const volatile void *address) { return (char *)((uintptr_t)address & ~(uintptr_t)7); }

/* Keeps what is there, for memory_back. */
void memory_remember(void *address, unsigned size);

/* The 8 bytes at `base` have changed from `before`. */
void memory_rehash(const char *base, uint64_t before);

/* A write to memory itself: remembered, hashed, told to threads that wait for a change. */
void memory_write(void *address, unsigned size, uint64_t value);

/*
 * Notes that the running thread touches up to 8 bytes. True: a step that others may see or influence. May find that memory is
 * shared that was taken for private: then it sets `restart`.
 */
bool memory_touch(const volatile void *address, unsigned size, bool writes);

typedef struct {
  size_t undo, accesses;
  uint64_t hash;
} memory_moment;

memory_moment memory_now(void);
void memory_back(const memory_moment *m); /* to how it was then */

/* ---- threads (model_ops.c) -------------------------------------------------------------------------------------------- */

/* Makes it a thread that has not begun; it will call `main`. */
void ops_prepare(thread *t, void (*main)(void));

/* The thread takes the step it stopped before, and goes on to the next. */
void ops_go_on(thread *t);

/* The running thread stops before a step; it comes back when the explorer has chosen it. */
void ops_stop_before(next_step next, const volatile void *address, unsigned size);

/* What the running thread's announced plain stores have written in the meantime. */
void ops_catch_plain(void);

/* The oldest buffered store of a thread reaches memory. */
void ops_drain(thread *t);

/* How much of its stack is in use, from its stack pointer on. */
size_t ops_depth(const thread *t);

#endif
