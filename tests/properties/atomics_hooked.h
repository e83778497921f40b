/*
 * atomics_hooked.h - the atomics of the core with a call before each of them. Included by force before every source of a test
 * build of the core, so that the test can let another thread run, or act itself, at each of these points.
 */
#ifndef SCALLOC_TESTS_ATOMICS_HOOKED_H
#define SCALLOC_TESTS_ATOMICS_HOOKED_H

#include "atomics.h"

void before_load(void);
void before_store(void);
void before_cas(void); /* and every other read-modify-write */

/* Functions, so that the operands are read before the call, as they are before the real operation. */
static inline bool hooked_cas(volatile word_t *p, word_t old, word_t new) {
  before_cas();
  return word_cas_full(p, old, new);
}

#define HOOKED_LOAD(name, type)                                                                                                \
  static inline type hooked_##name(const volatile type *p) {                                                                   \
    before_load();                                                                                                             \
    return name(p);                                                                                                            \
  }
#define HOOKED_WRITE(name, type, result, hook, give)                                                                           \
  static inline result hooked_##name(volatile type *p, type v) {                                                               \
    hook();                                                                                                                    \
    give name(p, v);                                                                                                           \
  }

HOOKED_LOAD(word_load_relaxed, word_t)
HOOKED_LOAD(word_load_acquire, word_t)
HOOKED_LOAD(half_load_relaxed, unsigned)
HOOKED_LOAD(half_load_acquire, unsigned)
HOOKED_WRITE(word_store_relaxed, word_t, void, before_store, )
HOOKED_WRITE(word_store_release, word_t, void, before_store, )
HOOKED_WRITE(half_store_relaxed, unsigned, void, before_store, )
HOOKED_WRITE(half_store_release, unsigned, void, before_store, )
HOOKED_WRITE(word_or_full, word_t, void, before_cas, )
HOOKED_WRITE(word_and_full, word_t, void, before_cas, )
HOOKED_WRITE(word_add_full, word_t, word_t, before_cas, return )

#undef word_load_relaxed
#undef word_load_acquire
#undef word_store_relaxed
#undef word_store_release
#undef word_add_full
#undef word_or_full
#undef word_and_full
#undef half_load_relaxed
#undef half_load_acquire
#undef half_store_relaxed
#undef half_store_release

#define word_cas_full hooked_cas
#define word_load_relaxed hooked_word_load_relaxed
#define word_load_acquire hooked_word_load_acquire
#define word_store_relaxed hooked_word_store_relaxed
#define word_store_release hooked_word_store_release
#define word_add_full hooked_word_add_full
#define word_or_full hooked_word_or_full
#define word_and_full hooked_word_and_full
#define half_load_relaxed hooked_half_load_relaxed
#define half_load_acquire hooked_half_load_acquire
#define half_store_relaxed hooked_half_store_relaxed
#define half_store_release hooked_half_store_release

#endif
