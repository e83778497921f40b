/*
 * trace.h - the instructions that one call of a function executes, found by running it step by step under ptrace.
 */
#ifndef SCALLOC_TESTS_TRACE_H
#define SCALLOC_TESTS_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TRACE_MOST = 4000 };

typedef struct trace {
  size_t count;
  uintptr_t at[TRACE_MOST]; /* the address of each, from the first of the function up to its return, which is not among them */
} trace;

typedef enum { TRACE_DONE, TRACE_NOT_PERMITTED, TRACE_FAILED } trace_end;

/*
 * Runs act() in a child of this process and records the first call of `function` after act() called trace_begin(). FAILED: act
 * did not come to its end, never called the function, or the call took more than TRACE_MOST instructions.
 */
trace_end trace_call(void (*act)(void), uintptr_t function, trace *out);

void trace_begin(void);

#endif
