/* large_take.h - large blocks as the tests of large.c take and look at them. */
#ifndef SCALLOC_TESTS_LARGE_TAKE_H
#define SCALLOC_TESTS_LARGE_TAKE_H

#include "unit.h"

#include "large.h"

static inline span *take(size_t size, size_t alignment) {
  bool zeroed;
  span *s = large_take(size, alignment, false, &zeroed);
  CHECK(s != NULL);
  CHECK_INT(span_state_now(s), ==, SPAN_LARGE);
  CHECK_INT(s->large_bytes, ==, (size + PAGE - 1) & ~(size_t)(PAGE - 1));
  CHECK_INT((size_t)s->run << SPAN_SHIFT, >=, s->large_bytes);
  CHECK_INT(s->run_dirty, <=, (size_t)s->run << SPAN_SHIFT);
  return s;
}

/* Is a block zero where calloc would not clear it? Then dirties it. */
static inline void check_zero_if_said(span *s, bool zeroed) {
  if (zeroed) CHECK(all_bytes(span_start(s), s->large_bytes, 0));
  memset(span_start(s), 0xa5, s->large_bytes);
}

/* An arena of 64 MB: 31 spans to give. */
static inline void small_arena(void) { unit_arena(64 * MB); }

static inline void limited(size_t limit) {
  CHECK(scalloc_option_set("SCALLOC_LIMIT_BYTES", (long)limit));
  small_arena();
}

#endif
