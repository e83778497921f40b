/* raw.h: what the programs that measure single functions of libscalloc_runtime have in common. */
#ifndef RAW_H
#define RAW_H

#include "../program.h"

#include <scalloc/runtime_glue.h>

/* A heap of one kind and one mutator, filled with whole spans of one size. */
struct raw {
  scalloc_rt_heap *heap;
  scalloc_rt_mutator *mutator;
  unsigned slot;
  size_t rounded;
  uint64_t spans; /* acquired so far */
};

/* Ends the program where memory is refused. */
void raw_open(struct raw *raw, unsigned kind_flags, size_t size);

/* Blocks until `spans` spans are in use and the last one is full; each is told to `seen`, which may be NULL. How many. */
uint64_t raw_fill(struct raw *raw, uint64_t spans, void (*seen)(void *ud, scalloc_rt_ref ref, void *block), void *ud);

/* The middle and the least of n values; sorts them. */
double raw_median(double *values, unsigned n);

#endif
