/* slowpath.c - allocation that no hole serves, large blocks, and the pressure hook. */
#include <errno.h>

#include "holes.h"
#include "quiet.h"
#include "sweep.h"

static bool pressure(gcmutator *m, enum scalloc_rt_why why) {
  scalloc_rt_hooks *hooks = &m->heap->hooks;
  bool again = false;
  if (m->in_pressure) return false;
  if (hooks->pressure) {
    size_t bytes = m->since;
    m->in_pressure = true;
    m->since = 0; /* what the hook allocates is for the next call */
    again = hooks->pressure(m->heap->ud, &m->published, bytes, (int)why);
    m->in_pressure = false;
    quiet_pressed();
  }
  if (m->published.budget <= 0) m->published.budget = GC_BUDGET;
  return again;
}

/* At the beginning of every slow path that will hand out `bytes` at least. */
static void arrive(gcmutator *m, size_t bytes) {
  const span *hooked = gcspan_hooked();
  if (m->regions != 0 || (hooked && gcheap_of(hooked) == m->heap))
    os_panic("invalid call", m, "allocation inside a hook of the same heap");
  if (word_load_acquire(&m->orphan)) os_panic("invalid call", m, "mutator of a thread that a fork left behind");
  word_store_relaxed(&m->thread, (word_t)thread_mark());
  mutator_fresh_is(m, 0, 0);
  m->published.nslots = half_load_acquire(&m->heap->slots);
  if (m->published.budget <= (int64_t)bytes) pressure(m, SCALLOC_RT_BUDGET);
}

static void *no_memory(void) {
  errno = ENOMEM;
  return NULL;
}

static bool has_hole(gcmutator *m, unsigned slot) {
  const scalloc_rt_hole *hole = &m->published.hole[slot];
  return hole->cur < hole->lim || hole_next_piece(m, slot);
}

/* A hole with at least one block. */
static bool fill(gcmutator *m, unsigned slot) {
  enum scalloc_rt_why why;
  arrive(m, 0);
  for (;;) {
    if (has_hole(m, slot)) return true; /* at once, if a pressure hook allocated here */
    quiet_enter(m);                     /* perhaps a stop, whose hook allocated */
    bool filled = has_hole(m, slot) || hole_refill(m, slot, &why);
    quiet_leave(m); /* perhaps a stop, which may have taken it again */
    if (!filled && !pressure(m, why)) return false;
  }
}

void *scalloc_rt_alloc_slow(scalloc_rt_mutator *mutator, unsigned slot, size_t rounded) {
  gcmutator *m = mutator_of(mutator);
  scalloc_rt_hole *hole = &mutator->hole[slot];
  if (slot >= half_load_acquire(&m->heap->slots) || rounded != m->heap->slot[slot].block)
    os_panic("invalid slot", mutator, "no slot of this heap with blocks of that size");
  mutator_fresh_is(m, 0, 0);
  if (!hole_next_piece(m, slot) && !fill(m, slot)) return no_memory();
  uintptr_t block = hole->cur;
  __atomic_store_n(&hole->cur, block + rounded, __ATOMIC_RELAXED);
  __atomic_signal_fence(__ATOMIC_ACQ_REL);
  return (void *)block;
}

size_t scalloc_rt_alloc_many(scalloc_rt_mutator *m, unsigned slot, void **out, size_t n) {
  const gcheap *h = mutator_of(m)->heap;
  if (slot >= half_load_acquire(&h->slots)) os_panic("invalid slot", m, "no slot of this heap");
  size_t rounded = h->slot[slot].block, got = 0;
  while (got < n && (out[got] = scalloc_rt_alloc(m, slot, rounded)) != NULL) got++;
  return got;
}

/* Allocated and listed; the caller's call has it in hand. */
static void hand_over(gcmutator *m, span *s, gcfresh *mine) {
  unsigned number = (unsigned)word_add_full(&m->heap->larges, 1);
  bits_set(allocs_of(s), 0, 1);
  half_store_relaxed(&record_of(s)->used, 1);
  hole_born_marked(m->heap, s, 0, 1, 1);
  record_of(s)->mutator = number;
  *mine = (gcfresh){span_index(s), number, m->in_hand};
  atomics_keep_order();
  m->in_hand = mine;
  mutator_account(m, s->large_bytes);
  list_put(s, GC_SWEPT);
  gcspan_let_go(s, GC_LARGE, 0);
}

/* The block is returned: at every moment one or the other has it. */
static void *take_from_hand(gcmutator *m, const gcfresh *mine) {
  mutator_fresh_is(m, mine->span, mine->number);
  atomics_keep_order();
  m->in_hand = mine->outer;
  return span_start(span_at(mine->span));
}

void *scalloc_rt_alloc_large(scalloc_rt_mutator *mutator, int kind, size_t size) {
  gcmutator *m = mutator_of(mutator);
  gcheap *h = m->heap;
  gcfresh mine;
  enum scalloc_rt_why why;
  if (kind < 0 || (unsigned)kind >= half_load_acquire(&h->kinds)) os_panic("invalid kind", mutator, "no kind of this heap");
  if (size > PTRDIFF_MAX) return no_memory();
  arrive(m, size);
  for (;;) {
    quiet_enter(m);
    span *s = gcheap_acquire_run(h, kind, size ? size : 1, &why);
    if (s == NULL && sweep_some(h, SIZE_MAX) > 0) s = gcheap_acquire_run(h, kind, size ? size : 1, &why);
    if (s) hand_over(m, s, &mine);
    quiet_leave(m); /* perhaps a stop, whose hook may do what it likes */
    if (s) return take_from_hand(m, &mine);
    if (!pressure(m, why)) return no_memory();
  }
}

void scalloc_rt_account(scalloc_rt_mutator *m, int64_t external) { m->budget -= external; }
