/* holes.c - where the next hole of a slot comes from: pieces, the hot span, a span of the lists, a new one. */
#include "holes.h"

#include <string.h>

#include "quiet.h"
#include "sweep.h"

void hole_publish(gcmutator *m, unsigned slot, char *cur, char *lim) {
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

/* What is allocated in a cycle lives. Held. */
void hole_born_marked(gcheap *h, span *s, uint32_t from, uint32_t to, word_t mask) {
  unsigned running = half_load_acquire(&h->running);
  if (running == 0) return;
  gcspan_update(s, running, half_load_acquire(&h->last), NULL); /* a fresh one has stale marks */
  for (uint32_t w = from / 64; w * 64 < to; w++) word_or_full(&marks_of(s)[w], bits_between(w, from, to) & mask);
}

/* Blocks from .. to - 1, allocated by their bits and zeroed if they must be, become the hole. */
static void open_hole(gcmutator *m, span *s, unsigned slot, uint32_t from, uint32_t to) {
  const gcslot *of = &m->heap->slot[slot];
  if (m->heap->kind[of->kind].flags & SCALLOC_RT_ZERO) zero(s, from, to);
  hole_publish(m, slot, block_at(s, from), block_at(s, to));
  mutator_account(m, (size_t)(to - from) * of->block);
}

/* A cycle has begun since they were taken: what is handed out in it lives. */
static never_inline void mark_pieces(gcmutator *m, unsigned slot, unsigned running) {
  gcpieces *p = &m->pieces[slot];
  quiet_enter(m);
  span *s = span_at(m->hot[slot]);
  gcspan_hold(s);
  uint32_t merged = gcspan_merge_freed(s);
  sweep_update(m->heap, s);
  hole_born_marked(m->heap, s, p->word * 64, p->word * 64 + 64, p->bits);
  gcspan_let_go(s, GC_HOT, merged);
  p->cycle = running;
  quiet_leave(m);
}

/* The next of the pieces. False: there are none. No span is held, no region entered: at every moment the blocks are in the hole or
   in the pieces. */
bool hole_next_piece(gcmutator *m, unsigned slot) {
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
  hole_born_marked(m->heap, s, from, to, taken);
  return to;
}

/* HOT and held: takes blocks from .. to - 1, which are free, as the hole. */
static void take_hole(gcmutator *m, span *s, uint32_t from, uint32_t to) {
  gc_record *r = record_of(s);
  bits_set(allocs_of(s), from, to);
  half_store_relaxed(&r->used, r->used + to - from);
  hole_born_marked(m->heap, s, from, to, ~(word_t)0);
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
  hole_publish(m, r->slot, NULL, NULL);
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
bool hole_refill(gcmutator *m, unsigned slot, enum scalloc_rt_why *why) {
  gcheap *h = m->heap;
  word_store_relaxed(&m->refills, m->refills + 1);
  if (m->hot[slot] && refill_hot(m, span_at(m->hot[slot]))) return true;
  hole_publish(m, slot, NULL, NULL);
  if (refill_from_list(m, slot, GC_HOLES) || refill_from_list(m, slot, GC_UNSWEPT)) return true;
  span *s = gcheap_acquire(h, slot, why);
  if (s == NULL && sweep_some(h, SIZE_MAX) > 0) s = gcheap_acquire(h, slot, why);
  return s != NULL && heat(m, s, 0);
}
