/*
 * atomics.h - the atomic operations on memory that threads share, each named with its ordering.
 *
 * Everything goes through libatomic_ops (its MIT-licensed part), on words of type AO_t and on unsigned int. A program that
 * explores interleavings compiles the sources against its own version of this header.
 */
#ifndef SCALLOC_ATOMICS_H
#define SCALLOC_ATOMICS_H

#include "platform.h"

#include <atomic_ops.h>

typedef AO_t word_t; /* 64 bits, one compare-and-swap */
_Static_assert(sizeof(word_t) == 8, "the state word needs 64 bits");

#define word_load_relaxed(p) AO_load(p)
#define word_load_acquire(p) AO_load_acquire(p)
#define word_store_relaxed(p, v) AO_store(p, v)
#define word_store_release(p, v) AO_store_release(p, v)

/*
 * A "full" operation is a barrier for everything before and behind it: protocols in which each of two threads writes one word and
 * then reads the other's rely on it (docs/protocols.md). libatomic_ops gives acquire and release for a compare-and-swap, and even
 * a sequentially consistent one lets later plain loads pass its store where it is a loop of exclusive accesses (arm64). So a
 * fence follows it there. TSan knows no fences, and goes by the operation itself.
 */
always_inline void atomics_fence_after_locked(void) {
  if (!LOCKED_IS_FENCE && !UNDER_TSAN) AO_nop_full();
}

/* The value before. */
always_inline word_t word_add_full(volatile word_t *p, word_t v) {
  word_t before = AO_fetch_and_add_full(p, v);
  atomics_fence_after_locked();
  return before;
}

#define word_or_full(p, v) (AO_or_full(p, v), atomics_fence_after_locked())
#define word_and_full(p, v) (AO_and_full(p, v), atomics_fence_after_locked())

/* True if *p was `old` and is now `new`. */
always_inline bool word_cas_full(volatile word_t *p, word_t old, word_t new) {
  bool won = AO_compare_and_swap_full(p, old, new) != 0;
  atomics_fence_after_locked();
  return won;
}

/* Loads before it are done before those behind it. TSan knows no fences, and x86 needs none here. */
#if UNDER_TSAN
#define atomics_fence_acquire() __asm__ volatile("" ::: "memory")
#else
#define atomics_fence_acquire() AO_nop_read()
#endif

#define half_load_relaxed(p) AO_int_load(p)
#define half_load_acquire(p) AO_int_load_acquire(p)
#define half_store_relaxed(p, v) AO_int_store(p, v)
#define half_store_release(p, v) AO_int_store_release(p, v)
#define half_or_full(p, v) (AO_int_or_full(p, v), atomics_fence_after_locked())
#define half_and_full(p, v) (AO_int_and_full(p, v), atomics_fence_after_locked())

/* For those who stop this very thread and look at its memory (signals, forks): the compiler keeps the order of stores. */
#define atomics_keep_order() __atomic_signal_fence(__ATOMIC_SEQ_CST)

/* Counts up a word that only this thread writes while nobody acts on what he reads there: no read-modify-write is needed. */
#if UNDER_TSAN
#define half_increment_owned(p) AO_int_store(p, AO_int_load(p) + 1)
#else
#define half_increment_owned(p) ((void)++*(p))
#endif

#endif
