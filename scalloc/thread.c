/*
 * thread.c - attaching a heap at a thread's first allocation, retiring it when the thread exits, and forks.
 *
 * A thread-specific key gets its destructor called at exit. Other destructors may allocate after ours, for as many rounds as
 * they like: each such operation borrows a heap and gives it back at once. Frees need no heap.
 */
#include "thread.h"

#include <pthread.h>

#include "fork.h"

#define NO &heap_no_span
#define NO_13 NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO
heap thread_no_heap = {
    .hot = {NO_13, NO_13, NO_13, NO_13, NO_13, NO_13, NO_13, NO_13, NO_13, NO_13, NO_13, NO_13, NO_13},
};
_Static_assert(HEAP_HOTS == 13 * 13, "every entry of the heap without spans is set");

__thread heap *thread_heap __attribute__((tls_model("initial-exec"))) = &thread_no_heap;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool have_key;

thread_word bool thread_leaving; /* the destructor of our key has run */

static void thread_exit(void *h) {
  thread_heap = &thread_no_heap;
  thread_leaving = true;
  heap_retire(h);
}

static void after_fork_child(void) { fork_child(thread_heap_or_null()); }

static void set_up(void) {
  have_key = pthread_key_create(&key, thread_exit) == 0;
  pthread_atfork(NULL, NULL, after_fork_child);
}

/* Before the program runs, so that forks are seen even if no thread has a heap; heap structures may be all that is used. */
__attribute__((constructor)) static void begin(void) { pthread_once(&once, set_up); }

heap *thread_use(void) {
  if (thread_heap != &thread_no_heap) return thread_heap;
  heap *h = heap_create(HEAP_THREAD);
  if (h == NULL || thread_leaving) return h;
  thread_heap = h;
  pthread_once(&once, set_up);
  if (have_key) pthread_setspecific(key, h);
  return h;
}

void thread_done(heap *h) {
  if (unlikely(h != thread_heap)) heap_retire(h);
}
