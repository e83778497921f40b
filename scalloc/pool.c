/*
 * pool.c - [slot][stack] of tagged stacks with one summary word per slot.
 *
 * The summary of a slot has a bit for every stack that may hold a span. It is set after a push and cleared by a thread that
 * found the stack empty, which then looks once more: so a bit can be set in vain, but never stay clear over a span that was
 * pushed before the look began.
 */
#include "pool.h"

#include "os.h"
#include "stack.h"

typedef struct {
  stack stacks[POOL_STACKS][CACHE_LINE / sizeof(word_t)]; /* one word in use per line */
  volatile word_t summary aligned_to(CACHE_LINE);
} pool_slot;

static pool_slot slots[POOL_SLOTS];
static volatile word_t stacks_in_use;

static volatile unsigned *link_of(uint32_t index) { return &span_at(index)->pool_next; }

unsigned pool_stacks(void) {
  word_t p = word_load_relaxed(&stacks_in_use);
  if (unlikely(p == 0)) {
    p = os_processors();
    if (p > POOL_STACKS) p = POOL_STACKS;
    word_store_relaxed(&stacks_in_use, p);
  }
  return (unsigned)p;
}

static unsigned slot_of(size_t dirty) {
  if (dirty == 0) return POOL_CLEAN;
  unsigned above = log2_floor((dirty - 1) | 1) + 1; /* dirty <= 1 << above */
  return above <= 16 ? 0 : above - 16;
}

static void note_push(pool_slot *slot, unsigned n) {
  word_t bit = (word_t)1 << n;
  if (!(word_load_acquire(&slot->summary) & bit)) word_or_full(&slot->summary, bit);
}

static void note_empty(pool_slot *slot, unsigned n) {
  word_and_full(&slot->summary, ~((word_t)1 << n));
  if (stack_top(word_load_acquire(slot->stacks[n])) != 0) note_push(slot, n);
}

void pool_put(span *s, uint32_t hint) {
  pool_slot *slot = &slots[slot_of(s->dirty)];
  unsigned n = hint % pool_stacks();
  s->stamp = os_now_ms();
  probe(span_put, span_start(s), s->dirty);
  stack_push(slot->stacks[n], link_of, span_index(s));
  note_push(slot, n);
}

void pool_put_chain(unsigned slot, unsigned n, uint32_t first, uint32_t last) {
  stack_push_chain(slots[slot].stacks[n], link_of, first, last);
  note_push(&slots[slot], n);
}

static span *take_from(pool_slot *slot, unsigned n) {
  uint32_t index = stack_pop(slot->stacks[n], link_of);
  if (index != 0) {
    probe(span_take, arena_span_start(index), span_at(index)->dirty);
    return span_at(index);
  }
  note_empty(slot, n);
  return NULL;
}

static span *take_slot(pool_slot *slot, unsigned own) {
  word_t summary;
  while ((summary = word_load_acquire(&slot->summary)) != 0) {
    /* the own stack, else the first to the right of it, cyclically */
    word_t right = summary >> own << own;
    unsigned n = (unsigned)__builtin_ctzll(right ? right : summary);
    span *s = take_from(slot, n);
    if (s && n != own) probe(span_steal, span_start(s), n);
    if (s) return s;
  }
  return NULL;
}

span *pool_take_dirty(uint32_t hint, size_t bytes) {
  unsigned own = hint % pool_stacks(), want = slot_of(bytes ? bytes : 1);
  span *s = take_slot(&slots[want], own);
  for (unsigned i = 1; !s && i < POOL_DIRTY_SLOTS; i++) {
    if (want + i < POOL_DIRTY_SLOTS) s = take_slot(&slots[want + i], own);
    if (!s && i <= want) s = take_slot(&slots[want - i], own);
  }
  return s;
}

span *pool_take(uint32_t hint, size_t bytes) {
  span *s = pool_take_dirty(hint, bytes);
  return s ? s : take_slot(&slots[POOL_CLEAN], hint % pool_stacks());
}

bool pool_has_dirty(void) {
  for (unsigned slot = 0; slot < POOL_DIRTY_SLOTS; slot++)
    for (word_t left = word_load_acquire(&slots[slot].summary); left != 0; left &= left - 1)
      if (stack_top(word_load_acquire(slots[slot].stacks[__builtin_ctzll(left)])) != 0) return true;
  return false;
}

uint32_t pool_take_stack(unsigned slot, unsigned n) {
  if (!(word_load_acquire(&slots[slot].summary) >> n & 1)) return 0;
  return stack_pop_all(slots[slot].stacks[n]);
}

size_t pool_count(size_t *dirty_bytes) {
  size_t count = 0, most = arena_high_water();
  *dirty_bytes = 0;
  for (unsigned slot = 0; slot < POOL_SLOTS; slot++)
    for (unsigned n = 0; n < POOL_STACKS; n++) {
      uint32_t index = stack_top(word_load_acquire(slots[slot].stacks[n]));
      for (; index != 0 && count <= most; index = half_load_relaxed(link_of(index)), count++)
        *dirty_bytes += span_at(index)->dirty;
    }
  return count;
}

void pool_reset(void) {
  for (unsigned slot = 0; slot < POOL_SLOTS; slot++)
    for (unsigned n = 0; n < POOL_STACKS; n++) stack_pop_all(slots[slot].stacks[n]);
}
