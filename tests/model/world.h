/*
 * world.h - what scenarios are made of: heaps, spans of few blocks, blocks and who holds them, and the invariants that hold
 * after every schedule.
 */
#ifndef SCALLOC_TESTS_WORLD_H
#define SCALLOC_TESTS_WORLD_H

#include "explore.h"
#include "heap.h"

enum { WORLD_BLOCKS = 24 };

/* The class whose spans have `blocks` blocks: 1 (of two, the first unusable), 2, 3, 4 or 8. */
unsigned world_class(unsigned blocks);

/* Setup: an arena of 64 MB, two stacks per pool slot. */
void world_begin(void);

/* Setup: a hot span of `blocks` blocks in h, all of them live and numbered from *next on; *next moves on. */
span *world_span(heap *h, unsigned blocks, unsigned *next);

/* Setup: no longer hot, in the state that its blocks say. */
void world_cool(heap *h, span *s);

/* Block number n, as numbered in the setup. */
void *world_block(unsigned n);

/* Frees block n by the user of `h` (NULL: a thread without a heap). */
void world_free(heap *h, unsigned n);

/* A block of the class from `h`, which nobody may hold; it is held until freed. NULL: no memory. */
void *world_alloc(heap *h, unsigned class_index);
void world_free_block(heap *h, void *block);

/* The end of a heap and of its blocks. */
void world_end(heap *h);

/* After a schedule: settles the mail of the heaps that have a user, then holds everything to the invariants: no span lost, none
   twice anywhere, exactly the held blocks live, nothing left for a purge to settle. */
void world_check(void);

/* How many blocks of the span are held. */
unsigned world_held_in(const span *s);

#endif
