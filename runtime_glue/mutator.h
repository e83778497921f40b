/* mutator.h - mutators: who has a span hot, what a mutator has for itself, its end. */
#ifndef SCALLOC_MUTATOR_H
#define SCALLOC_MUTATOR_H

#include "gcheap.h"

enum { GC_BUDGET = 1 << 22 }; /* bytes until the pressure hook is called, if the runtime sets no other */

always_inline gcmutator *mutator_of(scalloc_rt_mutator *m) { return (gcmutator *)(void *)m; }

/* The mutator that has a span hot: by its number. */
always_inline unsigned mutator_number(const gcmutator *m) {
  return (unsigned)((size_t)((const char *)m - bits.structures) / CACHE_LINE);
}
always_inline gcmutator *mutator_at(unsigned number) {
  return (gcmutator *)(void *)(bits.structures + (size_t)number * CACHE_LINE);
}

/* What was handed out. */
always_inline void mutator_account(gcmutator *m, size_t bytes) {
  m->published.budget -= (int64_t)bytes;
  m->since += bytes;
}

/* The large block that it was given last; 0, 0: none. */
always_inline void mutator_fresh_is(gcmutator *m, unsigned index, unsigned number) {
  half_store_relaxed(&m->fresh.span, 0);
  atomics_keep_order();
  half_store_relaxed(&m->fresh.number, number);
  atomics_keep_order();
  half_store_relaxed(&m->fresh.span, index);
}

/* Visits the blocks that a mutator has for itself in its hot span of a slot, in its hole and its pieces, by words of bits. */
void mutator_each_own(const gcmutator *m, span *s, unsigned slot, void (*act)(span *s, uint32_t w, word_t mask));

/* Holes and hot spans given up; off the heap's list. */
void mutator_end(gcmutator *m);

/* One that has ended, and for which no stop is put off: the structure is free. In no region: nothing is held meanwhile. */
void mutator_free(gcmutator *m);

/* Holes and hot spans given up. */
void mutator_retire(gcmutator *m);

/* In the child of a fork, of a thread that is not there: the same without a call of a hook, for the next sweep to settle. */
void mutator_leave_behind(gcmutator *m);

void mutator_after_fork(void);

#endif
