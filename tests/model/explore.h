/*
 * explore.h - runs the threads of a scenario through every schedule that x86-TSO allows.
 *
 * A scenario sets the allocator up, then two or three threads act, then everything is looked at. The threads are coroutines
 * of one process. Before each access to memory that two of them use and one writes, a thread stops, and the explorer tries
 * every continuation: any thread that can go on, or the oldest store of any thread's store buffer reaching memory. A locked
 * instruction waits until its thread's buffer is empty. States that were seen before are not explored again.
 *
 * Code of scenarios keeps what it needs in local variables, in constants made by `setup`, or in ghost words: the explorer goes
 * back in time, and these are what it takes along.
 */
#ifndef SCALLOC_TESTS_EXPLORE_H
#define SCALLOC_TESTS_EXPLORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MODEL_THREADS = 3 };

typedef struct scenario {
  const char *name;
  void (*setup)(void);              /* alone, not explored */
  void (*act[MODEL_THREADS])(void); /* the threads; NULL = no such thread */
  void (*finish)(void);             /* alone, after each complete schedule, when all stores are in memory */
  bool heavy;                       /* minutes: explored with --long, or by name */
} scenario;

/* Ends the exploration: what the allocator did in this schedule is wrong. Does not return. */
_Noreturn void model_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Writes a word of the test's own, which no thread of the allocator sees, at once. */
void model_ghost(uint32_t *word, uint32_t value);

/* Hand-over between threads of a scenario: a release store, and a wait for it. */
void model_signal(unsigned flag);
void model_await(unsigned flag);

/*
 * The acting thread's future depends on nothing it has read, but for `what_remains`: lets states merge that differ only in the
 * past. Called between two operations whose arguments are constant.
 */
void model_forget(uint64_t what_remains);

unsigned model_thread(void); /* number of the thread that acts */

/* Explores scenarios by name (all without one), prints a line for each. The exit status for main. */
int model_main(int argc, char **argv, const scenario *scenarios, size_t count);

#endif
