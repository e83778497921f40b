/*
 * walk.h - looking at spans from outside: what a walker, the statistics and scalloc_find share.
 */
#ifndef SCALLOC_WALK_H
#define SCALLOC_WALK_H

#include "heap.h"

/* How many slots a walker steps over from this one: the length of a large block or free run, else 1. */
uint32_t walk_step(const span *s);

/* Blocks on a list inside a span, at most `most`; most + 1 if it is longer, leaves the span or lies between blocks. */
uint32_t walk_list(const span *s, const void *list, uint32_t most);

/* Is block number `index` of a span free, as far as its lists tell now? */
bool walk_is_free(const span *s, uint32_t index);

/* First block of the remote list of a word. */
void *walk_remote_list(const span *s, word_t w);

typedef struct {
  size_t hot, floating, reusable, pooled, large; /* spans */
  size_t live, committed;                        /* bytes */
  size_t empty;                                  /* bytes of committed that are in no use */
  size_t large_blocks;                           /* that `large` spans are */
  size_t backed;                                 /* spans with pages, each with a page table */
} walk_totals;

/* Adds one span that a heap uses, hot, floating, reusable or large. */
private_api void walk_add(const span *s, walk_totals *totals);

/* The whole table. */
private_api walk_totals walk_all(void);

#endif
