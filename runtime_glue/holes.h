/*
 * holes.h - a mutator's free memory: its holes, and pieces, of which holes are made. At every moment each block of them is in one or
 * the other, or allocated: whoever looks at a thread that a signal stopped loses none.
 */
#ifndef SCALLOC_HOLES_H
#define SCALLOC_HOLES_H

#include "mutator.h"

void hole_publish(gcmutator *m, unsigned slot, char *cur, char *lim);

/* The next of the pieces becomes the hole. False: there are none. Holds no span and enters no region. */
bool hole_next_piece(gcmutator *m, unsigned slot);

/* In a region: another hole. False: no memory, *why set. */
bool hole_refill(gcmutator *m, unsigned slot, enum scalloc_rt_why *why);

/* What is allocated in a cycle lives: blocks from .. to - 1, of each word of bits those in `mask`. Held. */
void hole_born_marked(gcheap *h, span *s, uint32_t from, uint32_t to, word_t mask);

#endif
