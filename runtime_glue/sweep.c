/*
 * sweep.c - sweeping spans one by one, each by whoever took it out of its list.
 *
 * A span that is dead as a whole is released without a look at its blocks or bits. Who takes a span out of a list has the say
 * over it; who only holds it, and finds it gone from its list, leaves it to him.
 */
#include "sweep.h"

#include <string.h>

#include "mutator.h"
#include "quiet.h"

/* The disclaim hook may keep some of the dead: for the running cycle, or else for the next. */
static void ask(gcheap *h, span *s, word_t *dead) {
  gc_record *r = record_of(s);
  for (uint32_t w = 0; w * 64 < r->blocks; w++)
    for (word_t left = dead[w]; left != 0; left &= left - 1) {
      uint32_t i = w * 64 + (uint32_t)__builtin_ctzll(left);
      if (h->hooks.disclaim(h->ud, (scalloc_rt_ref){span_index(s), i}, block_at(s, i))) continue;
      dead[w] &= ~((word_t)1 << i % 64);
      bits_set(allocs_of(s), i, i + 1);
      if (half_load_acquire(&h->running) != 0) bits_set_shared(marks_of(s), i, i + 1);
      half_store_relaxed(&r->used, r->used + 1);
    }
}

static void tell(gcheap *h, span *s, const word_t *dead) {
  scalloc_rt_span_info info;
  uint64_t bitmap[GC_WORDS];
  uint32_t n = 0;
  for (uint32_t w = 0; w < GC_WORDS; w++) {
    bitmap[w] = w * 64 < record_of(s)->blocks ? dead[w] : 0;
    n += (uint32_t)__builtin_popcountll(bitmap[w]);
  }
  gcheap_info(h, s, &info);
  if (n > 0) h->hooks.span_swept(h->ud, span_index(s), &info, bitmap, n);
}

static bool has_disclaim(const gcheap *h, const span *s) {
  return h->hooks.disclaim != NULL && (flags_of(s) & SCALLOC_RT_DISCLAIM);
}

void sweep_update(gcheap *h, span *s) {
  word_t dead[GC_WORDS];
  bool wanted = h->eager && (h->hooks.span_swept || has_disclaim(h, s));
  bool died = gcspan_update(s, half_load_acquire(&h->running), half_load_acquire(&h->last), wanted ? dead : NULL);
  if (!died || !wanted) return;
  span *before = gcspan_show(s);
  if (has_disclaim(h, s)) ask(h, s, dead);
  if (h->hooks.span_swept) tell(h, s, dead);
  gcspan_hide(s, before);
}

static bool has_room(uint32_t blocks, int32_t live, uint32_t part) { return (int32_t)blocks - live > (int32_t)(blocks / part); }

void sweep_settle(span *s, uint32_t merged) {
  gcslot *slot = gcslot_of(s);
  word_t w = word_load_acquire(&s->word);
  bool collectable = is_collectable(s), fresh = is_swept(record_of(s), half_load_acquire(&gcheap_of(s)->last));
  if (!fresh) { /* of no interest before it is swept */
    list_put(s, GC_UNSWEPT);
    gcspan_let_go(s, is_large(s) ? GC_LARGE : GC_RETIRED, merged);
    return;
  }
  if (record_of(s)->used == 0 && pending_of(w) == (int32_t)merged) {
    gcheap_release(s, SCALLOC_RT_DEAD);
    return;
  }
  uint32_t blocks = record_of(s)->blocks;
  bool room = !is_large(s) && has_room(blocks, (int32_t)record_of(s)->used, collectable ? GC_ROOM : GC_ROOM_BY_HAND);
  list_put(s, room ? GC_HOLES : GC_SWEPT);
  w = gcspan_let_go(s, is_large(s) ? GC_LARGE : room ? GC_REUSABLE : GC_RETIRED, merged);
  if (!collectable) sweep_follow(slot, s, w, blocks);
}

/* Nothing lives in it: whoever gets it out of its list releases it. `w`: its word, not held. False: the word has changed. */
static bool end_empty(span *s, word_t w) {
  if (!word_cas_full(&s->word, w, word_with_stage(w, stage_of(w), true))) return false;
  if (list_drop(s))
    gcheap_release(s, SCALLOC_RT_DEAD);
  else
    gcspan_let_go(s, stage_of(w), 0);
  return true;
}

void sweep_follow(gcslot *slot, span *s, word_t w, uint32_t blocks) {
  for (word_t at = w;; w = word_load_acquire(&s->word)) {
    if (word_generation(w) != word_generation(at)) return; /* whoever changed it looks after it */
    gc_stage stage = stage_of(w);
    if (is_held(w) || (stage != GC_RETIRED && stage != GC_REUSABLE)) return;
    int32_t live = live_of(s, w);
    if (live == 0) {
      if (end_empty(s, w)) return;
    } else if (stage == GC_RETIRED && has_room(blocks, live, GC_ROOM_BY_HAND)) {
      word_t now = word_with_stage(w, GC_REUSABLE, false);
      if (!word_cas_full(&s->word, w, now)) continue;
      list_move(slot, s, GC_HOLES, now);
      at = now; /* a free may have come since that makes it empty */
    } else {
      return;
    }
  }
}

/* One span that this thread took out of the unswept list. */
static void sweep(gcheap *h, span *s) {
  gcspan_hold(s);
  if (gcspan_is_dead(s, half_load_acquire(&h->last)) && !h->eager) {
    gcheap_release(s, SCALLOC_RT_DEAD);
    return;
  }
  uint32_t merged = gcspan_merge_freed(s);
  sweep_update(h, s);
  sweep_settle(s, merged);
}

/* Sweepers are counted, so that a cycle can turn between two spans. */
static void step_in(gcheap *h) {
  for (;;) {
    word_add_full(&h->sweepers, 1);
    if (word_load_acquire(&h->turning) == 0) return;
    word_add_full(&h->sweepers, (word_t)0 - 1);
    while (word_load_acquire(&h->turning) != 0) os_yield();
  }
}

static bool sweep_one(gcheap *h, gcslot *slot) {
  if (half_load_relaxed(&slot->head[GC_UNSWEPT]) == 0) return false;
  step_in(h);
  span *s = list_take(slot, GC_UNSWEPT);
  if (s) sweep(h, s);
  word_add_full(&h->sweepers, (word_t)0 - 1);
  return s != NULL;
}

size_t sweep_some(gcheap *h, size_t most) {
  size_t n = 0;
  unsigned slots = half_load_acquire(&h->slots);
  for (unsigned i = 0; i <= slots; i++) {
    gcslot *slot = &h->slot[i < slots ? i : GC_LARGE_SLOT];
    while (n < most && sweep_one(h, slot)) n++;
  }
  word_add_full(&h->swept, n);
  return n;
}

size_t scalloc_rt_sweep(scalloc_rt_heap *h, scalloc_rt_mutator *m, size_t max_spans) {
  enum { AT_ONCE = 16 }; /* then a stop or a fork may come */
  gcmutator *user = m ? mutator_of(m) : NULL;
  size_t n = 0, some = 1;
  while (n < max_spans && some > 0) {
    quiet_enter(user);
    some = sweep_some(h, max_spans - n < AT_ONCE ? max_spans - n : AT_ONCE);
    quiet_leave(user);
    n += some;
  }
  return n;
}

/* ---- after a fork --------------------------------------------------------------------------------------------------------- */

/* No free by hand is under way in the child: those that have their bit are those that count. A span that nobody has followed waits
   for the next sweep, which may call hooks. */
static void recount(gcslot *slot, span *s, bool swept) {
  const gc_record *r = record_of(s);
  word_t w = word_load_acquire(&s->word);
  if (is_held(w)) return; /* by a hook that forks, about a span without blocks */
  w = word_with_list(w, word_head(w), bits_count(freeds_of(s), r->blocks));
  int32_t live = live_of(s, w);
  bool left = swept && (live == 0 || (stage_of(w) == GC_RETIRED && has_room(r->blocks, live, GC_ROOM_BY_HAND)));
  word_store_release(&s->word, left ? word_with_stage(w, GC_RETIRED, false) : w);
  if (left) list_move(slot, s, GC_UNSWEPT, word_load_acquire(&s->word));
}

static void recount_slot(gcheap *h, unsigned number) {
  static const unsigned lists[] = {GC_UNSWEPT, GC_SWEPT, GC_HOLES};
  gcslot *slot = &h->slot[number];
  for (size_t k = 0; k < sizeof lists / sizeof lists[0]; k++)
    for (uint32_t i = slot->head[lists[k]], next; i != 0; i = next) {
      next = record_of(span_at(i))->next;
      recount(slot, span_at(i), lists[k] != GC_UNSWEPT);
    }
  for (const gcmutator *m = h->mutators; m; m = m->next)
    if (m->hot[number]) recount(slot, span_at(m->hot[number]), false);
}

void sweep_recount(gcheap *h) {
  for (unsigned i = 0, slots = half_load_acquire(&h->slots); i < slots; i++)
    if (h->kind[h->slot[i].kind].flags & SCALLOC_RT_UNCOLLECTABLE) recount_slot(h, i);
}
