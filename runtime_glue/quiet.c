/* quiet.c - the flags of quiet.h, and forks. */
#include "quiet.h"

#include <pthread.h>

#include "mutator.h"

static volatile word_t visitors; /* threads in a region without a mutator */
static volatile word_t forking;  /* thread_mark of the thread that prepares a fork, or 0 */
static unsigned fork_depth;      /* calls of prepare that wait for their end; that thread's */

void *thread_mark(void) {
  static __thread char mark __attribute__((tls_model("initial-exec")));
  return &mark;
}

static void wait_for_fork(void) {
  while (word_load_acquire(&forking) != 0) os_yield();
}

static bool held_up(void) {
  word_t by = word_load_acquire(&forking);
  return by != 0 && by != (word_t)thread_mark();
}

static __thread unsigned depth __attribute__((tls_model("initial-exec"))); /* regions that this thread is in */

void quiet_enter(gcmutator *m) {
  volatile word_t *inside = m ? &m->in_slow : &visitors;
  for (;;) {
    word_add_full(inside, 1);
    if (depth > 0 || !held_up()) break;
    word_add_full(inside, (word_t)0 - 1);
    wait_for_fork();
  }
  depth++;
}

void quiet_stop(gcmutator *m) {
  scalloc_rt_hooks *hooks = &m->heap->hooks;
  if (m->in_pressure) return; /* when that call has ended */
  half_and_full(&m->published.poll, ~1u);
  if (hooks->pressure == NULL) return;
  m->in_pressure = true;
  hooks->pressure(m->heap->ud, &m->published, m->since, SCALLOC_RT_STOP);
  m->in_pressure = false;
}

void quiet_leave(gcmutator *m) {
  depth--;
  if (m == NULL) {
    word_add_full(&visitors, (word_t)0 - 1);
    return;
  }
  word_t left = word_load_relaxed(&m->in_slow) - 1;
  word_store_release(&m->in_slow, left);
  atomics_keep_order(); /* a handler that comes now stops the thread itself; one that came has set poll */
  if (left == 0 && half_load_relaxed(&m->published.poll) & 1) quiet_stop(m);
}

bool scalloc_rt_defer_stop(scalloc_rt_mutator *m) {
  if (word_load_relaxed(&mutator_of(m)->in_slow) == 0) return false;
  half_or_full(&m->poll, 1);
  return true;
}

/* ---- forks -------------------------------------------------------------------------------------------------------------- */

static bool anybody_inside(void) {
  if (word_load_acquire(&visitors) != 0) return true;
  for (gcheap *h = gcheap_first(); h; h = h->next)
    for (gcmutator *m = h->mutators; m; m = m->next)
      if (word_load_acquire(&m->in_slow) != 0 && word_load_relaxed(&m->thread) != (word_t)thread_mark()) return true;
  return false;
}

void scalloc_rt_fork_prepare(void) {
  word_t me = (word_t)thread_mark();
  if (word_load_acquire(&forking) != me)
    while (!word_cas_full(&forking, 0, me)) os_yield();
  if (fork_depth++ > 0) return;
  while (anybody_inside()) os_yield();
}

void scalloc_rt_fork_parent(void) {
  if (--fork_depth == 0) word_store_release(&forking, 0);
}

/* The threads of other mutators are not in this process, nor one that was collecting. */
static void orphan(gcheap *h) {
  word_store_release(&h->turning, 0);
  if (h->running != 0 && h->collector != thread_mark()) half_store_release(&h->running, 0);
  for (gcmutator *m = h->mutators; m; m = m->next) {
    if (m->thread == (word_t)thread_mark()) continue;
    word_store_release(&m->in_slow, 0);
    mutator_retire(m);
    word_store_release(&m->orphan, 1);
  }
}

void scalloc_rt_fork_child(void) {
  if (--fork_depth > 0) return;
  word_store_release(&visitors, 0);
  word_store_release(&forking, 0);
  gcheap_after_fork();
  mutator_after_fork();
  gcheap_each(orphan);
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool installed;

static void install(void) {
  installed = pthread_atfork(scalloc_rt_fork_prepare, scalloc_rt_fork_parent, scalloc_rt_fork_child) == 0;
}

/* Before main, so that a collector's own handlers, made later, take its lock before ours hold anything up; and before other
   constructors, so that the same is true of what is built on this, however it is linked. */
__attribute__((constructor(1000))) static void begin(void) { pthread_once(&once, install); }

bool quiet_init(void) {
  pthread_once(&once, install);
  return installed;
}
