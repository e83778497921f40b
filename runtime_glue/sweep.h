/* sweep.h - what a held span's bits say: applying the last cycle, and where the span belongs then. */
#ifndef SCALLOC_SWEEP_H
#define SCALLOC_SWEEP_H

#include "gcheap.h"

enum { GC_ROOM = 16, GC_ROOM_BY_HAND = 4 }; /* REUSABLE: more than 1 / that of its blocks are free */

/* Held: writes THE RULE down, telling the hooks of the dead; frees by hand have been merged. */
void sweep_update(gcheap *h, span *s);

/* Held, in no list, not hot: to the list and the stage that its blocks ask for, or released; lets go of it. */
void sweep_settle(span *s, uint32_t merged);

/* A word of an UNCOLLECTABLE span after a free by hand, or after its holder let go: does what it asks for. The span may have ended
   since: `blocks`, how many it has, was read before it could. */
void sweep_follow(gcslot *slot, span *s, word_t w, uint32_t blocks);

/* In the child of a fork, whose other threads may have been between the bit, the count and the following of a free by hand of a
   small UNCOLLECTABLE block, which are in no region: all of these are counted anew. Calls no hook. */
void sweep_recount(gcheap *h);

/* Sweeps up to `most` unswept spans of all slots; how many. */
size_t sweep_some(gcheap *h, size_t most);

#endif
