/*
 * fast.h - the two fast paths, inline, shared by malloc.c and the packagings on top. No atomic read-modify-write, no call.
 */
#ifndef SCALLOC_FAST_H
#define SCALLOC_FAST_H

#include "heap.h"

/* The next block of whatever is hot, a span or a bin; NULL: its list is empty. */
always_inline void *fast_pop(span *hot) {
  span_front *s = (span_front *)(void *)hot;
  void *block = s->free;
  if (unlikely(block == NULL)) return NULL;
  s->free = block_next(block);
  half_increment_owned(&s->used);
  return block;
}

/* A block of `rounded` bytes, a multiple of 8 up to DIRECT_MAX, from the hot span; NULL: its list is empty. */
always_inline void *fast_alloc(heap *h, size_t rounded) {
  /* hot[rounded / 8], whose offset in bytes is `rounded` itself */
  return fast_pop(*(span **)(void *)((char *)h->hot + rounded));
}
_Static_assert(offsetof(heap, hot) == 0 && sizeof(span *) == 8, "a rounded size is the offset of its hot span");

/*
 * Frees a block into a span of the caller's heap that is not shared. False, and nothing done, if that brings the span to its
 * mark: the caller goes on with heap_notified.
 */
always_inline bool fast_free(span *s, void *block) {
  unsigned used = half_load_relaxed(&s->used) - 1;
  if (unlikely(used == s->notify)) return false;
  block_set_next(block, s->free);
  s->free = block;
  half_store_release(&s->used, used); /* last: who sees the count sees the list; pairs with the loads in span.c */
  return true;
}

#endif
