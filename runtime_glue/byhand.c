/* byhand.c - blocks freed one by one. */
#include "mutator.h"
#include "quiet.h"
#include "sweep.h"
#include "view.h"

static _Noreturn void invalid(const void *block, const char *why) { os_panic("invalid pointer", block, why); }

/* A run: out of its list, unless a sweeper has it in hands just now. */
static void free_large(span *s) {
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

/* Which block starts there; aborts if none that lives does. */
static uint32_t number_of(const span *s, const void *block) {
  size_t offset = (uintptr_t)block - (uintptr_t)block_at(s, 0);
  if (!(flags_of(s) & (SCALLOC_RT_UNCOLLECTABLE | SCALLOC_RT_EXPLICIT_FREE))) invalid(block, "of a kind that only cycles free");
  if (is_large(s)) {
    if (offset != 0) invalid(block, "inside a large block");
    return 0;
  }
  uint32_t i = offset < SPAN_BYTES ? block_number(gcslot_of(s), offset) : GC_BLOCKS;
  if (i >= const_record_of(s)->blocks || offset != (size_t)i * s->block) invalid(block, "not a block");
  return i;
}

/* Counts the free that has just set its bit. The block kept the span in its life until here. */
static word_t count(span *s) {
  word_t w, now;
  do {
    w = word_load_acquire(&s->word);
    now = word_with_list(w, word_head(w), count_plus(w, 1));
  } while (!word_cas_full(&s->word, w, now));
  return now;
}

static void free_small(gcmutator *user, span *s, bool collectable) {
  gcslot *slot = gcslot_of(s);
  word_t w = count(s);
  if (collectable || stage_of(w) == GC_HOT || is_held(w)) return; /* who has it takes it out */
  if (live_of(s, w) != 0 && stage_of(w) == GC_REUSABLE) return;
  quiet_enter(user);
  sweep_follow(slot, s, w);
  quiet_leave(user);
}

void scalloc_rt_free(scalloc_rt_mutator *m, void *block) {
  gcmutator *user = m ? mutator_of(m) : NULL;
  if (block == NULL) return;
  span *s = gcspan_of(block);
  if (s == NULL) invalid(block, "not in a span of a runtime's heap");
  uint32_t i = number_of(s, block);
  bool collectable = is_collectable(s), large = is_large(s);
  if (bit_get(freeds_of(s), i)) os_panic("double free", block, "the block was freed before");
  if (!view_has(gcheap_of(s), s, i)) invalid(block, "no live block of this heap");
  if (collectable || large) quiet_enter(user); /* no cycle of a runtime that stops by signal comes between */
  if (!bit_win(freeds_of(s), i)) os_panic("double free", block, "the block was freed before");
  if (large)
    free_large(s);
  else
    free_small(user, s, collectable);
  if (collectable || large) quiet_leave(user);
}
