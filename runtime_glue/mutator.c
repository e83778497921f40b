/*
 * mutator.c - attaching and detaching, and where the next hole of a slot comes from.
 */
#include "mutator.h"

#include <errno.h>
#include <string.h>

#include "quiet.h"
#include "sweep.h"

enum { BUDGET = 1 << 22 };

static spin_lock unused_lock;
static gcmutator *unused;

void mutator_after_fork(void) { lock_give(&unused_lock); }

/* A zeroed mutator; one that has ended has no holes. */
static gcmutator *make(void) {
  gcmutator *m;
  lock_take(&unused_lock);
  m = unused;
  if (m) unused = m->next;
  lock_give(&unused_lock);
  if (m == NULL) return bits_structure((sizeof *m + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE);
  memset(&m->published, 0, offsetof(scalloc_rt_mutator, hole));
  memset(&m->heap, 0, offsetof(gcmutator, hot) - offsetof(gcmutator, heap));
  return m;
}

scalloc_rt_mutator *scalloc_rt_attach(scalloc_rt_heap *h, void *rt) {
  quiet_enter(NULL);
  gcmutator *m = make();
  if (m == NULL) {
    quiet_leave(NULL);
    errno = ENOMEM;
    return NULL;
  }
  m->published.rt = rt;
  m->published.budget = BUDGET;
  m->published.nslots = half_load_acquire(&h->slots);
  m->heap = h;
  word_store_relaxed(&m->thread, (word_t)thread_mark());
  gcheap_lock_list(h);
  m->next = h->mutators;
  h->mutators = m;
  lock_give(&h->lock);
  quiet_leave(NULL);
  return &m->published;
}

/* ---- holes ---------------------------------------------------------------------------------------------------------------- */

static void publish(gcmutator *m, unsigned slot, char *cur, char *lim) {
  scalloc_rt_hole *hole = &m->published.hole[slot];
  __atomic_store_n(&hole->lim, 0, __ATOMIC_RELAXED); /* never a hole of two halves, for who looks at a stopped thread */
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  __atomic_store_n(&hole->cur, (uintptr_t)cur, __ATOMIC_RELAXED);
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  __atomic_store_n(&hole->lim, (uintptr_t)lim, __ATOMIC_RELEASE);
}

static void zero(span *s, uint32_t from, uint32_t to) {
  char *start = block_at(s, from), *end = block_at(s, to), *dirty = span_start(s) + s->dirty;
  if (dirty > end) dirty = end;
  if (dirty > start) memset(start, 0, (size_t)(dirty - start));
}

/* What was handed out. */
static void account(gcmutator *m, size_t bytes) {
  m->published.budget -= (int64_t)bytes;
  m->since += bytes;
}

/* What is allocated in a cycle lives. Held. */
static void allocate_marked(gcheap *h, span *s, uint32_t from, uint32_t to) {
  gcspan_update(s, half_load_acquire(&h->running), half_load_acquire(&h->last), NULL); /* a fresh one has stale marks */
  bits_set_shared(marks_of(s), from, to);
}

/* HOT and held: the next run of free blocks becomes the mutator's hole. False: there is none. */
static bool next_hole(gcmutator *m, span *s) {
  gc_record *r = record_of(s);
  gcslot *slot = gcslot_of(s);
  uint32_t most = GC_HOLE_BYTES / slot->block, from = bits_next_clear(allocs_of(s), *cursor_of(s), r->blocks), to;
  if (from == r->blocks) return false;
  to = bits_next_set(allocs_of(s), from, r->blocks);
  if (most == 0) most = 1;
  if (to > from + most) to = from + most;
  if (m->heap->kind[slot->kind].flags & SCALLOC_RT_ZERO) zero(s, from, to);
  size_t end = (size_t)(block_at(s, to) - span_start(s)), bytes = (size_t)(to - from) * slot->block;
  if (end > s->dirty) s->dirty = (uint32_t)end;
  bits_set(allocs_of(s), from, to);
  half_store_relaxed(&r->used, r->used + to - from);
  *cursor_of(s) = to;
  if (half_load_acquire(&m->heap->running) != 0) allocate_marked(m->heap, s, from, to);
  publish(m, r->slot, block_at(s, from), block_at(s, to));
  account(m, bytes);
  return true;
}

/* A hole of the hot span; when its cursor has reached the end, of what was freed by hand since, if that is worth it. */
static bool refill_hot(gcmutator *m, span *s) {
  gc_record *r = record_of(s);
  gcspan_hold(s);
  uint32_t merged = gcspan_merge_freed(s);
  sweep_update(m->heap, s);
  bool found = next_hole(m, s);
  if (!found && r->blocks - r->used > r->blocks / GC_ROOM) {
    *cursor_of(s) = 0;
    found = next_hole(m, s);
  }
  if (found) {
    gcspan_let_go(s, GC_HOT, merged);
    return true;
  }
  m->hot[r->slot] = 0;
  sweep_settle(s, merged);
  return false;
}

/* A span that the caller holds, or has just acquired, in no list: hot, with a hole. False: it has no room. */
static bool heat(gcmutator *m, span *s, uint32_t merged) {
  gc_record *r = record_of(s);
  *cursor_of(s) = 0;
  half_store_release(&r->mutator, mutator_number(m));
  publish(m, r->slot, NULL, NULL);
  m->hot[r->slot] = span_index(s);
  if (next_hole(m, s)) {
    gcspan_let_go(s, GC_HOT, merged);
    return true;
  }
  m->hot[r->slot] = 0;
  sweep_settle(s, merged);
  return false;
}

/* The spans of a list, one after the other, until one has room. */
static bool refill_from_list(gcmutator *m, unsigned slot, unsigned which) {
  span *s;
  while (half_load_relaxed(&m->heap->slot[slot].head[which]) != 0 && (s = list_take(&m->heap->slot[slot], which)) != NULL) {
    gcspan_hold(s);
    uint32_t merged = gcspan_merge_freed(s);
    sweep_update(m->heap, s);
    if (which == GC_UNSWEPT) word_store_relaxed(&m->swept, m->swept + 1);
    const gc_record *r = record_of(s);
    if (r->blocks - r->used <= r->blocks / GC_ROOM && which == GC_UNSWEPT)
      sweep_settle(s, merged);
    else if (heat(m, s, merged))
      return true;
  }
  return false;
}

/* False: no memory, *why set. */
static bool refill(gcmutator *m, unsigned slot, enum scalloc_rt_why *why) {
  gcheap *h = m->heap;
  word_store_relaxed(&m->refills, m->refills + 1);
  if (m->hot[slot] && refill_hot(m, span_at(m->hot[slot]))) return true;
  publish(m, slot, NULL, NULL);
  if (refill_from_list(m, slot, GC_HOLES) || refill_from_list(m, slot, GC_UNSWEPT)) return true;
  span *s = gcheap_acquire(h, slot, why);
  if (s == NULL && sweep_some(h, SIZE_MAX) > 0) s = gcheap_acquire(h, slot, why);
  return s != NULL && heat(m, s, 0);
}

/* ---- pressure ------------------------------------------------------------------------------------------------------------- */

static bool pressure(gcmutator *m, enum scalloc_rt_why why) {
  scalloc_rt_hooks *hooks = &m->heap->hooks;
  bool again = false;
  if (m->in_pressure) return false;
  if (hooks->pressure) {
    m->in_pressure = true;
    again = hooks->pressure(m->heap->ud, &m->published, m->since, (int)why);
    m->in_pressure = false;
    if (half_load_relaxed(&m->published.poll) & 1) quiet_stop(m);
  }
  m->since = 0;
  if (m->published.budget <= 0) m->published.budget = BUDGET;
  return again;
}

/* At the beginning of every slow path that will hand out `bytes` at least. */
static void arrive(gcmutator *m, size_t bytes) {
  const span *hooked = gcspan_hooked();
  if (word_load_relaxed(&m->in_slow) != 0 || (hooked && gcheap_of(hooked) == m->heap))
    os_panic("invalid call", m, "allocation inside a hook of the same heap");
  if (word_load_acquire(&m->orphan)) os_panic("invalid call", m, "mutator of a thread that a fork left behind");
  word_store_relaxed(&m->thread, (word_t)thread_mark());
  m->fresh = 0;
  m->published.nslots = half_load_acquire(&m->heap->slots);
  if (m->published.budget <= (int64_t)bytes) pressure(m, SCALLOC_RT_BUDGET);
}

static void *no_memory(void) {
  errno = ENOMEM;
  return NULL;
}

/* A hole with at least one block. */
static bool fill(gcmutator *m, unsigned slot) {
  enum scalloc_rt_why why;
  const scalloc_rt_hole *hole = &m->published.hole[slot];
  arrive(m, 0);
  for (;;) {
    if (hole->cur < hole->lim) return true; /* a pressure hook allocated here */
    quiet_enter(m);
    bool filled = refill(m, slot, &why);
    quiet_leave(m); /* perhaps a stop, which may have taken the hole */
    if (filled ? hole->lim != 0 && hole->cur < hole->lim : !pressure(m, why)) return filled;
  }
}

void *scalloc_rt_alloc_slow(scalloc_rt_mutator *published, unsigned slot, size_t rounded) {
  gcmutator *m = mutator_of(published);
  scalloc_rt_hole *hole = &published->hole[slot];
  if (slot >= half_load_acquire(&m->heap->slots) || rounded != m->heap->slot[slot].block)
    os_panic("invalid slot", published, "no slot of this heap with blocks of that size");
  if (!fill(m, slot)) return no_memory();
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

void *scalloc_rt_alloc_large(scalloc_rt_mutator *published, int kind, size_t size) {
  gcmutator *m = mutator_of(published);
  gcheap *h = m->heap;
  enum scalloc_rt_why why;
  span *s;
  if (kind < 0 || (unsigned)kind >= half_load_acquire(&h->kinds)) os_panic("invalid kind", published, "no kind of this heap");
  if (size > PTRDIFF_MAX) return no_memory();
  arrive(m, size);
  for (;;) {
    quiet_enter(m);
    s = gcheap_acquire_run(h, kind, size ? size : 1, &why);
    if (s == NULL && sweep_some(h, SIZE_MAX) > 0) s = gcheap_acquire_run(h, kind, size ? size : 1, &why);
    if (s) {
      bits_set(allocs_of(s), 0, 1);
      half_store_relaxed(&record_of(s)->used, 1);
      if (half_load_acquire(&h->running) != 0) allocate_marked(h, s, 0, 1);
      m->fresh = span_index(s);
      account(m, s->large_bytes);
      list_put(s, GC_SWEPT);
      gcspan_let_go(s, GC_LARGE, 0);
    }
    quiet_leave(m);
    if (s) return span_start(s);
    if (!pressure(m, why)) return no_memory();
  }
}

void scalloc_rt_account(scalloc_rt_mutator *m, int64_t external) { m->budget -= external; }

/* ---- the end -------------------------------------------------------------------------------------------------------------- */

/* The rest of a hole is free memory again; held. */
static void give_hole_back(gcmutator *m, span *s, unsigned slot) {
  const scalloc_rt_hole *hole = &m->published.hole[slot];
  gc_record *r = record_of(s);
  if (hole->cur >= hole->lim) return;
  uint32_t from = block_number(gcslot_of(s), hole->cur - (uintptr_t)block_at(s, 0));
  uint32_t to = block_number(gcslot_of(s), hole->lim - (uintptr_t)block_at(s, 0));
  bits_clear(allocs_of(s), from, to);
  half_store_relaxed(&r->used, r->used - (to - from));
}

void mutator_retire(gcmutator *m) {
  m->fresh = 0;
  for (unsigned slot = 0, slots = half_load_acquire(&m->heap->slots); slot < slots; slot++) {
    if (m->hot[slot] == 0) continue;
    span *s = span_at(m->hot[slot]);
    gcspan_hold(s);
    uint32_t merged = gcspan_merge_freed(s);
    give_hole_back(m, s, slot);
    publish(m, slot, NULL, NULL);
    m->hot[slot] = 0;
    sweep_settle(s, merged);
  }
}

void mutator_end(gcmutator *m) {
  gcheap *h = m->heap;
  mutator_retire(m);
  word_add_full(&h->swept, m->swept);
  word_add_full(&h->refills, m->refills);
  gcheap_lock_list(h);
  for (gcmutator **at = &h->mutators; *at; at = &(*at)->next)
    if (*at == m) {
      *at = m->next;
      break;
    }
  lock_give(&h->lock);
  lock_take(&unused_lock);
  m->next = unused;
  unused = m;
  lock_give(&unused_lock);
}

void scalloc_rt_retire(scalloc_rt_mutator *m) {
  quiet_enter(mutator_of(m));
  mutator_retire(mutator_of(m));
  quiet_leave(mutator_of(m));
}

void scalloc_rt_detach(scalloc_rt_mutator *m) {
  if (m == NULL) return;
  quiet_enter(NULL);
  mutator_end(mutator_of(m));
  quiet_leave(NULL);
}
