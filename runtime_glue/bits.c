/*
 * bits.c - one reservation for the three tables, opened where spans are in use.
 *
 * Opened in steps of 64 spans of all three tables; two threads may open the same step, harmlessly. `opened` is a bit per step.
 */
#include "bits.h"

#include <errno.h>

bits_tables bits;

enum { STEP = 64 };

static spin_lock making; /* held across calls to the OS, once */
static volatile word_t *opened_steps;

static size_t round_up(size_t n, size_t to) { return (n + to - 1) & ~(to - 1); }

static bool make(void) {
  size_t steps = (arena.spans + (size_t)STEP - 1) / STEP, table = steps * STEP * GC_WORDS * sizeof(word_t);
  size_t map = round_up((steps + 63) / 64 * sizeof(word_t), PAGE);
  char *start = os_reserve(NULL, map + 3 * table);
  if (start == NULL || !os_open(start, map)) return false;
  opened_steps = (volatile word_t *)(void *)start;
  bits.mark = (volatile word_t *)(void *)(start + map);
  bits.alloc = bits.mark + table / sizeof(word_t);
  bits.freed = bits.alloc + table / sizeof(word_t);
  return true;
}

bool bits_init(void) {
  bool made = true;
  lock_take(&making);
  if (bits.freed == NULL) made = make();
  lock_give(&making);
  if (!made) errno = ENOMEM;
  return made;
}

void bits_after_fork(void) { lock_give(&making); }

static bool open_table(volatile word_t *table, size_t step) {
  size_t bytes = (size_t)STEP * GC_WORDS * sizeof(word_t);
  return os_open((char *)(uintptr_t)table + step * bytes, bytes);
}

bool bits_open(uint32_t index) {
  size_t step = index / STEP;
  volatile word_t *word = &opened_steps[step / 64];
  word_t bit = (word_t)1 << step % 64, reach;
  if (!(word_load_acquire(word) & bit)) {
    if (!open_table(bits.mark, step) || !open_table(bits.alloc, step) || !open_table(bits.freed, step)) return false;
    word_or_full(word, bit);
  }
  do reach = word_load_acquire(&bits.reach);
  while (reach <= index && !word_cas_full(&bits.reach, reach, (word_t)index + 1));
  return true;
}

void bits_set(volatile word_t *words, uint32_t from, uint32_t to) {
  for (uint32_t w = from / 64; w * 64 < to; w++)
    word_store_relaxed(&words[w], word_load_relaxed(&words[w]) | bits_between(w, from, to));
}

void bits_clear(volatile word_t *words, uint32_t from, uint32_t to) {
  for (uint32_t w = from / 64; w * 64 < to; w++)
    word_store_relaxed(&words[w], word_load_relaxed(&words[w]) & ~bits_between(w, from, to));
}

void bits_set_shared(volatile word_t *words, uint32_t from, uint32_t to) {
  for (uint32_t w = from / 64; w * 64 < to; w++) {
    word_t mask = bits_between(w, from, to);
    if ((word_load_relaxed(&words[w]) & mask) != mask) word_or_full(&words[w], mask);
  }
}

static uint32_t next(const volatile word_t *words, uint32_t from, uint32_t end, word_t flip) {
  if (from >= end) return end;
  uint32_t w = from / 64;
  word_t found = (word_load_relaxed(&words[w]) ^ flip) & (~(word_t)0 << from % 64);
  while (found == 0) {
    if (++w * 64 >= end) return end;
    found = word_load_relaxed(&words[w]) ^ flip;
  }
  uint32_t at = w * 64 + (uint32_t)__builtin_ctzll(found);
  return at < end ? at : end;
}

uint32_t bits_next_clear(const volatile word_t *words, uint32_t from, uint32_t end) {
  return next(words, from, end, ~(word_t)0);
}
uint32_t bits_next_set(const volatile word_t *words, uint32_t from, uint32_t end) { return next(words, from, end, 0); }

uint32_t bits_count(const volatile word_t *words, uint32_t end) {
  uint32_t n = 0;
  for (uint32_t w = 0; w * 64 < end; w++)
    n += (uint32_t)__builtin_popcountll(word_load_relaxed(&words[w]) & bits_between(w, 0, end));
  return n;
}
