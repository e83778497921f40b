/*
 * classes.h - size classes: pure arithmetic and constant tables, no state.
 *
 *   8 .. 64      in steps of 8     8 classes    sizes that are 8 mod 16 are used by the Lua path only
 *   80 .. 256    in steps of 16   12 classes
 *   320 .. 1 MB  4 per doubling   48 classes    so 3 * 2^n is exact
 *
 * A block of class c is aligned to the largest power of two that divides its size, since spans begin their blocks at offsets
 * that are multiples of it (class_first_offset).
 */
#ifndef SCALLOC_CLASSES_H
#define SCALLOC_CLASSES_H

#include "config.h"

enum {
  CLASSES_BY_8 = 8,
  CLASSES_BY_16 = 12,
  CLASSES = CLASSES_BY_8 + CLASSES_BY_16 + 48,
  FINE_MAX = 256,                        /* largest size of the linear classes */
  DIRECT_MAX = 1024,                     /* sizes up to here find their hot span without computing the class */
  SMALL_STEP = ABLATED(EIGHTS) ? 16 : 8, /* sizes on the Lua path are rounded up to multiples of it */
};

/* The class of size 1 .. LARGE_MIN on the Lua path; sizes that are multiples of 16 never get an 8-byte class. */
always_inline unsigned class_of(size_t size) {
  if (size <= 64) return (unsigned)((size + 7) / 8 - 1) | ABLATED(EIGHTS);
  if (size <= FINE_MAX) return CLASSES_BY_8 + (unsigned)((size - 65) / 16);
  unsigned top = log2_floor(size - 1); /* 8 for 257 .. 512 */
  return CLASSES_BY_8 + CLASSES_BY_16 + (top - 8) * 4 + (unsigned)((size - 1) >> (top - 2) & 3);
}

/* Bytes of a block of a class. */
always_inline size_t class_size(unsigned c) {
  if (c < CLASSES_BY_8) return ((size_t)c + 1) * 8;
  if (c < CLASSES_BY_8 + CLASSES_BY_16) return 64 + (c - CLASSES_BY_8 + 1) * 16;
  unsigned i = c - CLASSES_BY_8 - CLASSES_BY_16;
  return (size_t)(5 + i % 4) << (6 + i / 4);
}

/* The class of a size 0 .. LARGE_MIN asked for through malloc: 16-aligned always. */
always_inline unsigned class_of_malloc(size_t size) {
  return class_of(size <= 64 ? (size <= 16 ? 16 : (size + 15) & ~(size_t)15) : size);
}

/* The next larger class that is a power of two, whose blocks will do for any alignment that those of `c` have. CLASSES: none. */
always_inline unsigned class_wider(unsigned c) {
  size_t size = class_size(c);
  return size < LARGE_MIN ? class_of((size_t)2 << log2_floor(size)) : CLASSES;
}

/* Where the blocks of the span with this index begin: whole pages of colour, so that the first blocks and the first page
   table entries of neighbouring spans do not fall on the same cache lines. */
private_api size_t class_first_offset(unsigned c, uint32_t span_index);

/* How far a fresh span of a class may hand out blocks before its owner looks for spans to reuse: offset, exclusive. */
size_t class_initial_limit(unsigned c, size_t first);

/* offset / class_size(c) for offsets below 2 MB that are multiples of 8, or inside a block: by multiplication. */
extern internal const uint64_t class_reciprocal[CLASSES];
enum { RECIPROCAL_SHIFT = 38 };
always_inline uint32_t class_block_index(unsigned c, size_t offset) {
  return (uint32_t)(((uint64_t)(offset >> GRANULE_SHIFT) * class_reciprocal[c]) >> RECIPROCAL_SHIFT);
}

#endif
