/* mutator.h - mutators and the refill of their holes. */
#ifndef SCALLOC_MUTATOR_H
#define SCALLOC_MUTATOR_H

#include "gcheap.h"

always_inline gcmutator *mutator_of(scalloc_rt_mutator *m) { return (gcmutator *)(void *)m; }

/* The mutator that has a span hot: by its number. */
always_inline unsigned mutator_number(const gcmutator *m) {
  return (unsigned)((size_t)((const char *)m - bits.structures) / CACHE_LINE);
}
always_inline gcmutator *mutator_at(unsigned number) {
  return (gcmutator *)(void *)(bits.structures + (size_t)number * CACHE_LINE);
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
