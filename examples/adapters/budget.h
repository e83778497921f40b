/*
 * budget.h - a heap that may hand out so many bytes and no more, for one VM among many.
 *
 * scalloc knows the size of every block, so a counter is all that it takes. SCALLOC_LIMIT_BYTES is the limit of the process.
 */
#ifndef SCALLOC_EXAMPLES_BUDGET_H
#define SCALLOC_EXAMPLES_BUDGET_H

#include <scalloc/scalloc.h>

typedef struct budget {
  scalloc_heap *heap;
  size_t used, limit; /* bytes, as scalloc_usable_size counts; limit 0: none */
} budget;

/* As realloc; size 0 frees, and a shrink is never refused. */
static inline void *budget_realloc(budget *b, void *block, size_t size) {
  size_t before = scalloc_usable_size(block); /* 0 for NULL */
  if (size > before && b->limit != 0 && b->used - before + scalloc_good_size(size) > b->limit) return NULL;
  if (size == 0)
    scalloc_heap_free(b->heap, block);
  else if ((block = scalloc_heap_realloc(b->heap, block, size)) == NULL)
    return NULL;
  b->used += (size == 0 ? 0 : scalloc_usable_size(block)) - before;
  return size == 0 ? NULL : block;
}

#endif
