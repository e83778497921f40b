/*
 * pool.h - the global pool of empty spans: the only place where reusable memory lies that belongs to nobody.
 *
 * Any span serves any class. The pool has a slot for each extent of dirty (backed) pages and one for clean spans; a slot is p
 * stacks, p the number of processors, so that threads meet on one word only when they must. Links are in the span table:
 * popping never touches the pages of a span.
 */
#ifndef SCALLOC_POOL_H
#define SCALLOC_POOL_H

#include "span.h"

enum { POOL_DIRTY_SLOTS = 6, POOL_CLEAN = POOL_DIRTY_SLOTS, POOL_SLOTS }; /* dirty up to 64 K, 128 K, ... 2 MB */

/* Puts an empty span (state FREE, in no list) on a stack; `hint` chooses which. Constant time. */
void pool_put(span *s, uint32_t hint);

/*
 * An empty span in state FREE, or NULL. The own stack first, then the others, of the slot nearest to `bytes` of dirty pages;
 * then the other dirty slots; clean ones last. At most one look at a summary word per slot when the pool is empty.
 */
span *pool_take(uint32_t hint, size_t bytes);

/* The same without the clean ones. */
span *pool_take_dirty(uint32_t hint, size_t bytes);

/* Is there a dirty one? O(p). */
bool pool_has_dirty(void);

/* Takes all spans of stack `n`: index of the first, linked by pool_next; 0 if it was empty. */
uint32_t pool_take_stack(unsigned slot, unsigned n);

/* Puts a chain back where it came from. */
void pool_put_chain(unsigned slot, unsigned n, uint32_t first, uint32_t last);

void pool_reset(void);                  /* forgets all spans: the caller puts them again */
unsigned pool_stacks(void);             /* p */
size_t pool_count(size_t *dirty_bytes); /* spans in the pool now; by walking, at a quiescent point */

#endif
