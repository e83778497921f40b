/*
 * counted.h - read before every source of the core in a build of the malloc replacement that counts what its threads do to each
 * other: atomic read-modify-writes by the word they act on, how many of them another thread spoilt, turns of waiting for a lock,
 * and what the static probes see. Each thread counts in lines of its own.
 */
#ifndef COUNTED_H
#define COUNTED_H

#include "atomics.h"

typedef enum { COUNTED_SPAN, COUNTED_POOL, COUNTED_LOCK, COUNTED_OTHER, COUNTED_PLACES } counted_place;

typedef struct {
  uint64_t locked[COUNTED_PLACES], lost[COUNTED_PLACES]; /* read-modify-writes; compare-and-swaps that found another value */
  uint64_t waits;                                        /* turns in front of a lock */
  uint64_t refill, mail, span_take, span_steal, span_put, purge, arena_grow, out_of_memory;
} counted;

/* The calling thread's. */
counted *counted_own(void);

/* Which words a source works on: state and owner words of spans, the stacks and summaries of the pool, locks. */
always_inline counted_place counted_place_of(const char *file) {
  if (__builtin_strncmp(file, "span.", 5) == 0) return COUNTED_SPAN;
  if (__builtin_strncmp(file, "stack.h", 7) == 0 || __builtin_strncmp(file, "pool.", 5) == 0) return COUNTED_POOL;
  return __builtin_strncmp(file, "lock.h", 6) == 0 ? COUNTED_LOCK : COUNTED_OTHER;
}

static inline void counted_locked(counted_place place) { counted_own()->locked[place]++; }

static inline bool counted_cas(counted_place place, bool won) {
  counted_locked(place);
  if (!won) counted_own()->lost[place]++;
  return won;
}

#define COUNTED_HERE counted_place_of(__FILE_NAME__)

#define word_cas_full(p, old, new) counted_cas(COUNTED_HERE, (word_cas_full)(p, old, new))
#define word_add_full(p, v) (counted_locked(COUNTED_HERE), (word_add_full)(p, v))
#undef word_or_full
#define word_or_full(p, v) (counted_locked(COUNTED_HERE), AO_or_full(p, v))
#undef word_and_full
#define word_and_full(p, v) (counted_locked(COUNTED_HERE), AO_and_full(p, v))
#undef half_or_full
#define half_or_full(p, v) (counted_locked(COUNTED_HERE), AO_int_or_full(p, v))
#undef half_and_full
#define half_and_full(p, v) (counted_locked(COUNTED_HERE), AO_int_and_full(p, v))

static inline void counted_wait(void) {
  counted_own()->waits++;
  cpu_relax();
}
#undef cpu_relax
#define cpu_relax() counted_wait()

#undef probe
#define probe(name, a, b) ((void)(a), (void)(b), (void)counted_own()->name++)

#endif
