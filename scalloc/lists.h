/*
 * lists.h - the lists of a heap and the lock they stand under.
 *
 * A span is in lists of the heap its owner word names, and the owner word of a listed span changes only under that heap's lock.
 * No thread holds two of these locks.
 */
#ifndef SCALLOC_LISTS_H
#define SCALLOC_LISTS_H

#include "heap.h"

void list_lock(heap *h);
void list_unlock(heap *h);

/* Locks the heap that owns the span now; NULL if it is nobody's any more. */
heap *list_lock_owner(span *s);

/* Both under the lock of h, the owner of s. Removing a span that is not in the list does nothing. */
void list_append(heap *h, span *s, unsigned which);
void list_remove(heap *h, span *s, unsigned which);

/* Takes a span out of all lists of `from`, whose lock the caller holds, and makes it another's, shared for now. */
void list_change_owner(span *s, heap *from, heap *to);

#endif
