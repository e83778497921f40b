/*
 * bits.c - one reservation for the three tables and the structures, opened where they are in use.
 *
 * Opened in steps of 64 spans of all three tables; two threads may open the same step, harmlessly. `opened` is a bit per step.
 */
#include "bits.h"

#include <errno.h>

bits_tables bits;

enum { STEP = 64 };

static spin_lock making; /* held across calls to the OS, once */
static volatile word_t *opened_steps;
static char *reserved; /* kept when opening its beginning was refused */
static size_t structures_bytes;
static volatile word_t structures_opened, structures_used;
enum { STRUCTURES_SHIFT = 12, STRUCTURES_LEAST = 1 << 24, STRUCTURES_STEP = 1 << 18 };

static size_t round_up(size_t n, size_t to) { return (n + to - 1) & ~(to - 1); }

static bool make(void) {
  size_t steps = (arena.spans + (size_t)STEP - 1) / STEP, table = steps * STEP * GC_WORDS * sizeof(word_t);
  size_t marks = steps * STEP * sizeof(scalloc_rt_marks);
  size_t map = round_up((steps + 63) / 64 * sizeof(word_t), PAGE), all = (size_t)arena.spans << SPAN_SHIFT >> STRUCTURES_SHIFT;
  structures_bytes = all > STRUCTURES_LEAST ? all : STRUCTURES_LEAST;
  if (reserved == NULL) reserved = os_reserve(NULL, map + marks + 2 * table + structures_bytes);
  if (reserved == NULL || !os_open(reserved, map)) return false;
  opened_steps = (volatile word_t *)(void *)reserved;
  bits.marks = (scalloc_rt_marks *)(void *)(reserved + map);
  bits.alloc = (volatile word_t *)(void *)(reserved + map + marks);
  bits.structures = reserved + map + marks + 2 * table;
  bits.freed = bits.alloc + table / sizeof(word_t);
  return true;
}

/* Raises a bound that only grows. */
static void raise_to(volatile word_t *bound, word_t to) {
  word_t now;
  do now = word_load_acquire(bound);
  while (now < to && !word_cas_full(bound, now, to));
}

void *bits_structure(size_t bytes) {
  for (;;) {
    size_t at = word_load_acquire(&structures_used), opened = word_load_acquire(&structures_opened);
    if (at + bytes > structures_bytes) return NULL;
    if (at + bytes > opened) {
      size_t to = round_up(at + bytes, STRUCTURES_STEP);
      if (to > structures_bytes) to = structures_bytes;
      if (!os_open(bits.structures + opened, to - opened)) return NULL;
      raise_to(&structures_opened, to);
    }
    if (word_cas_full(&structures_used, at, at + bytes)) return bits.structures + at;
  }
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

static bool open_table(volatile void *table, size_t step, size_t of_span) {
  size_t bytes = STEP * of_span;
  return os_open((char *)(uintptr_t)table + step * bytes, bytes);
}

static bool open_step(size_t step) {
  size_t of_span = GC_WORDS * sizeof(word_t);
  return open_table(bits.marks, step, sizeof(scalloc_rt_marks)) && open_table(bits.alloc, step, of_span) &&
         open_table(bits.freed, step, of_span);
}

bool bits_open(uint32_t index) {
  size_t step = index / STEP;
  volatile word_t *word = &opened_steps[step / 64];
  word_t bit = (word_t)1 << step % 64;
  if (!(word_load_acquire(word) & bit)) {
    if (!open_step(step)) return false;
    word_or_full(word, bit);
  }
  raise_to(&bits.reach, (word_t)index + 1);
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

static uint32_t next_bit(const volatile word_t *words, uint32_t from, uint32_t end, word_t flip) {
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
  return next_bit(words, from, end, ~(word_t)0);
}
uint32_t bits_next_set(const volatile word_t *words, uint32_t from, uint32_t end) { return next_bit(words, from, end, 0); }

uint32_t bits_count(const volatile word_t *words, uint32_t end) {
  uint32_t n = 0;
  for (uint32_t w = 0; w * 64 < end; w++)
    n += (uint32_t)__builtin_popcountll(word_load_relaxed(&words[w]) & bits_between(w, 0, end));
  return n;
}
