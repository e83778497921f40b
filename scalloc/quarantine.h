/*
 * quarantine.h - tracked builds: freed blocks wait before their memory is used again, so that a late write or a second free of
 * them is still told. A queue per heap, of the heap's user; options.quarantine blocks, QUARANTINE_BYTES at most.
 */
#ifndef SCALLOC_QUARANTINE_H
#define SCALLOC_QUARANTINE_H

#include "heap.h"

#if TRACKED
/* Holds a block back; what it displaces is freed. False: not this one, the caller frees it. */
bool quarantine_put(heap *user, span *s, void *block);

/* Frees all that is held back. False: nothing was. */
bool quarantine_flush(heap *user);

#else
always_inline bool quarantine_flush(heap *user) { return (void)user, false; }
#endif

#endif
