/*
 * lua_spans.h - the spans of a heap, one by one, for the heap map; what it has handed out, for the profile.
 */
#ifndef SCALLOC_LUA_SPANS_H
#define SCALLOC_LUA_SPANS_H

#include <scalloc/lua_alloc.h>

typedef struct {
  size_t block;     /* bytes of a block; 0: the span is (or begins) one large block */
  size_t live;      /* blocks handed out */
  size_t room;      /* blocks that the span holds as it is now */
  size_t committed; /* bytes of pages that may be backed */
  size_t live_bytes;
} lua_span;

/* Visits every span of a heap; `visit` must not use the heap. */
void scalloc_lua_spans_each(scalloc_lua_heap *heap, void (*visit)(void *userdata, const lua_span *span), void *userdata);

/* From now on the peak is at least so many bytes: those whom a reset has taken it from give it back. */
void scalloc_lua_spans_peak(scalloc_lua_heap *heap, size_t peak);

/* Does each block of the heap know its birth, and the heap how many bytes it has handed out until now? Then so many. O(1). */
bool scalloc_lua_spans_births(scalloc_lua_heap *heap);
unsigned long long scalloc_lua_spans_handed_out(scalloc_lua_heap *heap);

#endif
