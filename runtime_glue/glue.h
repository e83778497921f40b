/*
 * glue.h - what the files of the glue share of the core. The glue is a library of its own: `arena` here is its copy of where
 * the arena lies, without the bounds that move.
 */
#ifndef SCALLOC_GLUE_H
#define SCALLOC_GLUE_H

#include "rt_names.h"

#include "lend.h"
#include "lock.h"
#include "scalloc/runtime_glue.h"

/* Most blocks of a span: its bits are 256 bytes. */
enum { GC_BLOCKS = SCALLOC_RT_BLOCKS, GC_WORDS = GC_BLOCKS / 64 };

/* How large a real span is: as many blocks as that, but ... */
#define GC_SPAN_MOST ((size_t)1 << 18)
enum {
  GC_BLOCKS_LEAST = 8,     /* ... not more bytes than GC_SPAN_MOST, unless it takes more for so many; */
  GC_SMALL_SPANS = 2,      /* and of the first two spans of a slot only a quarter, of the next two a half; */
  GC_HOLE_BYTES = 1 << 13, /* a refill hands out no more than that at once, so that zeroed memory is still in the cache */
  GC_PIECE = 16            /* shorter runs of free blocks are taken a word of bits at a time */
};

#endif
