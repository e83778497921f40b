/*
 * bits.h - three bits for every block of every span of the glue, in dense tables beside the arena; and the memory of the
 * glue's own structures, behind them.
 *
 *   mark    set by tracers, any number at once; cleared by the first to touch the span in a cycle, who holds it. They lie
 *           behind what tracers must know of the span (scalloc_rt_marks)
 *   alloc   handed out, as a mutator's hole or part of one; written by who holds the span
 *   freed   freed by hand since a holder last looked; set by any thread
 */
#ifndef SCALLOC_BITS_H
#define SCALLOC_BITS_H

#include "glue.h"

typedef struct {
  scalloc_rt_marks *marks; /* of span 0; read-only once made, as the next */
  volatile word_t *alloc, *freed;
  char *structures;      /* of heaps and mutators; read-only once made */
  volatile word_t reach; /* spans below this may be looked at: their slots and bits are open */
} bits_tables;

extern internal bits_tables bits;

/* Reserves the tables, once; false and ENOMEM when the OS refuses. */
bool bits_init(void);

/* Zeroed memory for heaps and mutators, `bytes` a multiple of a cache line; never given back. NULL when refused. */
void *bits_structure(size_t bytes);

/* Makes the bits of a span usable. False when the OS refuses. */
bool bits_open(uint32_t index);

/* After a fork: a table that was being opened by a thread that is gone. */
void bits_after_fork(void);

always_inline volatile word_t *bits_of(volatile word_t *table, uint32_t index) { return table + (size_t)index * GC_WORDS; }
always_inline bool bit_get(const volatile word_t *words, uint32_t i) { return word_load_relaxed(&words[i / 64]) >> i % 64 & 1; }

/* Sets a bit; true if it was clear and this thread did it. Reads first: a set bit costs no locked operation. */
always_inline bool bit_win(volatile word_t *words, uint32_t i) {
  volatile word_t *word = &words[i / 64];
  word_t bit = (word_t)1 << i % 64, now;
  do {
    now = word_load_relaxed(word);
    if (now & bit) return false;
  } while (!word_cas_full(word, now, now | bit));
  return true;
}

/* Bits from `from` to below `to` of word w. */
always_inline word_t bits_between(uint32_t w, uint32_t from, uint32_t to) {
  uint32_t low = w * 64, high = low + 64;
  word_t mask = ~(word_t)0;
  if (from > low) mask &= from >= high ? 0 : mask << (from - low);
  if (to < high) mask &= to <= low ? 0 : ~(word_t)0 >> (high - to);
  return mask;
}

/* Sets or clears a range; by the only writer of the words, or of words that only gain bits while he writes. */
void bits_set(volatile word_t *words, uint32_t from, uint32_t to);
void bits_clear(volatile word_t *words, uint32_t from, uint32_t to);

/* The same for mark bits, which others may be setting. */
void bits_set_shared(volatile word_t *words, uint32_t from, uint32_t to);

/* The first clear bit from `from` on, or `end`; and the first set one. */
uint32_t bits_next_clear(const volatile word_t *words, uint32_t from, uint32_t end);
uint32_t bits_next_set(const volatile word_t *words, uint32_t from, uint32_t end);

uint32_t bits_count(const volatile word_t *words, uint32_t end);

#endif
