/* view.h - what the core asks about lent spans. */
#ifndef SCALLOC_VIEW_H
#define SCALLOC_VIEW_H

#include "gcheap.h"

extern internal const lend_borrower view_borrower;

/* Is block i of a span allocated: by gcspan_has, and not in the hole of its mutator? */
bool view_has(const span *s, uint32_t i);

/* The part of a hot span that lies in its mutator's hole, as block numbers. */
void view_hole(const span *s, uint32_t *from, uint32_t *to);

#endif
