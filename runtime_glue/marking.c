/* marking.c - from an address to a block, from a block to its bit. */
#include "quiet.h"
#include "sweep.h"
#include "view.h"

_Static_assert((int)SCALLOC_RT_SPAN_SHIFT == (int)SPAN_SHIFT && (int)SCALLOC_RT_RECIPROCAL_SHIFT == (int)RECIPROCAL_SHIFT &&
                   GRANULE_SHIFT == 3,
               "what the header says of addresses");
_Static_assert(sizeof(scalloc_rt_marks) % CACHE_LINE == 0 && offsetof(scalloc_rt_marks, bits) == CACHE_LINE,
               "a line for what is to be known, then the bits");

bool scalloc_rt_resolve(scalloc_rt_heap *h, const void *address, bool interior, scalloc_rt_ref *out) {
  const span *s = gcspan_of(address);
  if (s == NULL || gcheap_of(s) != h) return false;
  size_t offset = (uintptr_t)address - (uintptr_t)block_at(s, 0); /* huge in front of block 0 */
  uint32_t i = 0;
  if (is_large(s)) {
    if (interior ? offset >= s->large_bytes : offset != 0) return false;
  } else {
    if (offset >= SPAN_BYTES) return false;
    unsigned number = const_record_of(s)->slot;
    if (number >= SCALLOC_RT_SLOTS) return false; /* released meanwhile */
    const gcslot *slot = &h->slot[number];
    i = block_number(slot, offset);
    if (i >= const_record_of(s)->blocks || (!interior && offset != (size_t)i * slot->block)) return false;
  }
  if (!view_has(h, s, i)) return false;
  *out = (scalloc_rt_ref){span_index(s), i};
  return true;
}

void scalloc_rt_assert_live(const void *block) {
  scalloc_rt_ref ref;
  const span *s = gcspan_of(block);
  if (s == NULL || gcheap_of(s) == NULL || !scalloc_rt_resolve(gcheap_of(s), block, false, &ref))
    os_panic("invalid pointer", block, "to be marked, but no live block");
}

void *scalloc_rt_block(scalloc_rt_ref ref, size_t *size) {
  const span *s = span_at(ref.span);
  if (size) *size = is_large(s) ? s->large_bytes : s->block;
  return is_large(s) ? span_start(s) : block_at(s, ref.block);
}

int scalloc_rt_kind(scalloc_rt_ref ref) { return kind_of(span_at(ref.span)); }

uintptr_t *scalloc_rt_cookie(scalloc_rt_span number) { return &bits.marks[number].cookie; }

/* The first mark in a span in this cycle: its bits are brought up to date. */
static never_inline void first_touch(gcheap *h, span *s) {
  quiet_enter(NULL);
  gcspan_hold(s);
  gc_stage stage = stage_now(s);
  uint32_t merged = gcspan_merge_freed(s);
  sweep_update(h, s);
  gcslot *slot = gcslot_of(s);
  bool collectable = is_collectable(s);
  uint32_t blocks = record_of(s)->blocks;
  word_t w = gcspan_let_go(s, stage, merged);
  if (!collectable) sweep_follow(slot, s, w, blocks);
  quiet_leave(NULL);
}

void scalloc_rt_touch(scalloc_rt_span number) { first_touch(gcheap_of(span_at(number)), span_at(number)); }

scalloc_rt_marker scalloc_rt_marker_of(scalloc_rt_heap *h, bool alone) {
  unsigned running = half_load_acquire(&h->running);
  if (running == 0) os_panic("invalid call", h, "marker_of without a cycle");
  return (scalloc_rt_marker){.base = arena.base, .marks = bits.marks, .cycle = running, .alone = alone};
}

/* What is marked must be allocated by THE RULE: the block whose address was given, or (NULL) block i. The tracer, who keeps the block alive, does not see a moment in which it is not:
   view_has looks again if the span changes under its eyes. */
always_inline void assert_allocated(const span *s, uint32_t i, const void *block) {
#if defined(SCALLOC_ASSERTS) && SCALLOC_ASSERTS
  if (!bit_get(marks_of(s), i))
    scalloc_rt_assert_live(block ? block : scalloc_rt_block((scalloc_rt_ref){span_index(s), i}, NULL));
#else
  (void)s, (void)i, (void)block;
#endif
}

always_inline bool mark(gcheap *h, span *s, uint32_t i, const void *block) {
  unsigned running = half_load_relaxed(&h->running);
  if (unlikely(half_load_acquire(marked_in(s)) != running)) {
    if (running == 0) return false;
    first_touch(h, s);
  }
  assert_allocated(s, i, block);
  return bit_win(marks_of(s), i);
}

bool scalloc_rt_mark(scalloc_rt_ref ref) {
  span *s = span_at(ref.span);
  return mark(gcheap_of(s), s, ref.block, NULL);
}

bool scalloc_rt_mark_block(void *block, scalloc_rt_ref *out) {
  size_t from_base = (uintptr_t)block - arena.base;
  uint32_t index = (uint32_t)(from_base >> SPAN_SHIFT);
  const scalloc_rt_marks *m = &bits.marks[index];
  out->span = index;
  out->block = (uint32_t)((((from_base & (SPAN_BYTES - 1)) - m->first) >> GRANULE_SHIFT) * m->reciprocal >> RECIPROCAL_SHIFT);
  return mark(gcheap_of(span_at(index)), span_at(index), out->block, block);
}

bool scalloc_rt_is_marked(scalloc_rt_ref ref) {
  const span *s = span_at(ref.span);
  const gcheap *h = gcheap_of(s);
  unsigned running = half_load_acquire(&h->running);
  if (half_load_acquire(marked_in(s)) != (running ? running : half_load_acquire(&h->last))) return false;
  return bit_get(marks_of(s), ref.block);
}
