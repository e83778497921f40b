/*
 * live.h - tracked builds: the live map, a bit for every granule at which a live block starts.
 *
 * Set when a block is handed out. Taking it back clears the bit by compare-and-swap, so that of several frees one wins and the
 * others know it, in constant time.
 */
#ifndef SCALLOC_LIVE_H
#define SCALLOC_LIVE_H

#include "link.h"

enum { LIVE_BITS = 64 };

always_inline word_t live_bit(const void *block) { return (word_t)1 << (granule_of(block) % LIVE_BITS); }
always_inline volatile word_t *live_word(const void *block) { return &arena.live[granule_of(block) / LIVE_BITS]; }

always_inline bool live_is(const void *block) { return (word_load_acquire(live_word(block)) & live_bit(block)) != 0; }
always_inline void live_set(const void *block) { word_or_full(live_word(block), live_bit(block)); }

/* True: the block was live, and this thread has ended that. */
always_inline bool live_take(const void *block) {
  word_t w, bit = live_bit(block);
  do {
    w = word_load_acquire(live_word(block));
    if (!(w & bit)) return false;
  } while (!word_cas_full(live_word(block), w, w & ~bit));
  return true;
}

/* The first live block at or after `from` and before `end`, addresses of granules in one span; NULL if there is none. */
always_inline char *live_next(char *from, const char *end) {
  while (from < end) {
    word_t w = word_load_acquire(live_word(from)) >> (granule_of(from) % LIVE_BITS);
    if (w != 0) {
      from += (size_t)__builtin_ctzll(w) << GRANULE_SHIFT;
      return from < end ? from : NULL;
    }
    from += (LIVE_BITS - granule_of(from) % LIVE_BITS) << GRANULE_SHIFT;
  }
  return NULL;
}

#endif
