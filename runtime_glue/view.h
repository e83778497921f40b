/* view.h - what the core asks about lent spans. */
#ifndef SCALLOC_VIEW_H
#define SCALLOC_VIEW_H

#include "gcheap.h"

extern internal const lend_borrower view_borrower;

/* Is block i of a span of h allocated: by gcspan_has, and not in the hole of its mutator? The span may be released meanwhile. */
bool view_has(const gcheap *h, const span *s, uint32_t i);

/* Is block i, at that address, in the hole or the pieces of the mutator that has the span hot? */
bool view_is_own(const span *s, uint32_t i, uintptr_t block);

#endif
