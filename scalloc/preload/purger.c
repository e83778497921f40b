/*
 * purger.c - SCALLOC_PURGE_THREAD=1: a thread that gives memory back while the program is idle. Made before main, and in the child
 * of a fork anew; never in the middle of an allocation, since whoever allocates may hold locks that making a thread takes.
 */
#include <pthread.h>
#include <signal.h>

#include "arena.h"
#include "options.h"
#include "preload.h"
#include "purge.h"

enum { STACK_BYTES = 1 << 17 };

static void *live(void *nothing) {
  (void)nothing;
  pthread_setname_np(pthread_self(), "scalloc-purge");
  purge_forever();
}

/* The thread takes no signals. If it cannot be made, purging is left to the program's own slow paths. */
static void start(void) {
  pthread_attr_t attributes;
  pthread_t thread;
  sigset_t all, before;
  if (pthread_attr_init(&attributes) != 0) return;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_attr_setstacksize(&attributes, STACK_BYTES);
  pthread_create(&thread, &attributes, live, NULL);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
}

void purger_begin(void) {
  if (!arena_init() || !options.purge_thread || options.purge_delay_ms < 0) return;
  start();
  pthread_atfork(NULL, NULL, start);
}
