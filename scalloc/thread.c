/*
 * thread.c - attaching a heap at a thread's first allocation, retiring it when the thread exits, and forks.
 *
 * A thread-specific key gets its destructor called at exit. Other destructors may allocate after ours, for as many rounds as
 * they like: each such operation borrows a heap and gives it back at once. Frees need no heap.
 */
#include "thread.h"

#include <pthread.h>

#include "fork.h"
#include "os.h"

#define NO &heap_no_span
#define NO_13 NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO, NO
heap thread_no_heap = {
    .hot = {NO_13, NO_13, NO_13, NO_13, NO_13, NO_13, NO_13, NO_13, NO_13, NO_13, NO_13, NO_13, NO_13},
};
_Static_assert(HEAP_HOTS == 13 * 13, "every entry of the heap without spans is set");

__thread heap *thread_heap __attribute__((tls_model("initial-exec"))) = &thread_no_heap;

static pthread_key_t key;
static volatile word_t key_state; /* one of: */
enum { KEY_NONE, KEY_BEING_MADE, KEY_MADE, KEY_REFUSED };
static volatile word_t forks_watched;

thread_word bool thread_leaving; /* the destructor of our key has run */

static void thread_exit(void *h) {
  thread_heap = &thread_no_heap;
  thread_leaving = true;
  heap_retire(h);
}

static void after_fork_child(void) {
  if (word_load_relaxed(&key_state) == KEY_BEING_MADE) word_store_relaxed(&key_state, KEY_NONE);
  fork_child(thread_heap_or_null());
}

/* pthread_atfork may allocate, which may be a call of thread_use: nobody waits for the one who is at it, not even itself. */
static void watch_forks(void) {
  if (word_load_relaxed(&forks_watched) != 0 || !word_cas_full(&forks_watched, 0, 1)) return;
  if (pthread_atfork(NULL, NULL, after_fork_child) != 0) word_store_release(&forks_watched, 0);
}

static bool have_key(void) {
  word_t state;
  while ((state = word_load_acquire(&key_state)) < KEY_MADE) {
    if (word_cas_full(&key_state, KEY_NONE, KEY_BEING_MADE))
      word_store_release(&key_state, pthread_key_create(&key, thread_exit) == 0 ? KEY_MADE : KEY_REFUSED);
    else
      os_yield();
  }
  return state == KEY_MADE;
}

/* Before the program runs, so that forks are seen even if no thread has a heap; heap structures may be all that is used. */
__attribute__((constructor)) static void begin(void) {
  watch_forks();
  have_key();
}

heap *thread_use(void) {
  if (thread_heap_or_null() != NULL) return thread_heap;
  bool no_tls = thread_heap == NULL; /* what is written there now gets lost: a heap is borrowed */
  if (!no_tls) watch_forks();        /* before there is anything to repair: constructors may fork, too */
  if (thread_heap_or_null() != NULL) return thread_heap;
  heap *h = heap_create(HEAP_THREAD);
  if (h == NULL || thread_leaving || no_tls) return h;
  thread_heap = h;
  if (have_key()) pthread_setspecific(key, h); /* may allocate, now that there is a heap */
  return h;
}

void thread_done(heap *h) {
  if (unlikely(h != thread_heap)) heap_retire(h);
}
