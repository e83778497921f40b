/* byhand.c - blocks freed one by one. */
#include "mutator.h"
#include "quiet.h"
#include "sweep.h"
#include "view.h"

static _Noreturn void invalid(const void *block, const char *why) { os_panic("invalid pointer", block, why); }

static void must_allow(unsigned flags, const void *block) {
  if (!(flags & (SCALLOC_RT_UNCOLLECTABLE | SCALLOC_RT_EXPLICIT_FREE))) invalid(block, "of a kind that only cycles free");
}

/* Not free yet, and set by this thread. */
static void set_bit(volatile word_t *freed, uint32_t i, const void *block) {
  if (!bit_win(freed, i)) os_panic("double free", block, "the block was freed before");
}

/* ---- large blocks --------------------------------------------------------------------------------------------------------- */

/* A run: out of its list, unless a sweeper has it in hands just now. */
static void end_run(span *s) {
  for (;;) {
    gcspan_hold(s);
    if (list_drop(s)) break;
    gcspan_let_go(s, GC_LARGE, 0);
    os_yield();
  }
  bits_clear(allocs_of(s), 0, 1);
  half_store_relaxed(&record_of(s)->used, 0);
  gcheap_release(s, SCALLOC_RT_DEAD);
}

static never_inline void free_large(gcmutator *user, span *s, const void *block) {
  must_allow(flags_of(s), block);
  if (block != block_at(s, 0)) invalid(block, "inside a large block");
  if (bit_get(freeds_of(s), 0)) os_panic("double free", block, "the block was freed before");
  if (!view_has(gcheap_of(s), s, 0)) invalid(block, "no live block of this heap");
  quiet_enter(user);
  set_bit(freeds_of(s), 0, block);
  end_run(s);
  quiet_leave(user);
}

/* ---- small blocks --------------------------------------------------------------------------------------------------------- */

/* Counts the free that has just set its bit. The block kept the span in its life until here. */
always_inline word_t count(span *s) {
  word_t w, now;
  do {
    w = word_load_acquire(&s->word);
    now = word_with_list(w, word_head(w), count_plus(w, 1));
  } while (!word_cas_full(&s->word, w, now));
  return now;
}

/* Who holds the span, or has it hot, takes the bit out. No cycle of a runtime that stops by signal comes between bit and count. */
static never_inline void free_collectable(gcmutator *user, span *s, uint32_t i, const void *block) {
  if (!view_has(gcheap_of(s), s, i)) invalid(block, "no live block of this heap");
  quiet_enter(user);
  set_bit(freeds_of(s), i, block);
  count(s);
  quiet_leave(user);
}

/* In no region, as a rule. A fork may come between bit and count: sweep_recount. */
always_inline void free_uncollectable(gcmutator *user, gcslot *slot, span *s, uint32_t i, const void *block) {
  uint32_t blocks = const_record_of(s)->blocks;
  bool own = stage_now(s) == GC_HOT && view_is_own(s, i, (uintptr_t)block);
  if (own || !bit_get(allocs_of(s), i)) invalid(block, "no live block of this heap");
  set_bit(freeds_of(s), i, block);
  word_t w = count(s);
  if (stage_of(w) == GC_HOT || is_held(w)) return;
  if (live_of(s, w) != 0 && stage_of(w) == GC_REUSABLE) return;
  quiet_enter(user);
  sweep_follow(slot, s, w, blocks);
  quiet_leave(user);
}

void scalloc_rt_free(scalloc_rt_mutator *m, void *block) {
  gcmutator *user = m ? mutator_of(m) : NULL;
  if (block == NULL) return;
  span *s = gcspan_of(block);
  if (unlikely(s == NULL)) invalid(block, "not in a span of a runtime's heap");
  const gc_record *r = const_record_of(s);
  unsigned number = r->slot;
  if (unlikely(number >= SCALLOC_RT_SLOTS)) {
    free_large(user, s, block);
    return;
  }
  gcheap *h = gcheap_of(s);
  gcslot *slot = &h->slot[number];
  unsigned flags = h->kind[slot->kind].flags;
  size_t offset = (uintptr_t)block - (uintptr_t)block_at(s, 0); /* huge in front of block 0 */
  must_allow(flags, block);
  uint32_t i = offset < SPAN_BYTES ? block_number(slot, offset) : GC_BLOCKS;
  if (unlikely(i >= r->blocks || offset != (size_t)i * slot->block)) invalid(block, "not a block");
  if (unlikely(bit_get(freeds_of(s), i))) os_panic("double free", block, "the block was freed before");
  if (flags & SCALLOC_RT_UNCOLLECTABLE)
    free_uncollectable(user, slot, s, i, block);
  else
    free_collectable(user, s, i, block);
}
