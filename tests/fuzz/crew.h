/*
 * crew.h - a few threads of which only one runs at a time, so that what they do together follows from the input alone.
 *
 * Thread 0 is the caller. The others are made when they are first needed, wait on a semaphore, and do one job at a time while
 * the caller waits on another. Every operation of one thread therefore happens before the next operation of any other.
 */
#ifndef SCALLOC_TESTS_FUZZ_CREW_H
#define SCALLOC_TESTS_FUZZ_CREW_H

#include <stdbool.h>

enum { CREW = 3 };

typedef void (*crew_job)(void);

/* Does a job on thread k, to its end. */
void crew_run(unsigned k, crew_job job);

/*
 * Ends thread k and joins it; nothing if it does not run. `farewell`, if not NULL, is done inside the thread's exit, in a
 * destructor that runs after the one of the allocator. The next job for k is done by a new thread.
 */
void crew_end(unsigned k, crew_job farewell);

#endif
