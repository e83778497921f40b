/*
 * signpost.h - slot 0 of the span table, which is no span's: it tells another process that looks at this one (scalloc-top, top/)
 * where the arena is. Its first line alone; the second stays zero, so that span 0 looks like one that was never used.
 *
 * The table is the beginning of a mapping, so whoever reads the first bytes of each mapping finds it. What is read from there on
 * are the plain structures of arena.h, span.h and nursery.h: a change of these needs another magic (top/picture.c asserts that).
 */
#ifndef SCALLOC_SIGNPOST_H
#define SCALLOC_SIGNPOST_H

#include "arena.h"

#define SIGNPOST_MAGIC ((word_t)0x31636f6c6c616373) /* "scalloc1" */

/* Written by every thread that opens the first slots, all of them the same. */
typedef struct {
  volatile word_t magic;
  volatile word_t self;    /* its own address: a copy elsewhere is none */
  volatile word_t arena;   /* address of the arena_state */
  volatile word_t limit;   /* SCALLOC_LIMIT_BYTES, 0 = none */
  volatile word_t tracked; /* 1: a tracked build */
} signpost;

_Static_assert(sizeof(signpost) <= CACHE_LINE, "the line that is the owner's in other slots");

#endif
