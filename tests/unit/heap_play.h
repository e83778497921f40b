/* heap_play.h - one thread plays the users of several heaps in turn. Purges are off: every span stays where it was put. */
#ifndef HEAP_PLAY_H
#define HEAP_PLAY_H

#include "unit.h"

#include "heap.h"
#include "options.h"
#include "pool.h"

enum { MOST = 1024 };

static heap *a, *b;
static unsigned big, page; /* classes: 32 blocks of 64 KB fill a span from the start; 4 KB spans begin with 32 and grow */
static void *blocks[MOST];
static span *filled[8];

static inline void begin_in(size_t arena_bytes) {
  CHECK(scalloc_option_set("SCALLOC_PURGE_DELAY_MS", -1));
  unit_arena(arena_bytes);
  a = heap_create(HEAP_THREAD);
  b = heap_create(HEAP_THREAD);
  big = class_of(65536);
  page = class_of(4096);
}

static inline void begin(void) { begin_in((size_t)4 << 30); }

static inline span *hot(heap *h, unsigned c) { return h->hot[heap_hot_slot(c)]; }

static inline void *take(heap *h, unsigned c) {
  void *block = heap_allocate_class(h, c);
  CHECK(block != NULL);
  CHECK(span_of(block) == hot(h, c));
  return block;
}

static inline size_t pooled(void) {
  size_t dirty;
  return pool_count(&dirty);
}

/* All blocks of `count` spans of the class, 32 each; the last span is hot, with nothing left. */
static inline void fill_spans(heap *h, unsigned c, uint32_t count) {
  for (uint32_t i = 0; i < 32 * count; i++) {
    blocks[i] = take(h, c);
    filled[i / 32] = span_of(blocks[i]);
  }
  for (uint32_t i = 1; i < count; i++) CHECK(filled[i] != filled[i - 1]);
  CHECK(hot(h, c) == filled[count - 1]);
  CHECK(filled[count - 1]->free == NULL && filled[count - 1]->bump + filled[count - 1]->block > filled[count - 1]->limit);
}

static inline void free_some(heap *by, uint32_t from, uint32_t to) {
  for (uint32_t i = from; i < to; i++) heap_free_any(by, blocks[i]);
}

#endif
