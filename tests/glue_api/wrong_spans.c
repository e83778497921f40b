/*
 * wrong_spans.c - what can go wrong with spans that change hands: 1, 2, 4, 6 and 14 of docs/runtime-tests.md.
 */
#include "glue_api.h"

#include <sys/mman.h>

/* ---- 1: a span in two hands ------------------------------------------------------------------------------------------- */

static atomic_uintptr_t holder[SPANS_MOST];

static void take(void *ud, scalloc_rt_span span, const scalloc_rt_span_info *info) {
  uintptr_t nobody = 0;
  CHECK(info->blocks > 0 && span < SPANS_MOST);
  CHECK(atomic_compare_exchange_strong(&holder[span], &nobody, (uintptr_t)ud));
}

static bool give(void *ud, scalloc_rt_span span, const scalloc_rt_span_info *info, enum scalloc_rt_why why) {
  uintptr_t me = (uintptr_t)ud;
  CHECK(info->blocks > 0 && (why == SCALLOC_RT_DEAD || why == SCALLOC_RT_DESTROY));
  CHECK(atomic_compare_exchange_strong(&holder[span], &me, 0));
  return true;
}

/* Fills spans of two sizes and a run, all of it with this thread's own pattern; then all of it dies. */
static void fill_and_die(scalloc_rt_heap *heap, const unsigned *slot, const size_t *size) {
  void *blocks[200];
  scalloc_rt_mutator *m = scalloc_rt_attach(heap, NULL);
  CHECK(m != NULL);
  for (size_t i = 0; i < LENGTH(blocks); i++) {
    size_t bytes = i % 100 == 99 ? 3 * MB : size[i % 2];
    blocks[i] = i % 100 == 99 ? scalloc_rt_alloc_large(m, 0, bytes) : scalloc_rt_alloc(m, slot[i % 2], bytes);
    CHECK(blocks[i] != NULL);
    fill(blocks[i], bytes);
  }
  for (size_t i = 0; i < LENGTH(blocks); i++) CHECK(intact(blocks[i], i % 100 == 99 ? 3 * MB : size[i % 2]));
  scalloc_rt_detach(m);
  cycle(heap);
  sweep_all(heap);
  CHECK_INT(glue_now(heap).committed, ==, 0);
}

static void take_and_give(unsigned number, void *context) {
  (void)context;
  for (long round = 0; round < scaled(40); round++) {
    static char names[THREADS_MOST];
    scalloc_rt_heap_conf conf = {
        .size = sizeof conf, .hooks = {.span_acquire = take, .span_release = give}, .ud = &names[number]};
    scalloc_rt_heap *heap = scalloc_rt_heap_create(&conf);
    CHECK(heap != NULL);
    size_t size[2];
    unsigned slot[2] = {slot_for(heap, kind_with(heap, 0), 4000, &size[0]), slot_for(heap, 0, 16384, &size[1])};
    for (int i = 0; i < 4; i++) fill_and_die(heap, slot, size);
    scalloc_rt_heap_destroy(heap);
  }
}

static void wrong_01_span_in_two_hands(void) {
  in_threads(4, take_and_give, NULL);
  for (size_t i = 0; i < SPANS_MOST; i++) CHECK(atomic_load(&holder[i]) == 0);
  check_ends();
}

/* ---- 2: the thread of a hot span dies --------------------------------------------------------------------------------- */

typedef struct victim {
  world *w;
  scalloc_rt_mutator *mutator;
  void *blocks[10];
} victim;

static void die_hot(unsigned number, void *context) {
  victim *v = context;
  (void)number;
  v->mutator = scalloc_rt_attach(v->w->heap, NULL);
  CHECK(v->mutator != NULL);
  for (size_t i = 0; i < LENGTH(v->blocks); i++) {
    CHECK(v->blocks[i] = scalloc_rt_alloc(v->mutator, v->w->slot, v->w->size));
    fill(v->blocks[i], v->w->size);
  }
}

/* Its hole and span stay its own as long as nobody detaches it; then another thread goes on where it was. */
static void wrong_02_thread_dies_hot(void) {
  world w = world_new(NULL, 0, 1000);
  victim v = {.w = &w};
  in_threads(1, die_hot, &v);
  CHECK_INT(glue_now(w.heap).hot, ==, 1);
  cycle_keeping(w.heap, v.blocks, LENGTH(v.blocks));
  sweep_all(w.heap);
  CHECK_INT(glue_now(w.heap).hot, ==, 1);
  CHECK_INT(glue_now(w.heap).live, ==, (long long)(LENGTH(v.blocks) * w.size));
  scalloc_rt_span span = ref_of(w.heap, v.blocks[0]).span;
  scalloc_rt_detach(v.mutator);
  CHECK_INT(glue_now(w.heap).hot, ==, 0);
  CHECK_INT(ref_of(w.heap, world_alloc(&w)).span, ==, span);
  for (size_t i = 0; i < LENGTH(v.blocks); i++) CHECK(intact(v.blocks[i], w.size));
  CHECK_INT(glue_now(w.heap).live, ==, (long long)((LENGTH(v.blocks) + 1) * w.size));
  check_heap();
  in_threads(1, die_hot, &v); /* and once more, ended with the heap */
  world_end(&w);
  check_ends();
}

/* ---- 4: memory taken away under somebody ------------------------------------------------------------------------------ */

/* Nobody may touch what the heap does not use. */
static int commit(void *ud, void *start, size_t bytes) {
  (void)ud;
  CHECK((uintptr_t)start % 4096 == 0 && bytes % 4096 == 0);
  return mprotect(start, bytes, PROT_READ | PROT_WRITE) == 0 ? 0 : -1;
}
static int decommit(void *ud, void *start, size_t bytes) {
  (void)ud;
  CHECK(mprotect(start, bytes, PROT_NONE) == 0);
  return 0;
}

enum { PASSED = 64 };
static atomic_uintptr_t passed[PASSED];

/* Takes a block from a place where another thread has put one, and frees it, or puts one there. */
static void pass_blocks(unsigned number, void *context) {
  world *w = context;
  rng random = {number};
  scalloc_rt_mutator *m = scalloc_rt_attach(w->heap, NULL);
  CHECK(m != NULL);
  for (long i = 0; i < scaled(60000); i++) {
    atomic_uintptr_t *place = &passed[rng_below(&random, PASSED)];
    void *old = (void *)atomic_exchange(place, 0);
    if (old) CHECK(intact(old, w->size));
    scalloc_rt_free(m, old);
    if (i % 512 == 0) scalloc_rt_retire(m);
    if (i % 2048 == 0) scalloc_purge();
    if (rng_percent(&random, 30)) continue;
    void *block = scalloc_rt_alloc(m, w->slot, w->size);
    CHECK(block != NULL);
    fill(block, w->size);
    old = (void *)atomic_exchange(place, (uintptr_t)block);
    if (old) CHECK(intact(old, w->size));
    scalloc_rt_free(NULL, old);
  }
  scalloc_rt_detach(m);
}

static void wrong_04_late_free_and_decommit(void) {
  scalloc_rt_heap_conf conf = {.size = sizeof conf, .hooks = {.commit = commit, .decommit = decommit}};
  CHECK(scalloc_option_set("SCALLOC_PURGE_DELAY_MS", 0));
  world w = world_new(&conf, SCALLOC_RT_UNCOLLECTABLE, 40000);
  in_threads(4, pass_blocks, &w);
  for (size_t i = 0; i < PASSED; i++) scalloc_rt_free(NULL, (void *)atomic_exchange(&passed[i], 0));
  glue_stats s = glue_now(w.heap);
  CHECK_INT(s.live, ==, 0);
  CHECK_INT(s.committed, ==, 0);
  CHECK_INT(s.released, >, 0);
  world_end(&w);
  check_ends();
}

/* Runs of a ZERO kind: their memory is cleared when it may be written, not before. */
static void wrong_04_zeroed_after_commit(void) {
  scalloc_rt_heap_conf conf = {.size = sizeof conf, .hooks = {.commit = commit, .decommit = decommit}};
  world w = world_new(&conf, SCALLOC_RT_UNCOLLECTABLE | SCALLOC_RT_ZERO, 40000);
  for (size_t i = 0; i < 40; i++) {
    size_t size = (1 + i % 4) * 700000;
    char *block = i % 3 ? scalloc_rt_alloc_large(w.mutator, 0, size) : world_alloc(&w);
    if (i % 3 == 0) size = w.size;
    CHECK(block && all_bytes(block, size, 0));
    memset(block, 1, size);
    scalloc_rt_free(w.mutator, block);
    scalloc_rt_retire(w.mutator);
  }
  CHECK_INT(glue_now(w.heap).committed, ==, 0);
  world_end(&w);
  check_ends();
}

/* Pointers into spans that have gone: a marker that follows them reads nothing there. */
static void wrong_04_stale_pointers_of_a_marker(void) {
  scalloc_rt_heap_conf conf = {.size = sizeof conf, .hooks = {.commit = commit, .decommit = decommit}};
  world w = world_new(&conf, 0, 2000);
  void *stale[2000];
  scalloc_rt_ref ref;
  for (size_t i = 0; i < LENGTH(stale); i++) stale[i] = world_alloc(&w);
  scalloc_rt_retire(w.mutator);
  cycle_keeping(w.heap, stale, 1);
  sweep_all(w.heap);
  CHECK_INT(glue_now(w.heap).released, >, 0);
  scalloc_rt_cycle_begin(w.heap);
  for (size_t i = 0; i < LENGTH(stale); i++)
    for (size_t off = 0; off < 2000; off += 500) {
      bool live = scalloc_rt_resolve(w.heap, (char *)stale[i] + off, true, &ref);
      CHECK(live == (i == 0));
      if (live) scalloc_rt_mark(ref);
    }
  scalloc_rt_cycle_end(w.heap);
  CHECK(is_live(w.heap, stale[0]));
  world_end(&w);
  check_ends();
}

/* ---- 6: freed by hand while a cycle runs ------------------------------------------------------------------------------ */

typedef struct by_hand {
  world w;
  void *blocks[3000];
} by_hand;

static void free_or_mark(unsigned number, void *context) {
  by_hand *b = context;
  for (size_t i = number; i < LENGTH(b->blocks); i += 3)
    if (number == 0)
      scalloc_rt_free(NULL, b->blocks[i]);
    else
      mark(b->w.heap, b->blocks[i]);
}

/* Blocks 3k are freed, the others are marked, at the same time. No free block is handed out again before a refill has seen it. */
static void wrong_06_freed_by_hand_in_a_cycle(void) {
  for (long round = 0; round < scaled(30); round++) {
    by_hand b = {.w = world_new(NULL, SCALLOC_RT_EXPLICIT_FREE, 48)};
    for (size_t i = 0; i < LENGTH(b.blocks); i++) b.blocks[i] = world_alloc(&b.w);
    scalloc_rt_retire(b.w.mutator);
    scalloc_rt_cycle_begin(b.w.heap);
    in_threads(3, free_or_mark, &b);
    for (size_t i = 0; i < LENGTH(b.blocks); i++) CHECK(is_live(b.w.heap, b.blocks[i]) == (i % 3 != 0));
    check_heap();
    void *more[500];
    for (size_t i = 0; i < LENGTH(more); i++) fill(more[i] = world_alloc(&b.w), b.w.size);
    for (size_t i = 0; i < LENGTH(b.blocks); i++)
      if (i % 3 != 0) fill(b.blocks[i], b.w.size);
    for (size_t i = 0; i < LENGTH(more); i++) CHECK(intact(more[i], b.w.size)); /* of no block that lives */
    scalloc_rt_cycle_end(b.w.heap);
    CHECK_INT(glue_now(b.w.heap).live, ==, (long long)((LENGTH(b.blocks) / 3 * 2 + LENGTH(more)) * b.w.size));
    sweep_all(b.w.heap);
    check_heap();
    world_end(&b.w);
  }
  check_ends();
}

/* The span is hot, another mutator's: what is freed in it is not for this one. */
static void wrong_06_hot_is_left_to_its_mutator(void) {
  world w = world_new(NULL, SCALLOC_RT_UNCOLLECTABLE, 256);
  scalloc_rt_mutator *other = scalloc_rt_attach(w.heap, NULL);
  void *blocks[200];
  for (size_t i = 0; i < LENGTH(blocks); i++) blocks[i] = world_alloc(&w);
  scalloc_rt_span span = ref_of(w.heap, blocks[0]).span;
  for (size_t i = 0; i < LENGTH(blocks); i++) CHECK(ref_of(w.heap, blocks[i]).span == span);
  for (size_t i = 0; i < LENGTH(blocks); i++) scalloc_rt_free(other, blocks[i]);
  for (size_t i = 0; i < 100; i++) CHECK(ref_of(w.heap, scalloc_rt_alloc(other, w.slot, w.size)).span != span);
  for (size_t i = 0; i < LENGTH(blocks); i++) CHECK(ref_of(w.heap, world_alloc(&w)).span == span);
  world_end(&w);
  check_ends();
}

/* ---- 14: idle mutators ------------------------------------------------------------------------------------------------ */

static void wrong_14_idle_mutators_pin_no_spans(void) {
  enum { IDLE = 20, SIZES = 60 };
  scalloc_rt_heap *heap = scalloc_rt_heap_create(NULL);
  int kind = kind_with(heap, SCALLOC_RT_UNCOLLECTABLE);
  unsigned slot[SIZES], slots = 0;
  size_t size[SIZES];
  scalloc_rt_mutator *idle[IDLE];
  static void *blocks[IDLE][SIZES];
  for (size_t i = 0; i < SIZES; i++) {
    slot[i] = slot_for(heap, kind, 16 + i * 24, &size[i]);
    if (slot[i] + 1 > slots) slots = slot[i] + 1;
  }
  for (size_t k = 0; k < IDLE; k++) {
    CHECK(idle[k] = scalloc_rt_attach(heap, NULL));
    for (size_t i = 0; i < SIZES; i++) CHECK(blocks[k][i] = scalloc_rt_alloc(idle[k], slot[i], size[i]));
  }
  CHECK_INT(glue_now(heap).hot, ==, (long long)(IDLE * slots));
  for (size_t k = 0; k < IDLE; k++) scalloc_rt_retire(idle[k]);
  glue_stats s = glue_now(heap);
  CHECK_INT(s.hot, ==, 0);
  CHECK_INT(s.reusable, ==, (long long)(IDLE * slots));
  for (size_t k = 0; k < IDLE; k++) /* what they hold is anybody's */
    for (size_t i = 0; i < SIZES; i++) scalloc_rt_free(idle[0], scalloc_rt_alloc(idle[0], slot[i], size[i]));
  CHECK_INT(glue_spans(glue_now(heap)), ==, glue_spans(s));
  for (size_t k = 0; k < IDLE; k++)
    for (size_t i = 0; i < SIZES; i++) scalloc_rt_free(NULL, blocks[k][i]);
  scalloc_rt_retire(idle[0]);
  CHECK_INT(glue_spans(glue_now(heap)), ==, 0);
  scalloc_rt_heap_destroy(heap);
  check_ends();
}

PARTS_MAIN(PART(wrong_01_span_in_two_hands), PART(wrong_02_thread_dies_hot), PART(wrong_04_late_free_and_decommit),
           PART(wrong_04_zeroed_after_commit), PART(wrong_04_stale_pointers_of_a_marker),
           PART(wrong_06_freed_by_hand_in_a_cycle), PART(wrong_06_hot_is_left_to_its_mutator),
           PART(wrong_14_idle_mutators_pin_no_spans))
