/*
 * cycle.c - begin, end and abort: a new number, and no look at any span but those that are hot.
 */
#include "mutator.h"
#include "quiet.h"
#include "sweep.h"
#include "view.h"

/* Keeps sweepers between two spans, and the list of mutators as it is. */
static void turn(gcheap *h) {
  quiet_enter(NULL);
  while (!word_cas_full(&h->turning, 0, 1)) os_yield();
  while (word_load_acquire(&h->sweepers) != 0) os_yield();
  lock_take(&h->lock);
  lock_give(&h->lock);
}

static void turned(gcheap *h) {
  word_store_release(&h->turning, 0);
  quiet_leave(NULL);
}

/* ---- when the numbers are used up, after 2^32 cycles: every span is made to say 1 ---- */

static void renumber(span *s) {
  gc_record *r = record_of(s);
  if (half_load_relaxed(&r->swept) != GC_ALWAYS) half_store_relaxed(&r->swept, 1);
  half_store_relaxed(marked_in(s), GC_ALWAYS);
}

static void renumber_slot(gcslot *slot) {
  for (unsigned which = 0; which < GC_LISTS; which++)
    for (uint32_t i = slot->head[which]; i != 0; i = record_of(span_at(i))->next) renumber(span_at(i));
}

/* All is swept, nobody sweeps, mutators stand. */
static void renumber_all(gcheap *h) {
  for (unsigned i = 0; i < GC_ALL_SLOTS; i++) renumber_slot(&h->slot[i]);
  for (gcmutator *m = h->mutators; m; m = m->next)
    for (unsigned slot = 0; slot < h->slots; slot++)
      if (m->hot[slot]) {
        span *s = span_at(m->hot[slot]);
        gcspan_hold(s);
        uint32_t merged = gcspan_merge_freed(s);
        sweep_update(h, s);
        renumber(s);
        gcspan_let_go(s, GC_HOT, merged);
      }
  h->number = 1;
  half_store_release(&h->last, 1);
}

/* ------------------------------------------------------------------------------------------------------------------------- */

void scalloc_rt_cycle_begin(scalloc_rt_heap *h) {
  if (h->running) os_panic("invalid call", h, "cycle_begin in a cycle");
  bool last_number = h->number >= GC_ALWAYS - 1;
  if (h->eager || last_number)
    while (scalloc_rt_sweep(h, NULL, SIZE_MAX) > 0) os_yield();
  turn(h);
  if (last_number) renumber_all(h);
  h->collector = thread_mark();
  half_store_release(&h->running, ++h->number);
  turned(h);
}

static void mark_own(span *s, uint32_t w, word_t mask) { word_or_full(&marks_of(s)[w], mask); }

/* What a mutator has in its hands lives. */
static void blacken(gcheap *h, gcmutator *m, unsigned slot) {
  const scalloc_rt_hole *hole = &m->published.hole[slot];
  span *s = span_at(m->hot[slot]);
  if ((hole->cur >= hole->lim && m->pieces[slot].bits == 0) || !is_collectable(s)) return;
  gcspan_hold(s);
  uint32_t merged = gcspan_merge_freed(s);
  sweep_update(h, s);
  mutator_each_own(m, s, slot, mark_own);
  gcspan_let_go(s, GC_HOT, merged);
}

static void blacken_fresh(const gcheap *h, const gcfresh *f) {
  uint32_t fresh = half_load_relaxed(&f->span); /* a mutator that ends just now takes it back */
  const span *s = span_at(fresh);
  if (fresh != 0 && span_state_now(s) == SPAN_LENT && gcheap_of(s) == h && is_large(s) && is_collectable(s) &&
      const_record_of(s)->mutator == half_load_relaxed(&f->number) && view_has(h, s, 0)) /* not if its release was put off */
    scalloc_rt_mark((scalloc_rt_ref){fresh, 0});
}

/* Holes, pieces, and large blocks that were given out or are about to be. Mutators stand, and nobody sweeps. */
static void blacken_all(gcheap *h) {
  unsigned slots = half_load_acquire(&h->slots);
  for (gcmutator *m = h->mutators; m; m = m->next) {
    for (unsigned slot = 0; slot < slots; slot++)
      if (m->hot[slot]) blacken(h, m, slot);
    blacken_fresh(h, &m->fresh);
    for (const gcfresh *f = m->in_hand; f; f = f->outer) blacken_fresh(h, f);
  }
}

void scalloc_rt_mark_holes(scalloc_rt_heap *h) {
  if (h->running == 0) os_panic("invalid call", h, "mark_holes without a cycle");
  turn(h);
  blacken_all(h);
  turned(h);
}

void scalloc_rt_cycle_end(scalloc_rt_heap *h) {
  unsigned slots = half_load_acquire(&h->slots);
  if (h->running == 0) os_panic("invalid call", h, "cycle_end without a cycle");
  turn(h);
  blacken_all(h);
  half_store_release(&h->last, h->running);
  half_store_release(&h->running, 0);
  for (unsigned slot = 0; slot < slots; slot++)
    if (!(h->kind[h->slot[slot].kind].flags & SCALLOC_RT_UNCOLLECTABLE)) list_all_unswept(&h->slot[slot]);
  list_all_unswept(&h->slot[GC_LARGE_SLOT]);
  word_add_full(&h->cycles, 1);
  turned(h);
}

void scalloc_rt_cycle_abort(scalloc_rt_heap *h) {
  if (h->running == 0) os_panic("invalid call", h, "cycle_abort without a cycle");
  turn(h);
  half_store_release(&h->running, 0);
  turned(h);
}
