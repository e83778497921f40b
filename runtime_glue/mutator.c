/*
 * mutator.c - attaching and detaching, and where the next hole of a slot comes from.
 */
#include "mutator.h"

#include <errno.h>
#include <string.h>

#include "quiet.h"
#include "sweep.h"

enum { BUDGET = 1 << 22 };

static spin_lock unused_lock;  /* for taking */
static volatile word_t unused; /* mutators, by `next` */

void mutator_after_fork(void) { lock_give(&unused_lock); }

/* A zeroed mutator; one that has ended has no holes. */
static gcmutator *make(void) {
  gcmutator *m;
  lock_take(&unused_lock);
  do m = (gcmutator *)word_load_acquire(&unused);
  while (m && !word_cas_full(&unused, (word_t)m, (word_t)m->next)); /* others only put */
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
  atomics_keep_order();
  __atomic_store_n(&hole->cur, (uintptr_t)cur, __ATOMIC_RELAXED);
  atomics_keep_order();
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

static void fresh_is(gcmutator *m, unsigned index, unsigned number) {
  half_store_relaxed(&m->fresh.span, 0);
  atomics_keep_order();
  half_store_relaxed(&m->fresh.number, number);
  atomics_keep_order();
  half_store_relaxed(&m->fresh.span, index);
}

/* What is allocated in a cycle lives. Held. */
static void allocate_marked(gcheap *h, span *s, uint32_t from, uint32_t to, word_t mask) {
  unsigned running = half_load_acquire(&h->running);
  if (running == 0) return;
  gcspan_update(s, running, half_load_acquire(&h->last), NULL); /* a fresh one has stale marks */
  for (uint32_t w = from / 64; w * 64 < to; w++) word_or_full(&marks_of(s)[w], bits_between(w, from, to) & mask);
}

/* Blocks from .. to - 1, allocated by their bits and zeroed if they must be, become the hole. */
static void open_hole(gcmutator *m, span *s, unsigned slot, uint32_t from, uint32_t to) {
  const gcslot *of = &m->heap->slot[slot];
  if (m->heap->kind[of->kind].flags & SCALLOC_RT_ZERO) zero(s, from, to);
  publish(m, slot, block_at(s, from), block_at(s, to));
  account(m, (size_t)(to - from) * of->block);
}

/* A cycle has begun since they were taken: what is handed out in it lives. */
static never_inline void mark_pieces(gcmutator *m, unsigned slot, unsigned running) {
  gcpieces *p = &m->pieces[slot];
  quiet_enter(m);
  span *s = span_at(m->hot[slot]);
  gcspan_hold(s);
  uint32_t merged = gcspan_merge_freed(s);
  sweep_update(m->heap, s);
  allocate_marked(m->heap, s, p->word * 64, p->word * 64 + 64, p->bits);
  gcspan_let_go(s, GC_HOT, merged);
  p->cycle = running;
  quiet_leave(m);
}

/* The next of the pieces. False: there are none. No span is held, no region entered: at every moment the blocks are in the hole or
   in the pieces. */
static bool next_piece(gcmutator *m, unsigned slot) {
  gcpieces *p = &m->pieces[slot];
  unsigned running = half_load_acquire(&m->heap->running);
  if (p->bits != 0 && running != 0 && p->cycle != running) mark_pieces(m, slot, running);
  word_t left = word_load_relaxed(&p->bits);
  if (left == 0) return false;
  span *s = span_at(m->hot[slot]);
  uint32_t from = (uint32_t)__builtin_ctzll(left), to = from;
  while (to < 64 && left >> to & 1) to++;
  open_hole(m, s, slot, p->word * 64 + from, p->word * 64 + to);
  word_store_release(&p->bits, left & ~bits_between(0, from, to));
  return true;
}

/* HOT and held: takes what is free in the word of block `from`, from there on, as pieces. */
static uint32_t take_pieces(gcmutator *m, span *s, uint32_t from) {
  gc_record *r = record_of(s);
  gcpieces *p = &m->pieces[r->slot];
  uint32_t w = from / 64, to = (w + 1) * 64 < r->blocks ? (w + 1) * 64 : r->blocks;
  word_t before = word_load_relaxed(&allocs_of(s)[w]), taken = ~before & bits_between(w, from, to);
  half_store_relaxed(&p->word, w);
  p->cycle = half_load_acquire(&m->heap->running);
  word_store_release(&p->bits, taken);
  word_store_relaxed(&allocs_of(s)[w], before | taken);
  half_store_relaxed(&r->used, r->used + (uint32_t)__builtin_popcountll(taken));
  allocate_marked(m->heap, s, from, to, taken);
  return to;
}

/* HOT and held: takes blocks from .. to - 1, which are free, as the hole. */
static void take_hole(gcmutator *m, span *s, uint32_t from, uint32_t to) {
  gc_record *r = record_of(s);
  bits_set(allocs_of(s), from, to);
  half_store_relaxed(&r->used, r->used + to - from);
  allocate_marked(m->heap, s, from, to, ~(word_t)0);
  open_hole(m, s, r->slot, from, to);
}

/* HOT and held: the next free blocks become the mutator's, as its hole or as pieces. False: there are none. */
static bool next_hole(gcmutator *m, span *s) {
  const gc_record *r = record_of(s);
  uint32_t most = GC_HOLE_BYTES / gcslot_of(s)->block, from = bits_next_clear(allocs_of(s), *cursor_of(s), r->blocks), to;
  if (from == r->blocks) return false;
  to = bits_next_set(allocs_of(s), from, r->blocks);
  if (most == 0) most = 1;
  if (to - from < GC_PIECE && to < r->blocks) {
    to = take_pieces(m, s, from);
  } else {
    if (to > from + most) to = from + most;
    take_hole(m, s, from, to);
  }
  *cursor_of(s) = to;
  size_t end = (size_t)(block_at(s, to) - span_start(s));
  if (end > s->dirty) s->dirty = (uint32_t)end;
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
    size_t bytes = m->since;
    m->in_pressure = true;
    m->since = 0; /* what the hook allocates is for the next call */
    again = hooks->pressure(m->heap->ud, &m->published, bytes, (int)why);
    m->in_pressure = false;
    quiet_pressed();
  }
  if (m->published.budget <= 0) m->published.budget = BUDGET;
  return again;
}

/* At the beginning of every slow path that will hand out `bytes` at least. */
static void arrive(gcmutator *m, size_t bytes) {
  const span *hooked = gcspan_hooked();
  if (m->regions != 0 || (hooked && gcheap_of(hooked) == m->heap))
    os_panic("invalid call", m, "allocation inside a hook of the same heap");
  if (word_load_acquire(&m->orphan)) os_panic("invalid call", m, "mutator of a thread that a fork left behind");
  word_store_relaxed(&m->thread, (word_t)thread_mark());
  fresh_is(m, 0, 0);
  m->published.nslots = half_load_acquire(&m->heap->slots);
  if (m->published.budget <= (int64_t)bytes) pressure(m, SCALLOC_RT_BUDGET);
}

static void *no_memory(void) {
  errno = ENOMEM;
  return NULL;
}

static bool has_hole(gcmutator *m, unsigned slot) {
  const scalloc_rt_hole *hole = &m->published.hole[slot];
  return hole->cur < hole->lim || next_piece(m, slot);
}

/* A hole with at least one block. */
static bool fill(gcmutator *m, unsigned slot) {
  enum scalloc_rt_why why;
  arrive(m, 0);
  for (;;) {
    if (has_hole(m, slot)) return true; /* at once, if a pressure hook allocated here */
    quiet_enter(m);                     /* perhaps a stop, whose hook allocated */
    bool filled = has_hole(m, slot) || refill(m, slot, &why);
    quiet_leave(m); /* perhaps a stop, which may have taken it again */
    if (!filled && !pressure(m, why)) return false;
  }
}

void *scalloc_rt_alloc_slow(scalloc_rt_mutator *mutator, unsigned slot, size_t rounded) {
  gcmutator *m = mutator_of(mutator);
  scalloc_rt_hole *hole = &mutator->hole[slot];
  if (slot >= half_load_acquire(&m->heap->slots) || rounded != m->heap->slot[slot].block)
    os_panic("invalid slot", mutator, "no slot of this heap with blocks of that size");
  fresh_is(m, 0, 0);
  if (!next_piece(m, slot) && !fill(m, slot)) return no_memory();
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
  allocate_marked(m->heap, s, 0, 1, 1);
  record_of(s)->mutator = number;
  *mine = (gcfresh){span_index(s), number, m->in_hand};
  atomics_keep_order();
  m->in_hand = mine;
  account(m, s->large_bytes);
  list_put(s, GC_SWEPT);
  gcspan_let_go(s, GC_LARGE, 0);
}

/* The block is returned: at every moment one or the other has it. */
static void *take_from_hand(gcmutator *m, const gcfresh *mine) {
  fresh_is(m, mine->span, mine->number);
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

/* ---- the end -------------------------------------------------------------------------------------------------------------- */

static bool hole_of(const gcmutator *m, const span *s, unsigned slot, uint32_t *from, uint32_t *to) {
  const scalloc_rt_hole *hole = &m->published.hole[slot];
  *from = *to = 0;
  if (hole->cur >= hole->lim) return false;
  *from = block_number(gcslot_of(s), hole->cur - (uintptr_t)block_at(s, 0));
  *to = block_number(gcslot_of(s), hole->lim - (uintptr_t)block_at(s, 0));
  return true;
}

void mutator_each_own(const gcmutator *m, span *s, unsigned slot, void (*act)(span *s, uint32_t w, word_t mask)) {
  const gcpieces *p = &m->pieces[slot];
  uint32_t from, to;
  if (p->bits) act(s, p->word, p->bits);
  if (!hole_of(m, s, slot, &from, &to)) return;
  for (uint32_t w = from / 64; w * 64 < to; w++) act(s, w, bits_between(w, from, to));
}

/* Free memory again; held. A mutator that a fork left behind may have the same blocks in its hole and its pieces. */
static void give_back(span *s, uint32_t w, word_t mask) {
  word_t now = word_load_relaxed(&allocs_of(s)[w]);
  word_store_relaxed(&allocs_of(s)[w], now & ~mask);
  half_store_relaxed(&record_of(s)->used, record_of(s)->used - (uint32_t)__builtin_popcountll(now & mask));
}

/* Takes from the mutator what it has in its hot span of a slot, which is held. */
static span *give_up(gcmutator *m, unsigned slot) {
  span *s = span_at(m->hot[slot]);
  mutator_each_own(m, s, slot, give_back);
  word_store_relaxed(&m->pieces[slot].bits, 0);
  publish(m, slot, NULL, NULL);
  m->hot[slot] = 0;
  return s;
}

void mutator_retire(gcmutator *m) {
  fresh_is(m, 0, 0);
  for (unsigned slot = 0, slots = half_load_acquire(&m->heap->slots); slot < slots; slot++) {
    if (m->hot[slot] == 0) continue;
    span *s = span_at(m->hot[slot]);
    gcspan_hold(s);
    uint32_t merged = gcspan_merge_freed(s);
    sweep_settle(give_up(m, slot), merged);
  }
}

void mutator_leave_behind(gcmutator *m) {
  word_store_release(&m->inside, 0);
  m->regions = 0;
  m->in_hand = NULL;
  m->in_pressure = false;
  fresh_is(m, 0, 0);
  word_store_release(&m->orphan, 1);
  for (unsigned slot = 0, slots = half_load_acquire(&m->heap->slots); slot < slots; slot++) {
    span *s = m->hot[slot] ? span_at(m->hot[slot]) : NULL;
    if (s == NULL || is_held(word_load_acquire(&s->word))) continue; /* held: by a hook that forks. Detaching takes it */
    gcspan_hold(s);
    uint32_t merged = gcspan_merge_freed(s);
    list_put(give_up(m, slot), GC_UNSWEPT);
    gcspan_let_go(s, GC_RETIRED, merged);
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
}

void mutator_free(gcmutator *m) {
  word_t first;
  do m->next = (gcmutator *)(first = word_load_relaxed(&unused));
  while (!word_cas_full(&unused, first, (word_t)m));
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
  quiet_leave(NULL); /* perhaps a stop that was put off for this very mutator */
  mutator_free(mutator_of(m));
}
