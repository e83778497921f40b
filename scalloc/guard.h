/*
 * guard.h - tracked builds: one in so many blocks ends at a page that nobody can touch, so that an access behind it, and any
 * access after its free, is told at the moment it happens and not when the block is looked at next.
 *
 * A guarded block has a span of its own: LARGE, `first` the offset of the block, `bump` not 0. When it is freed its span stays
 * closed for a while, in a queue, before it is a free run.
 */
#ifndef SCALLOC_GUARD_H
#define SCALLOC_GUARD_H

#include "heap.h"
#include "live.h"

#if TRACKED
always_inline bool guard_is(const span *s) { return span_state_now(s) == SPAN_LARGE && s->bump != 0; }

/* Freed, and held back: nobody's. */
always_inline bool guard_is_held(const span *s) { return guard_is(s) && !live_is(span_start(s) + s->first); }

/* Is it the turn of a guarded block, in this thread, and may this be one? */
bool guard_wanted(size_t alignment, size_t size);

/* Memory for a block of `size` bytes that ends, rounded up to its alignment, at a closed page; NULL: none this time. */
char *guard_take(heap *h, size_t alignment, size_t size);

/* A guarded block that is no longer live: closed, and its span held back. */
void guard_put(span *s);

/* The same at the end of its heap, where the caller releases the span. */
void guard_ended(span *s);

void guard_flush(void); /* the spans held back become free runs */
void guard_after_fork(void);

/* A signal told of an access to `address`, which is closed: the line and the end if it is one of ours. */
void guard_report(const void *address);

#else
always_inline bool guard_is_held(const span *s) { return (void)s, false; }
always_inline void guard_flush(void) {}
always_inline void guard_after_fork(void) {}
#endif

#endif
