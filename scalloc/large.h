/*
 * large.h - blocks above 1 MB: runs of spans. The block starts at the first span; only the pages it touches are backed.
 */
#ifndef SCALLOC_LARGE_H
#define SCALLOC_LARGE_H

#include "span.h"

/*
 * A run for `size` bytes (at most PTRDIFF_MAX) at a multiple of `alignment`, a power of two; NULL when there is no room or the
 * limit is reached. *zeroed: its bytes are known to be 0. `headroom`: keep address space behind it for growth in place.
 * O(spans of the run), one short lock.
 */
span *large_take(size_t size, size_t alignment, bool headroom, bool *zeroed);

/* Ends a large block: the run goes to the warm cache, or purged to the clean runs. */
void large_release(span *s);

/* Changes the size in place: always for a shrink, for growth if the run has or gets the room. */
bool large_resize(span *s, size_t size);

/* After a fork: a block that was being made or changed becomes whole. */
void large_repair(span *s);

/* The first slot of the large block, LARGE or LENT, that covers the span; or NULL. */
private_api span *large_head(span *s);

#endif
