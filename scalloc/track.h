/*
 * track.h - the edge of the API in tracked builds: every block handed out and every block taken back passes here.
 *
 * What a tracked build adds to a plain one:
 *
 *   asked size   a block remembers it (its note, link.h); usable_size tells it; what lies behind it is a canary (canary.h)
 *   live map     a bit for every block that is handed out and not freed (live.h): O(1), one winner of several frees
 *   links        outside the blocks (link.h): the allocator neither reads nor writes freed memory
 *   zero         freed memory is zero, and is held to be when it is handed out again
 *   quarantine   freed blocks wait before they are used again (quarantine.h)
 *   closed runs  the memory of free blocks above 1 MB cannot be touched at all
 *
 * A fault ends the process with one line, `scalloc: <what> <address>: <why>`. In a plain build these functions are empty, and
 * every use of them is behind the constant TRACKED.
 */
#ifndef SCALLOC_TRACK_H
#define SCALLOC_TRACK_H

#include "heap.h"

#define ANY_SIZE SIZE_MAX /* where the program does not say how large a block is */

#if TRACKED

/*
 * h NULL: the calling thread's heap. Alignment 8 is that of Lua's blocks, 16 and less otherwise that of malloc. Memory comes
 * zeroed. NULL and ENOMEM.
 */
private_api void *track_allocate(heap *h, size_t alignment, size_t size);

/* `user`, NULL for the calling thread: as in scalloc_heap_free. `size`: what the program takes it to be. Keeps errno. */
private_api void track_free(heap *user, void *block, size_t size);

/* In place, or to `h` (NULL: the calling thread's heap). size > 0; NULL and ENOMEM only for growth. */
private_api void *track_resize(heap *h, void *block, size_t osize, size_t size, size_t alignment);

size_t track_usable_size(const void *block);

/* Completes what scalloc_find found out about a block: asked size, live. */
void track_describe(scalloc_block *block);

/* The same for a large block, which may begin somewhere in its first span. False: the address lies in front of it. */
bool track_describe_large(const span *s, const void *address, scalloc_block *block);

/* A span of an ended heap, which is in the caller's hands: its live blocks are taken back. */
void track_ended(span *s);

/* Bytes asked for in the live blocks of a span. */
size_t track_live_bytes(const span *s);

/* What is wrong with the blocks of a span, and where; NULL: nothing. At a quiescent point. */
const char *track_fault(const span *s, const void **where);

/* Memory that is going to be reused is still zero; otherwise the end: write after free. */
void track_verify_free(char *block, size_t bytes);

#else
always_inline void *track_allocate(heap *h, size_t alignment, size_t size) {
  return (void)h, (void)alignment, (void)size, NULL;
}
always_inline void track_free(heap *user, void *block, size_t size) { (void)user, (void)block, (void)size; }
always_inline void *track_resize(heap *h, void *block, size_t osize, size_t size, size_t alignment) {
  return (void)h, (void)block, (void)osize, (void)size, (void)alignment, NULL;
}
always_inline size_t track_usable_size(const void *block) { return (void)block, 0; }
always_inline void track_describe(scalloc_block *block) { (void)block; }
always_inline bool track_describe_large(const span *s, const void *address, const scalloc_block *block) {
  return (void)s, (void)address, (void)block, true;
}
always_inline void track_ended(span *s) { (void)s; }
always_inline size_t track_live_bytes(const span *s) { return (void)s, 0; }
always_inline const char *track_fault(const span *s, const void **where) { return (void)s, (void)where, NULL; }
#endif

#endif
