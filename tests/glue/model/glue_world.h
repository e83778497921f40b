/*
 * glue_world.h - what the scenarios of the glue are made of: a heap with one slot of few large blocks, who holds which block,
 * and what must be true after every schedule.
 */
#ifndef SCALLOC_TESTS_GLUE_WORLD_H
#define SCALLOC_TESTS_GLUE_WORLD_H

#include "gcheap.h"

#include "explore.h"

extern scalloc_rt_heap *glue_heap;
extern scalloc_rt_mutator *glue_mutator[2];

/* Setup: a heap whose kind has these flags, a slot of spans of `blocks` (2, 3 or 8), two mutators. */
void glue_world_begin(unsigned flags, unsigned blocks);

/* Setup: `n` blocks, numbered from *next on, live. */
void glue_world_blocks(unsigned n);

/* Block n of the setup, and its span. */
void *glue_block(unsigned n);
span *glue_span(unsigned n);
scalloc_rt_ref glue_ref(unsigned n);

/* Acts: by hand; a block by a mutator, held from then on. */
void glue_free(unsigned n);
void glue_allocate(unsigned mutator);

/* Block n is dead by a cycle: nobody holds it. */
void glue_forget(unsigned n);

/* After a schedule. */
void glue_world_check(void);

#endif
