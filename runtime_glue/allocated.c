/* allocated.c - view_has for many blocks at once, and the largest size. */
#include "allocated.h"

#include "mutator.h"

_Static_assert((int)ALLOCATED_WORDS == (int)GC_WORDS, "the bits of a span");

/* What a mutator has of a span for itself. */
typedef struct {
  uintptr_t cur, lim;
  uint32_t word; /* of the alloc bits, and which of its bits */
  word_t pieces;
} own_part;

static own_part own_read(const gcmutator *m, unsigned slot) {
  own_part own;
  own.lim = __atomic_load_n(&m->published.hole[slot].lim, __ATOMIC_ACQUIRE);
  own.cur = __atomic_load_n(&m->published.hole[slot].cur, __ATOMIC_ACQUIRE);
  own.pieces = word_load_acquire(&m->pieces[slot].bits);
  own.word = half_load_relaxed(&m->pieces[slot].word);
  return own;
}

/* Bits of word w that are blocks of the hole or pieces. */
static word_t own_bits(const own_part *own, uintptr_t start, size_t size, uint32_t w) {
  word_t mask = own->word == w ? own->pieces : 0;
  uintptr_t word_start = start + (size_t)w * 64 * size, word_end = word_start + 64 * size;
  if (own->cur >= own->lim || own->lim <= word_start || own->cur >= word_end) return mask;
  uint32_t low = own->cur > word_start ? (uint32_t)((own->cur - word_start) / size) : 0;
  uint32_t high = own->lim < word_end ? (uint32_t)((own->lim - word_start) / size) : 64;
  return mask | bits_between(0, low, high);
}

/* One look; false: a mutator was at work in the span. */
static bool look(const span *s, size_t size, uint32_t from, uint32_t to, word_t *out) {
  own_part own = {0, 0, UINT32_MAX, 0};
  word_t state = word_load_acquire(&s->word);
  unsigned slot = const_record_of(s)->slot;
  bool hot = stage_of(state) == GC_HOT && slot < SCALLOC_RT_SLOTS;
  const gcmutator *m = hot ? mutator_at(half_load_acquire(&const_record_of(s)->mutator)) : NULL;
  if (hot) own = own_read(m, slot);
  for (uint32_t w = from / 64; w * 64 < to; w++) {
    word_t bits_here = word_load_acquire(&allocs_of(s)[w]) & ~word_load_acquire(&freeds_of(s)[w]) & bits_between(w, from, to);
    out[w - from / 64] = bits_here & ~own_bits(&own, (uintptr_t)block_at(s, 0), size, w);
  }
  atomics_fence_acquire();
  if (word_generation(word_load_acquire(&s->word)) != word_generation(state)) return false;
  if (!hot) return true;
  own_part then = own_read(m, slot);
  return then.lim == own.lim && then.pieces == own.pieces && then.word == own.word;
}

static bool is_right(const gcheap *h, const span *s, size_t size, uint32_t to) {
  const gc_record *r = const_record_of(s);
  if (span_state_now(s) != SPAN_LENT || gcheap_of(s) != h || half_load_acquire(&r->swept) != GC_ALWAYS) return false;
  return (r->slot >= SCALLOC_RT_SLOTS ? s->large_bytes : s->block) == size && r->blocks >= to && r->blocks <= GC_BLOCKS;
}

bool allocated_blocks(const scalloc_rt_heap *h, scalloc_rt_span number, size_t size, uint32_t from, uint32_t to,
                      word_t out[ALLOCATED_WORDS]) {
  const span *s = number > 0 && number < word_load_acquire(&bits.reach) ? span_at(number) : NULL;
  if (s == NULL) return false;
  for (;;) {
    if (!is_right(h, s, size, to)) return false;
    if (look(s, size, from, to, out)) return true;
    cpu_relax();
  }
}

size_t allocated_most(void) { return lend_most(); }
