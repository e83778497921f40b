/* glue_world.c - see glue_world.h; and what of the glue is another in the model: regions, which only matter to signals and forks. */
#include "glue_world.h"

#include "explore_private.h"
#include "model_ops.h"
#include "mutator.h"
#include "quiet.h"
#include "world.h"

enum { MOST = 16 };
scalloc_rt_heap *glue_heap;
scalloc_rt_mutator *glue_mutator[2];
static unsigned the_slot;
static size_t rounded;
static void *blocks[MOST]; /* of the setup */
static unsigned made;
static struct { uint32_t span, block; } held[MOST]; /* ghost words; span 0 = free place */

/* ---- in place of quiet.c, and of what the compiler makes of a thread's own --------------------------------------------- */

bool quiet_init(void) { return true; }
void quiet_enter(gcmutator *m) { (void)m; }
void quiet_leave(gcmutator *m) { (void)m; }
void quiet_pressed(void) {}
void *thread_mark(void) { return blocks; }

span **glue_world_hooked(void);
span **glue_world_hooked(void) {
  static span *hooked[MODEL_THREADS + 1];
  unsigned thread = model_thread();
  return &hooked[thread < MODEL_THREADS ? thread : MODEL_THREADS];
}

/* Holes are published by the compiler's own atomics, which -fsanitize=thread makes calls of. */
uint64_t __tsan_atomic64_load(const volatile void *p, int order);
uint64_t __tsan_atomic64_load(const volatile void *p, int order) { return (void)order, model_load(p, 8); }
void __tsan_atomic64_store(volatile void *p, uint64_t value, int order);
void __tsan_atomic64_store(volatile void *p, uint64_t value, int order) { (void)order, model_store(p, 8, value); }
void __tsan_atomic_signal_fence(int order);
void __tsan_atomic_signal_fence(int order) { (void)order; }

static bool is_slot_lock(const volatile void *address) {
  uintptr_t at = (uintptr_t)address - (uintptr_t)glue_heap;
  if (glue_heap == NULL || at >= sizeof *glue_heap) return false;
  if (at == offsetof(gcheap, lock)) return true;
  return at >= offsetof(gcheap, slot) && (at - offsetof(gcheap, slot)) % sizeof(gcslot) == offsetof(gcslot, lock);
}

/* ---- setup ----------------------------------------------------------------------------------------------------------- */

void glue_world_begin(unsigned flags, unsigned n) {
  scalloc_rt_kind_conf kind = {.size = sizeof kind, .flags = flags};
  world_begin();
  if (!(glue_heap = scalloc_rt_heap_create(NULL)) || scalloc_rt_kind_new(glue_heap, &kind) != 0) model_fail("no heap");
  model_other_lock = is_slot_lock;
  the_slot = scalloc_rt_slot(glue_heap, 0, n == 2 ? 1 << 20 : n == 3 ? 640 << 10 : 32 << 10, &rounded);
  for (unsigned i = 0; i < 2; i++)
    if (!(glue_mutator[i] = scalloc_rt_attach(glue_heap, NULL))) model_fail("no mutator");
}

static uint32_t number_in(const span *s, const void *block) {
  return (uint32_t)((size_t)((const char *)block - block_at(s, 0)) / s->block);
}

static span *span_at_block(const void *block) { return span_at((uint32_t)(((uintptr_t)block - arena.base) >> SPAN_SHIFT)); }

static void hold(const void *block) {
  span *s = span_at_block(block);
  uint32_t index = span_index(s), number = number_in(s, block), place = MOST;
  for (uint32_t i = 0; i < MOST; i++) {
    if (held[i].span == index && held[i].block == number) model_fail("block %u of span %u is handed out twice", number, index);
    if (held[i].span == 0) place = i;
  }
  if (place == MOST) model_fail("too many blocks");
  model_ghost(&held[place].block, number);
  model_ghost(&held[place].span, index);
}

static void give_up(const void *block) {
  span *s = span_at_block(block);
  for (uint32_t i = 0; i < MOST; i++)
    if (held[i].span == span_index(s) && held[i].block == number_in(s, block)) {
      model_ghost(&held[i].span, 0);
      return;
    }
  model_fail("the scenario gives up what nobody holds");
}

void glue_world_blocks(unsigned n) {
  for (unsigned i = 0; i < n; i++) {
    blocks[made] = scalloc_rt_alloc(glue_mutator[0], the_slot, rounded);
    if (!blocks[made]) model_fail("no block");
    hold(blocks[made++]);
  }
}

void *glue_block(unsigned n) { return blocks[n]; }
span *glue_span(unsigned n) { return span_at_block(blocks[n]); }
scalloc_rt_ref glue_ref(unsigned n) { return (scalloc_rt_ref){span_index(glue_span(n)), number_in(glue_span(n), blocks[n])}; }

/* ---- acts ------------------------------------------------------------------------------------------------------------ */

void glue_free(unsigned n) {
  give_up(blocks[n]);
  scalloc_rt_free(NULL, blocks[n]);
  model_forget(0);
}

void glue_allocate(unsigned mutator) {
  void *block;
  if (scalloc_rt_alloc_many(glue_mutator[mutator], the_slot, &block, 1) != 1) model_fail("no memory");
  hold(block);
  model_forget((uintptr_t)block);
}

void glue_forget(unsigned n) { give_up(blocks[n]); }

/* ---- afterwards ------------------------------------------------------------------------------------------------------ */

static unsigned seen[64], live_seen; /* spans that each_span has shown; checked without stops */

static bool is_held_block(scalloc_rt_ref ref) {
  for (uint32_t i = 0; i < MOST; i++)
    if (held[i].span == ref.span && held[i].block == ref.block) return true;
  return false;
}

static int see_block(void *ud, scalloc_rt_ref ref, void *block, size_t size) {
  (void)ud, (void)block, (void)size;
  if (!is_held_block(ref)) model_fail("block %u of span %u is allocated, and nobody holds it", ref.block, ref.span);
  live_seen++;
  return 0;
}

static int see_span(void *ud, scalloc_rt_span number, const scalloc_rt_span_info *info) {
  (void)ud, (void)info;
  const span *s = span_at(number);
  word_t w = word_load_acquire(&s->word);
  unsigned before = live_seen;
  if (seen[number]++ != 0) model_fail("span %u is in two places", number);
  scalloc_rt_each_block(number, SCALLOC_RT_ALLOCATED, see_block, NULL);
  unsigned live = live_seen - before;
  bool listed = stage_of(w) == GC_RETIRED || stage_of(w) == GC_REUSABLE;
  if (!listed || is_collectable(s)) return 0;
  if (live_of(s, w) != (int32_t)live) model_fail("span %u says %d live blocks, it has %u", number, (int)live_of(s, w), live);
  if (live == 0) model_fail("span %u is empty, and was not released", number);
  if (stage_of(w) == GC_RETIRED && const_record_of(s)->blocks - live > const_record_of(s)->blocks / 4)
    model_fail("span %u has room, and is not reusable", number);
  return 0;
}

void glue_world_check(void) {
  char why[256] = "";
  unsigned all = 0;
  for (unsigned i = 0; i < 64; i++) seen[i] = 0;
  live_seen = 0;
  scalloc_rt_each_span(glue_heap, SCALLOC_RT_ANY, see_span, NULL);
  for (uint32_t i = 0; i < MOST; i++) all += held[i].span != 0;
  if (live_seen != all) model_fail("%u blocks are held, %u allocated", all, live_seen);
  for (uint32_t i = 1; i < arena_high_water(); i++)
    if (span_state_now(span_at(i)) == SPAN_LENT && seen[i] == 0) model_fail("span %u is lost", i);
  if (!scalloc_check(why, sizeof why)) model_fail("%s", why);
}
