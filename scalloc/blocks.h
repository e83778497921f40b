/*
 * blocks.h - the live blocks of a heap, one by one.
 */
#ifndef SCALLOC_BLOCKS_H
#define SCALLOC_BLOCKS_H

#include "heap.h"

/* size: what was asked for, where the build knows it, else as room; room: bytes of the block. */
typedef void block_visit(void *context, void *block, size_t size, size_t room);

/*
 * Visits every live block of a heap, in no order, by the heap's user. The heap's list lock is held: `visit` must not allocate
 * from this heap nor free into it. O(blocks), and 32 KB of stack.
 */
private_api void blocks_each(heap *h, block_visit *visit, void *context);

#endif
