/*
 * preload.h - the two fast paths of the malloc replacement, shared by its C and its C++ functions: those of the core, but that a
 * block which is not ours is no fault here.
 */
#ifndef SCALLOC_PRELOAD_H
#define SCALLOC_PRELOAD_H

#include "fast.h"
#include "preload_names.h"
#include "thread.h"
#include "track.h"

#define exported __attribute__((visibility("default")))

/* The slow halves. `size`: what the program takes the block to be, or ANY_SIZE. */
void *preload_malloc_slow(size_t size);
void preload_free_slow(void *block, size_t size);

/* Starts the purging thread if that is wanted. */
void purger_begin(void);

always_inline void *preload_malloc(size_t size) {
  if (!WATCHED && likely(size <= DIRECT_MAX) && likely(thread_heap != NULL)) { /* NULL: called before there is TLS */
    void *block = fast_alloc(thread_heap, (size + 15) & ~(size_t)15);
    if (likely(block != NULL)) return block;
  }
  return preload_malloc_slow(size);
}

always_inline void preload_free(void *block, size_t size) {
  if (!WATCHED && likely(span_has(block))) {
    span *s = span_of_inside(block);
    if (likely(word_load_relaxed(&s->owner) == (word_t)thread_heap) && likely(fast_free(s, block))) return;
  }
  preload_free_slow(block, size);
}

#endif
