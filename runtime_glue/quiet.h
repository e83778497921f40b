/*
 * quiet.h - slow paths as regions: a thread inside one must not be stopped for long, and no fork comes between.
 *
 * A thread is inside or it is not, with a mutator or without: it counts the regions that it is in, one within the other, for
 * itself. That count is raised first and lowered last, so the handler of a stop signal, which runs in the same thread, knows by it
 * alone whether something may be held. The outermost region also shows the thread to those who prepare forks, in the mutator or in
 * a count of the process; entering then looks whether a fork is being prepared, and preparing waits until no other thread is
 * inside. Within a region a thread is never held up, so nobody waits for a thread that waits for a fork.
 */
#ifndef SCALLOC_QUIET_H
#define SCALLOC_QUIET_H

#include "gcheap.h"

/* Once: the fork handlers. */
bool quiet_init(void);

/* NULL: a thread that has no mutator, or is not the user of one. Before anything is held. A stop may be served here, too. */
void quiet_enter(gcmutator *m);

/* Leaving the outermost region calls the hooks for the stops that were put off meanwhile: nothing is held. */
void quiet_leave(gcmutator *m);

/* The pressure hook of a mutator has returned: the same for stops that were put off in it. */
void quiet_pressed(void);

/* Something that differs between threads. */
void *thread_mark(void);

#endif
