/* allocated.h - what the Boehm bridge, a library of its own, asks the glue: which blocks of a span are allocated, many at once; and
   which sizes are hopeless. */
#ifndef SCALLOC_ALLOCATED_H
#define SCALLOC_ALLOCATED_H

#include "rt_names.h"

#include "atomics.h"
#include "scalloc/runtime_glue.h"

enum { ALLOCATED_WORDS = 64 }; /* room for the bits of any span */

/*
 * The allocated ones of the blocks from .. to - 1 as bits, block 64 * k + i as bit i of out[k - from / 64]; other bits are 0. False:
 * the span is not one of the heap with blocks of that size that only its user frees. At any time, without a lock; what changes
 * meanwhile may be seen or not, and waits for nobody who is stopped.
 */
private_api bool allocated_blocks(const scalloc_rt_heap *h, scalloc_rt_span number, size_t size, uint32_t from, uint32_t to,
                                  word_t out[ALLOCATED_WORDS]);

/* No block can have more bytes, whatever is in use: the arena, and the limit of the process. Once there is a heap. */
private_api size_t allocated_most(void);

#endif
