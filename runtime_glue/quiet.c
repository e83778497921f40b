/* quiet.c - the flags of quiet.h, and forks. */
#include "quiet.h"

#include <pthread.h>

#include "mutator.h"
#include "sweep.h"

static volatile word_t visitors; /* threads whose outermost region has no mutator */
static volatile word_t forking;  /* thread_mark of the thread that prepares a fork, or 0 */
static unsigned fork_depth;      /* calls of prepare that wait for their end; that thread's */

/* The calling thread's own; the handler of a signal, which is the same thread, reads the first and changes the last. */
static __thread struct {
  volatile unsigned regions; /* that it is in */
  bool visitor;              /* it is one of the visitors */
  volatile word_t stops;     /* mutators for which a stop was put off, by next_stop */
} own __attribute__((tls_model("initial-exec")));

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

/* ---- stops that are put off --------------------------------------------------------------------------------------------- */

static void put_stop(gcmutator *m) {
  word_t first;
  do m->next_stop = (gcmutator *)(first = word_load_relaxed(&own.stops));
  while (!word_cas_full(&own.stops, first, (word_t)m)); /* a handler may come that puts another */
}

static word_t take_stops(void) {
  word_t first;
  do first = word_load_relaxed(&own.stops);
  while (!word_cas_full(&own.stops, first, 0));
  return first;
}

static void stop(gcmutator *m) {
  const scalloc_rt_hooks *hooks = &m->heap->hooks;
  size_t bytes = m->since;
  half_and_full(&m->published.poll, ~1u);
  word_store_relaxed(&m->stop_wanted, 0);
  if (hooks->pressure == NULL) return;
  m->in_pressure = true;
  m->since = 0;
  hooks->pressure(m->heap->ud, &m->published, bytes, SCALLOC_RT_STOP);
  m->in_pressure = false;
}

/* Not within the pressure hook of the same mutator: when that call has ended. */
static never_inline void serve_stops(void) {
  bool served;
  do {
    gcmutator *next;
    served = false;
    for (gcmutator *m = (gcmutator *)take_stops(); m != NULL; m = next) {
      next = m->next_stop;
      if (m->in_pressure) {
        put_stop(m);
      } else {
        stop(m);
        served = true; /* and perhaps another was put off in there */
      }
    }
  } while (served && word_load_relaxed(&own.stops) != 0);
}

void quiet_pressed(void) {
  if (own.regions == 0 && word_load_relaxed(&own.stops) != 0) serve_stops();
}

bool scalloc_rt_defer_stop(scalloc_rt_mutator *mutator) {
  gcmutator *m = mutator_of(mutator);
  if (own.regions == 0) return word_load_relaxed(&m->stop_wanted) != 0 && !m->in_pressure; /* it is just about to be served */
  if (!word_cas_full(&m->stop_wanted, 0, 1)) return true;
  half_or_full(&mutator->poll, 1);
  put_stop(m);
  return true;
}

/* ---- regions -------------------------------------------------------------------------------------------------------------- */

void quiet_leave(gcmutator *m) {
  if (m != NULL && --m->regions == 0) word_store_release(&m->inside, 0);
  if (own.regions == 1 && own.visitor) {
    own.visitor = false;
    word_add_full(&visitors, (word_t)0 - 1);
  }
  atomics_keep_order(); /* nothing is held any more */
  own.regions--;
  atomics_keep_order(); /* a handler that comes now stops the thread itself; one that came has put its stop */
  quiet_pressed();
}

/* The outermost region: the store that shows the thread comes before the look at who forks. */
static void show(gcmutator *m) {
  own.visitor = m == NULL;
  if (m == NULL)
    word_add_full(&visitors, 1);
  else if (m->regions++ == 0)
    word_cas_full(&m->inside, 0, (word_t)thread_mark());
}

void quiet_enter(gcmutator *m) {
  own.regions++;
  atomics_keep_order();
  if (own.regions > 1) { /* shown already */
    if (m != NULL && m->regions++ == 0) word_store_relaxed(&m->inside, (word_t)thread_mark());
    return;
  }
  for (show(m); held_up(); show(m)) {
    quiet_leave(m);
    wait_for_fork();
    own.regions++;
    atomics_keep_order();
  }
}

/* ---- forks -------------------------------------------------------------------------------------------------------------- */

/* Another thread than the caller. */
static bool anybody_inside(void) {
  if (word_load_acquire(&visitors) != own.visitor) return true;
  for (gcheap *h = gcheap_first(); h; h = h->next)
    for (gcmutator *m = h->mutators; m; m = m->next) {
      word_t by = word_load_acquire(&m->inside);
      if (by != 0 && by != (word_t)thread_mark()) return true;
    }
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
  for (gcmutator *m = h->mutators; m; m = m->next)
    if (m->thread != (word_t)thread_mark()) mutator_leave_behind(m);
}

void scalloc_rt_fork_child(void) {
  if (--fork_depth > 0) return;
  word_store_release(&visitors, own.visitor);
  word_store_release(&forking, 0);
  gcheap_after_fork();
  mutator_after_fork();
  gcheap_each(sweep_recount);
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
