/*
 * unit.h - the harness of the unit tests.
 *
 * Every case runs in a child of its own, forked before anything touched the allocator, so each begins with a fresh one. A case
 * that fails, dies or hangs counts as failed; the others still run. `test_x NAME` runs one case in this process.
 */
#ifndef SCALLOC_TESTS_UNIT_H
#define SCALLOC_TESTS_UNIT_H

#include "heap.h"
#include "os_fake.h"

#include "../test.h"

typedef struct unit_case {
  const char *name; /* says what holds */
  void (*run)(void);
} unit_case;

#define CASE(function)                                                                                                         \
  { #function, function }

int unit_run(int argc, char **argv, const unit_case *cases, size_t count);

/* The main function of a program of cases. */
#define UNIT_MAIN(...)                                                                                                         \
  int main(int argc, char **argv) {                                                                                            \
    static const unit_case cases[] = {__VA_ARGS__};                                                                            \
    return unit_run(argc, argv, cases, LENGTH(cases));                                                                         \
  }

/* Runs act(context) in a child with at most `seconds` of time. True: it came to its end. For cases that need several lives. */
bool unit_child(void (*act)(void *), void *context, unsigned seconds);

/* As unit_child, with a value that must be right in every one of 0 .. count - 1. */
void unit_each(void (*act)(long), long from, long to);

/* Runs `count` threads that start together; each gets its number. Returns when all ended. */
enum { UNIT_THREADS_MAX = 64 };
void unit_threads(unsigned count, void (*act)(unsigned number));

/* One thread beside the caller's. */
typedef struct unit_thread unit_thread;
unit_thread *unit_start(void (*act)(void *), void *context);
void unit_join(unit_thread *thread);

/* An arena of `bytes`, made now, by the option. */
void unit_arena(size_t bytes);

/* What may still be charged against SCALLOC_LIMIT_BYTES. */
size_t unit_charge_left(void);

/* A state word. */
word_t unit_word(word_t generation, span_state state, uint32_t count, uint32_t head);

#endif
