/*
 * steps_counted.h - how much code of the core ran: its sources are compiled with a call at the beginning of every basic block
 * (-fsanitize-coverage=trace-pc). A block is a bounded number of instructions, so a bound on blocks is one on instructions; the
 * count does not depend on caches, load or the clock.
 */
#ifndef SCALLOC_TESTS_STEPS_COUNTED_H
#define SCALLOC_TESTS_STEPS_COUNTED_H

#include <stdint.h>

static volatile uint64_t steps; /* exact while one thread runs */

void __sanitizer_cov_trace_pc(void);
__attribute__((no_sanitize("thread"))) void __sanitizer_cov_trace_pc(void) { steps = steps + 1; }

/* The steps of one expression. */
#define COUNT_STEPS(result, expression)                                                                                        \
  do {                                                                                                                         \
    uint64_t steps_before_ = steps;                                                                                            \
    (void)(expression);                                                                                                        \
    (result) = steps - steps_before_;                                                                                          \
  } while (0)

#endif
