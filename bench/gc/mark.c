/* The tracer: precise, with prefetching, on one or more threads. Roots and cycles: port_glue.c.
 *
 * With several threads each has a stack of its own. One that has run dry says so in `hungry`; those that have work look there now
 * and then, and put the oldest half of their stack, where the largest subtrees are, into the pool.
 */
#include "mark.h"
#include "../program.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* An entry of stack, queue or pool: an object's address, whose low bits are free, and how many pointers it begins with. */
enum { FEW = 7, SIZE_AT = 24, MOST_POINTERS = (1 << SIZE_AT) - 1 };
enum { POOL = 1024, FIRST_STACK = 4096, LEAST_TO_SHARE = 4, MOST_TO_SHARE = 128, LOOK_EVERY = 64, SPINS = 1024 };

struct marker {
  _Alignas(128) uintptr_t *stack;
  size_t base, top, room; /* in use: base .. top - 1 */
  struct mark_sum sum;
};

static scalloc_rt_heap *heap;
static scalloc_rt_marker view; /* of the running cycle; read by all markers */
static struct marker *markers;
static unsigned queue_length = 16, marker_count = 1;

/* Work for markers that have none. All under the lock but for the peeks at `hungry`, `pool_count` and `open`. */
static struct {
  pthread_mutex_t lock;
  pthread_cond_t opened;
  uint64_t round;
  unsigned joined, idle;
  _Alignas(128) bool open;
  unsigned hungry, pool_count;
  _Alignas(128) uintptr_t pool[POOL];
} shared = {.lock = PTHREAD_MUTEX_INITIALIZER, .opened = PTHREAD_COND_INITIALIZER};

uintptr_t mark_descriptor(size_t block_size, size_t pointers) { return (uintptr_t)block_size << SIZE_AT | pointers; }

static __attribute__((noinline)) void grow(struct marker *m) {
  size_t used = m->top - m->base;
  if (m->base > m->room / 2) {
    memmove(m->stack, m->stack + m->base, used * sizeof *m->stack);
  } else {
    size_t room = m->room ? m->room * 2 : FIRST_STACK;
    uintptr_t *stack = realloc(m->stack, room * sizeof *stack);
    if (!stack) program_fail("mark stack", errno);
    memmove(stack, stack + m->base, used * sizeof *stack);
    m->stack = stack, m->room = room;
  }
  m->base = 0, m->top = used;
}

static size_t pointers_of(void *object) {
  scalloc_rt_ref ref;
  if (!scalloc_rt_resolve(heap, object, false, &ref)) program_fail("a marked object is not in the heap", 0);
  return *scalloc_rt_cookie(ref.span) & MOST_POINTERS;
}

static void share(struct marker *m) {
  size_t n = (m->top - m->base) / 2;
  if (n > MOST_TO_SHARE) n = MOST_TO_SHARE;
  pthread_mutex_lock(&shared.lock);
  if (n > POOL - shared.pool_count) n = POOL - shared.pool_count;
  memcpy(shared.pool + shared.pool_count, m->stack + m->base, n * sizeof *m->stack);
  __atomic_store_n(&shared.pool_count, shared.pool_count + (unsigned)n, __ATOMIC_RELAXED);
  pthread_mutex_unlock(&shared.lock);
  m->base += n;
}

static inline bool should_share(const struct marker *m) {
  return __builtin_expect(__atomic_load_n(&shared.hungry, __ATOMIC_RELAXED), 0) && m->top - m->base >= LEAST_TO_SHARE &&
         __atomic_load_n(&shared.pool_count, __ATOMIC_RELAXED) < MOST_TO_SHARE;
}

/* What the inner loop keeps in registers. The stack's pointers are the marker's base, top and room; with `top` in it the marker's
   own is behind. */
struct tracer {
  scalloc_rt_marker how;
  uintptr_t *base, *top, *end;
  struct mark_sum sum;
};

static inline void enter(struct tracer *t, const struct marker *m) {
  t->base = m->stack + m->base, t->top = m->stack + m->top, t->end = m->stack + m->room;
}

static inline void leave(const struct tracer *t, struct marker *m) { m->top = (size_t)(t->top - m->stack); }

/* The only place that sets marks. Pointer-free objects are done with that. */
static inline void mark_and_push(struct tracer *t, struct marker *m, void *object) {
  uintptr_t descriptor;
  if (!object || !scalloc_rt_mark_live(&t->how, object, &descriptor)) return;
  uintptr_t pointers = descriptor & MOST_POINTERS;
  t->sum.objects++;
  t->sum.bytes += descriptor >> SIZE_AT;
  if (!pointers) return;
  if (__builtin_expect(t->top == t->end, 0)) {
    leave(t, m);
    grow(m);
    enter(t, m);
  }
  *t->top++ = (uintptr_t)object | (pointers < FEW ? pointers : FEW);
}

static inline void scan(struct tracer *t, struct marker *m, uintptr_t entry) {
  void **object = (void **)(entry & ~(uintptr_t)FEW);
  size_t pointers = entry & FEW;
  if (pointers == FEW) pointers = pointers_of(object);
  for (size_t i = 0; i < pointers; i++) mark_and_push(t, m, object[i]);
}

/* The queue's places that hold nothing are 0. Its emptying starts again at the oldest when a scan brings new entries. */
static inline __attribute__((always_inline)) void drain(struct marker *m, bool alone) {
  struct tracer t = {.how = view};
  uintptr_t queue[MARK_LONGEST_QUEUE]; /* objects that are being fetched */
  const unsigned length = queue_length;
  unsigned empty = 0, steps = 0;
  memset(queue, 0, length * sizeof *queue);
  t.how.alone = alone;
  enter(&t, m);
  while (empty < length) {
    uintptr_t fetched = 0, *place = &queue[steps++ & (length - 1)], due = *place;
    if (t.top > t.base) {
      fetched = *--t.top;
      __builtin_prefetch((void *)(fetched & ~(uintptr_t)FEW));
    }
    *place = fetched;
    empty = due || fetched ? 0 : empty + 1;
    if (due) scan(&t, m, due);
    if (alone || steps % LOOK_EVERY) continue;
    leave(&t, m);
    if (should_share(m)) share(m);
    enter(&t, m);
  }
  m->base = m->top = 0;
  m->sum.objects += t.sum.objects, m->sum.bytes += t.sum.bytes;
}

static __attribute__((noinline)) void drain_alone(struct marker *m) { drain(m, true); }
static __attribute__((noinline)) void drain_shared(struct marker *m) { drain(m, false); }

static bool nothing_new(void) {
  return __atomic_load_n(&shared.open, __ATOMIC_RELAXED) && !__atomic_load_n(&shared.pool_count, __ATOMIC_RELAXED) &&
         __atomic_load_n(&shared.idle, __ATOMIC_RELAXED) < __atomic_load_n(&shared.joined, __ATOMIC_RELAXED);
}

static void wait_for_work(void) {
  for (unsigned spins = 0; nothing_new(); spins++) {
    if (spins < SPINS)
      __builtin_ia32_pause();
    else
      sched_yield();
  }
}

/* Half of what others left, or false once all have run dry. */
static bool take(struct marker *m) {
  pthread_mutex_lock(&shared.lock);
  shared.idle++;
  shared.hungry = shared.idle;
  for (;;) {
    if (shared.pool_count) break;
    if (shared.idle == shared.joined) shared.open = false;
    if (!shared.open) break;
    pthread_mutex_unlock(&shared.lock);
    wait_for_work();
    pthread_mutex_lock(&shared.lock);
  }
  unsigned n = (shared.pool_count + 1) / 2;
  for (unsigned i = 0; i < n; i++) {
    if (m->top == m->room) grow(m);
    m->stack[m->top++] = shared.pool[--shared.pool_count];
  }
  if (n) shared.hungry = --shared.idle;
  pthread_mutex_unlock(&shared.lock);
  return n > 0;
}

static void work(struct marker *m) {
  do {
    if (marker_count == 1)
      drain_alone(m);
    else
      drain_shared(m);
  } while (take(m));
}

/* A helper that wakes too late for a round leaves it out: nobody waits for it. */
static void *help(void *argument) {
  struct marker *m = argument;
  uint64_t seen = 0;
  pthread_mutex_lock(&shared.lock);
  for (;;) {
    while (shared.round == seen || !shared.open) pthread_cond_wait(&shared.opened, &shared.lock);
    seen = shared.round;
    shared.joined++;
    pthread_mutex_unlock(&shared.lock);
    work(m);
    pthread_mutex_lock(&shared.lock);
    shared.joined--, shared.idle--;
  }
  return NULL;
}

void mark_setup(scalloc_rt_heap *of, unsigned count, unsigned queue) {
  heap = of, queue_length = queue, marker_count = count;
  markers = aligned_alloc(_Alignof(struct marker), count * sizeof *markers);
  if (!markers) program_fail("markers", errno);
  memset(markers, 0, count * sizeof *markers);
  for (unsigned i = 1; i < count; i++) {
    pthread_t id;
    int error = pthread_create(&id, NULL, help, &markers[i]);
    if (error) program_fail("pthread_create", error);
    pthread_detach(id);
  }
}

void mark_begin(void) { view = scalloc_rt_marker_of(heap, marker_count == 1); }

void mark_root(void *object) {
  struct marker *m = &markers[0];
  struct tracer t = {.how = view, .sum = m->sum};
  enter(&t, m);
  mark_and_push(&t, m, object);
  leave(&t, m);
  m->sum = t.sum;
}

static void open_round(void) {
  pthread_mutex_lock(&shared.lock);
  shared.open = true;
  shared.joined = 1, shared.idle = 0, shared.hungry = marker_count > 1;
  shared.round++;
  if (marker_count > 1) pthread_cond_broadcast(&shared.opened);
  pthread_mutex_unlock(&shared.lock);
}

/* The helpers that took part have left when they are no longer counted. */
static void close_round(void) {
  pthread_mutex_lock(&shared.lock);
  while (shared.joined > 1) {
    pthread_mutex_unlock(&shared.lock);
    sched_yield();
    pthread_mutex_lock(&shared.lock);
  }
  shared.hungry = 0;
  pthread_mutex_unlock(&shared.lock);
}

struct mark_sum mark_run(void) {
  open_round();
  work(&markers[0]);
  close_round();
  struct mark_sum sum = {0};
  for (unsigned i = 0; i < marker_count; i++) {
    sum.objects += markers[i].sum.objects, sum.bytes += markers[i].sum.bytes;
    markers[i].sum = (struct mark_sum){0};
  }
  return sum;
}
