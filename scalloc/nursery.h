/*
 * nursery.h - young heaps: the small blocks of a heap in a few cells, before a class has enough of them for spans of its own.
 *
 *   first cell   [ heap without own_sets | nursery | blocks ...                     | sets |          ]
 *   more cells   [ cell_more | blocks ...                                                             ]
 *
 * Blocks of all classes lie side by side. Who frees one says its size, as Lua does. For those who look from outside a bit marks
 * the granule where each block begins; these bits are only ever set, since blocks are divided but never joined.
 * Each class has a *bin*, which begins like a span, so that it can be the hot span of its class and serve the fast path of
 * allocation. A free finds the slot of the nursery span, which sends it here.
 *
 * A class whose blocks here come to NURSERY_CLASS_BYTES opens spans. When a quarter of these blocks are free the bin becomes hot
 * once more. Everything here belongs to the heap's user.
 */
#ifndef SCALLOC_NURSERY_H
#define SCALLOC_NURSERY_H

#include "cells.h"
#include "heap.h"

enum {
  NURSERY_CLASSES = 36,
  NURSERY_MAX = 4096,          /* bytes of the largest of these classes */
  NURSERY_WHOLE_MAX = 64,      /* larger free blocks may be cut up */
  NURSERY_CLASS_BYTES = 16384, /* as much of one class is here at most */
  NURSERY_FIRST_BYTES = 24576, /* where the blocks of the first cell end: a state that has opened the libraries fits in */
};

typedef struct {
  void *free;             /* as in a span */
  volatile unsigned used; /* as in a span; carved - used blocks are free */
  unsigned carved;        /* blocks of this class that there are */
} __attribute__((may_alias)) nursery_bin;

_Static_assert(offsetof(nursery_bin, free) == offsetof(span, free) && offsetof(nursery_bin, used) == offsetof(span, used),
               "fast_pop takes a bin for a span");

typedef struct {
  char *at, *end;
} nursery_region;

typedef struct {
  nursery_bin bins[NURSERY_CLASSES];
  nursery_region fresh;                                /* the part of the newest cell that was never used */
  nursery_region scrap;                                /* a freed block that is being cut up */
  uint64_t loose;                                      /* bins that may have a block to cut up; a bit for each class */
  char *more;                                          /* the newest cell but the first */
  unsigned cells;                                      /* how many there are */
  uint64_t starts[NURSERY_FIRST_BYTES / GRANULE / 64]; /* of the first cell */
} nursery;

#define NURSERY_AT ((offsetof(heap, own_sets) + 15) & ~(size_t)15)
_Static_assert(NURSERY_AT % _Alignof(nursery) == 0 && NURSERY_AT + sizeof(nursery) < CELL_BYTES / 8, "it leaves room");

always_inline nursery *nursery_of(heap *h) { return (nursery *)(void *)((char *)h + NURSERY_AT); }

/* Is what h has in its table of hot spans a bin of its own? */
always_inline bool nursery_has_bin(const heap *h, const span *s) {
  return (uintptr_t)s - ((uintptr_t)h + NURSERY_AT) < sizeof(nursery_bin) * NURSERY_CLASSES && heap_is_young(h);
}

/* The bin of a class, as a hot span. */
always_inline span *nursery_span(heap *h, unsigned class_index) { return (span *)(void *)&nursery_of(h)->bins[class_index]; }

/* A heap in this cell, without a block; its sets are empty and not to be written. */
void nursery_begin(heap *h);

/* Gives all cells back but the first, which is as new. */
void nursery_empty(heap *h);

/* Gives its cells back, and so the heap itself. */
void nursery_end(heap *h);

/* Before the heap links its first span into a set. */
void nursery_need_sets(heap *h);

/* The bin of the class with a block on its list; NULL: the class has outgrown the nursery, or there is no memory. */
span *nursery_refill(heap *h, unsigned class_index);

/* Frees a block that shrank in place and so is not aligned as those of its class are. */
private_api void nursery_free_odd(heap *h, void *block, unsigned class_index);

/* The end of a program that gives a size that no block here has. */
_Noreturn private_api void nursery_bad_size(const void *block);

/* Will a block with osize do for nsize? */
always_inline bool nursery_fits(const void *block, size_t osize, size_t nsize) {
  if (unlikely(osize - 1 >= NURSERY_MAX)) nursery_bad_size(block);
  return nsize <= NURSERY_MAX && class_of(nsize) == class_of(osize);
}

/* Cuts the end off a block, which has osize and is to have nsize, both of different classes. */
private_api void nursery_shrink(heap *h, char *block, size_t osize, size_t nsize);

/* May a block of this class begin here, at a multiple of 8? Not, if it is a multiple of 16 and shrank out of one that is not. */
always_inline bool nursery_is_aligned(const void *at, unsigned class_index) {
  return ((uintptr_t)at & 8) == 0 || (class_index < CLASSES_BY_8 && class_index % 2 == 0);
}

/* Is this a block of the class in one of its cells, in use or not? */
private_api bool nursery_has_block(heap *h, const void *block, unsigned class_index);

/* Frees a block of a heap's own cells, whose size rounds to the class it was asked for in. */
always_inline void nursery_free(heap *h, void *block, size_t size) {
  if (unlikely(size - 1 >= NURSERY_MAX)) nursery_bad_size(block);
  nursery *n = nursery_of(h);
  unsigned class_index = class_of(size);
  assert_that(nursery_has_block(h, block, class_index) || !nursery_is_aligned(block, class_index));
  nursery_bin *bin = &n->bins[class_index];
  half_store_relaxed(&bin->used, bin->used - 1);
  if (unlikely(!nursery_is_aligned(block, class_index))) {
    nursery_free_odd(h, block, class_index);
    return;
  }
  block_set_next(block, bin->free);
  bin->free = block;
  if (size > NURSERY_WHOLE_MAX) n->loose |= (uint64_t)1 << class_index;
}

/* ---- looking at it: exact for its user; nothing, if it is not young ---- */

/* Its cells; bytes of them that were ever used, in pages; blocks of a class in use, and all there are; bytes of those in use. */
private_api size_t nursery_cells(heap *h);
private_api size_t nursery_committed(heap *h);
private_api size_t nursery_used(heap *h, unsigned class_index);
private_api size_t nursery_carved(heap *h, unsigned class_index);
size_t nursery_live(heap *h);

/* Visits the blocks in use. O(its free blocks times its cells). */
void nursery_each(heap *h, void (*visit)(void *context, void *block, size_t size, size_t room), void *context);

/* The block in a cell of the heap that an address lies in; false: none. O(1). */
bool nursery_extent(heap *h, const void *address, scalloc_block *out);

/* The same, and whether it is in use. O(its free blocks). */
bool nursery_find(heap *h, const void *address, scalloc_block *out);

/* Is this address in one of its cells? */
bool nursery_owns(heap *h, const void *address);

/* What is wrong in it, or NULL. O(blocks). */
const char *nursery_fault(heap *h);

/* In the child of a fork: its user may have vanished between two stores. */
void nursery_repair(heap *h);

#endif
