/*
 * quiet.h - slow paths as regions: a thread inside one must not be stopped for long, and no fork comes between.
 *
 * Entering raises a flag of the mutator, or a count of the process for threads without one, then looks whether a fork is being
 * prepared; preparing raises that flag, then waits for the others to fall. Regions nest: inside one, a thread is never held up.
 */
#ifndef SCALLOC_QUIET_H
#define SCALLOC_QUIET_H

#include "gcheap.h"

/* Once: the fork handlers. */
bool quiet_init(void);

/* NULL: a thread that has no mutator, or is not the user of one. */
void quiet_enter(gcmutator *m);
void quiet_leave(gcmutator *m);

/* Calls the hook for a stop that was put off: the mutator's thread, in no region of it. */
void quiet_stop(gcmutator *m);

/* Something that differs between threads. */
void *thread_mark(void);

#endif
