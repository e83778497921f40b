/*
 * lua_memory.h - blocks of a core heap for the Lua path: what lies under the account, in plain and in tracked builds.
 *
 * A block whose size is a multiple of 16 is 16-aligned, every other 8-aligned.
 */
#ifndef SCALLOC_LUA_MEMORY_H
#define SCALLOC_LUA_MEMORY_H

#include <string.h>

#include "large.h"
#include "lua_heap.h"
#include "nursery.h"
#include "track.h"

/* The slot of a block, by the heap's own copy of where the table lies. */
always_inline span *lua_memory_slot(heap *h, const void *block) {
  return (span *)(h->slots + ((uintptr_t)block >> SPAN_SHIFT << SLOT_SHIFT));
}

#if TRACKED
always_inline void *lua_memory_new(heap *h, size_t size) { return track_allocate(h, size % 16 ? 8 : 16, size); }
always_inline void lua_memory_free(heap *h, void *block, size_t size) { track_free(h, block, size); }
always_inline void *lua_memory_resize(heap *h, void *block, size_t osize, size_t nsize) {
  return track_resize(h, block, osize, nsize, nsize % 16 ? 8 : 16);
}

#else
always_inline void *lua_memory_new(heap *h, size_t size) {
  bool zeroed;
  return size > LARGE_MIN ? heap_allocate_large(h, size, 1, false, &zeroed) : heap_allocate_class(h, class_of(size));
}

always_inline void lua_memory_free(heap *h, void *block, size_t size) {
  span *s = lua_memory_slot(h, block);
  if (fast_free(s, block)) return;
  if (span_is_nursery(s))
    nursery_free(h, block, size);
  else
    heap_notified(h, s, block);
}

/* Out of a cell of the heap, where a shrink that finds no memory leaves the rest behind. */
always_inline void *lua_memory_resize_in_cell(heap *h, void *block, size_t osize, size_t nsize) {
  bool zeroed;
  void *moved;
  if (nursery_fits(block, osize, nsize)) return block;
  moved = nsize > LARGE_MIN ? heap_allocate_large(h, nsize, 1, true, &zeroed) : heap_allocate_class(h, class_of(nsize));
  if (moved == NULL && nsize > osize) return NULL;
  if (moved == NULL) {
    nursery_shrink(h, block, osize, nsize);
    return block;
  }
  memcpy(moved, block, osize < nsize ? osize : nsize);
  nursery_free(h, block, osize);
  return moved;
}

/* A shrink that finds no memory stays where it is. */
always_inline void *lua_memory_resize(heap *h, void *block, size_t osize, size_t nsize) {
  span *s = lua_memory_slot(h, block);
  bool large = span_state_now(s) == SPAN_LARGE;
  void *moved;
  if (span_is_nursery(s)) return lua_memory_resize_in_cell(h, block, osize, nsize);
  if ((large && nsize > NURSERY_MAX) || nsize > GROWING_MIN) return heap_reallocate(h, block, nsize);
  if (!large && class_of(nsize) == s->class_index) return block;
  moved = heap_allocate_class(h, class_of(nsize));
  if (moved == NULL) return nsize <= osize ? block : NULL;
  memcpy(moved, block, osize < nsize ? osize : nsize);
  lua_memory_free(h, block, osize);
  return moved;
}
#endif

#endif
