/*
 * link.h - how the free blocks of a span are linked to each other.
 *
 * Plain builds keep the link in the first word of the block. Tracked builds (track.h) never read or write freed memory: they
 * keep it in the block's *note*, a word of 32 bits outside the arena that belongs to the granule at which the block starts.
 *
 *   on a list    granule of the next block in its span + 1, 0 at the end; NOTE_FREED if it has been handed out before
 *   live         block size - asked size
 */
#ifndef SCALLOC_LINK_H
#define SCALLOC_LINK_H

#include "arena.h"

#define NOTE_FREED (1u << 31)
#define NOTE_LINK (NOTE_FREED - 1)

always_inline size_t granule_of(const void *address) { return ((uintptr_t)address - arena.base) >> GRANULE_SHIFT; }
always_inline volatile unsigned *note_of(const void *block) { return &arena.notes[granule_of(block)]; }

/* The block behind `block` in its list, NULL at the end. */
always_inline void *block_next(const void *block) {
  if (!TRACKED) return *(void *const *)block;
  uintptr_t link = half_load_relaxed(note_of(block)) & NOTE_LINK;
  return link ? (void *)(((uintptr_t)block & ~(uintptr_t)(SPAN_BYTES - 1)) + ((link - 1) << GRANULE_SHIFT)) : NULL;
}

always_inline void block_set_next(void *block, void *next) {
  if (!TRACKED) {
    *(void **)block = next;
    return;
  }
  unsigned link = next ? (unsigned)(((uintptr_t)next & (SPAN_BYTES - 1)) >> GRANULE_SHIFT) + 1 : 0;
  half_store_relaxed(note_of(block), (half_load_relaxed(note_of(block)) & NOTE_FREED) | link);
}

/* Blocks carved from memory that may have been blocks of another size before: their notes are as if never used. */
always_inline void notes_clear(const void *start, size_t bytes) {
  volatile unsigned *note = note_of(start);
  for (size_t i = 0; i < bytes >> GRANULE_SHIFT; i++) half_store_relaxed(note + i, 0);
}

#endif
