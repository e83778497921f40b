/*
 * thread.h - the calling thread's heap. One thread-local word, which points at a heap without spans until the first
 * allocation; threads need not be announced and their start is not intercepted.
 */
#ifndef SCALLOC_THREAD_H
#define SCALLOC_THREAD_H

#include "heap.h"

extern internal __thread heap *thread_heap __attribute__((tls_model("initial-exec")));
extern internal heap thread_no_heap; /* the one without spans: every allocation from it takes the slow path */

/*
 * The heap for one operation of a thread: its own, made now if need be and retired when the thread exits; once the thread is
 * exiting, a borrowed one. NULL and ENOMEM. thread_done ends the operation.
 */
heap *thread_use(void);
void thread_done(heap *h);

/* The calling thread's heap if it has one, else NULL, as the word is until the dynamic linker has set up thread-local storage. */
always_inline heap *thread_heap_or_null(void) { return thread_heap == &thread_no_heap ? NULL : thread_heap; }

#endif
