/* mutator.c - attaching, detaching, retiring: what a mutator has for itself, and its end. */
#include "mutator.h"

#include <errno.h>
#include <string.h>

#include "holes.h"
#include "quiet.h"
#include "sweep.h"

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
  m->published.budget = GC_BUDGET;
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
  hole_publish(m, slot, NULL, NULL);
  m->hot[slot] = 0;
  return s;
}

void mutator_retire(gcmutator *m) {
  mutator_fresh_is(m, 0, 0);
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
  mutator_fresh_is(m, 0, 0);
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
