/* blocks.c - blocks against the public header: what is handed out, what an address is, what is visited, what marks say. */
#include "glue_api.h"

/* ---- what is handed out ------------------------------------------------------------------------------------------------- */

/* Blocks of every size and alignment: aligned, apart from each other, zero if the kind says so, and all of it there. */
static void sizes_and_alignments(void) {
  for (size_t align = 1; align <= 4096; align *= 2) {
    static extent extents[4000];
    size_t count = 0;
    scalloc_rt_kind_conf conf = {.size = sizeof conf, .align = align, .flags = SCALLOC_RT_ZERO};
    scalloc_rt_heap *heap = scalloc_rt_heap_create(NULL);
    int kind = scalloc_rt_kind_new(heap, &conf);
    scalloc_rt_mutator *m = scalloc_rt_attach(heap, NULL);
    for (size_t size = 1; size <= MB; size = size * 5 / 4 + 1) {
      size_t rounded;
      unsigned slot = slot_for(heap, kind, size, &rounded);
      for (size_t i = 0; i < (rounded > 100000 ? 5 : 60); i++) {
        char *block = scalloc_rt_alloc(m, slot, rounded);
        CHECK(block && (uintptr_t)block % align == 0 && all_bytes(block, rounded, 0));
        fill(block, rounded);
        CHECK(count < LENGTH(extents));
        extents[count++] = (extent){(uintptr_t)block, (uintptr_t)block + rounded};
      }
    }
    qsort(extents, count, sizeof extents[0], extent_order);
    for (size_t i = 0; i < count; i++) {
      CHECK(intact((void *)extents[i].start, extents[i].end - extents[i].start));
      CHECK(i == 0 || extents[i - 1].end <= extents[i].start);
    }
    check_heap();
    scalloc_rt_heap_destroy(heap);
  }
  check_ends();
}

/* What was used, died and is handed out again is zero again. */
static void zero_again(void) {
  world w = world_new(NULL, SCALLOC_RT_ZERO, 300);
  for (int round = 0; round < 20; round++) {
    void *keep[50];
    for (int i = 0; i < 3000; i++) {
      void *block = world_alloc(&w);
      CHECK(all_bytes(block, w.size, 0));
      memset(block, 0xdb, w.size);
      keep[i % 50] = block;
    }
    void *large = scalloc_rt_alloc_large(w.mutator, 0, 3 * MB + 5);
    CHECK(large && all_bytes(large, 3 * MB + 5, 0));
    memset(large, 0xdb, 3 * MB + 5);
    if (round % 2) scalloc_rt_retire(w.mutator);
    cycle_keeping(w.heap, keep, round % 3 ? LENGTH(keep) : 0);
  }
  world_end(&w);
  check_ends();
}

static void many_at_once(void) {
  world w = world_new(NULL, 0, 1000);
  static void *blocks[5000];
  size_t batches[] = {0, 1, 2, 7, 8, 9, 500, 3000};
  for (size_t k = 0, from = 0; k < LENGTH(batches); from += batches[k++]) {
    CHECK_INT(scalloc_rt_alloc_many(w.mutator, w.slot, blocks + from, batches[k]), ==, batches[k]);
    for (size_t i = from; i < from + batches[k]; i++) fill(blocks[i], w.size);
  }
  for (size_t i = 0; i < 3527; i++) CHECK(intact(blocks[i], w.size));
  CHECK_INT(glue_now(w.heap).live, ==, (long long)(3527 * w.size));
  world_end(&w);
  scalloc_rt_heap_conf conf = {.size = sizeof conf, .limit = 1 * MB};
  w = world_new(&conf, 0, 1000);
  size_t got = scalloc_rt_alloc_many(w.mutator, w.slot, blocks, 5000);
  CHECK(got > 500 && got * w.size <= MB);
  world_end(&w);
  check_ends();
}

/* From 1 byte to 100 MB: page-aligned, usable, found by every address inside, and by none outside. */
static void large_blocks(void) {
  scalloc_rt_heap *heap = scalloc_rt_heap_create(NULL);
  int kind = kind_with(heap, SCALLOC_RT_EXPLICIT_FREE), other = kind_with(heap, 0);
  scalloc_rt_mutator *m = scalloc_rt_attach(heap, NULL);
  const size_t sizes[] = {0,      1,          4095,       4096,       4097,        100000, MB,          MB + 1,
                          2 * MB, 2 * MB - 1, 2 * MB + 1, 4 * MB - 1, 4 * MB + 77, 9 * MB, 33 * MB + 3, 100 * MB};
  for (size_t i = 0; i < LENGTH(sizes); i++) {
    scalloc_rt_ref ref, inside;
    size_t usable;
    char *block = scalloc_rt_alloc_large(m, i % 2 ? kind : other, sizes[i]);
    CHECK(block && (uintptr_t)block % 4096 == 0 && scalloc_rt_resolve(heap, block, false, &ref));
    CHECK(scalloc_rt_block(ref, &usable) == block && usable >= sizes[i] && usable < sizes[i] + 8192);
    CHECK_INT(scalloc_rt_kind(ref), ==, i % 2 ? kind : other);
    memset(block, 1, usable);
    for (size_t at = 1; at < usable; at += at < 4096 || at + 4096 > usable ? 1 : usable / 999 + 1) {
      CHECK(!scalloc_rt_resolve(heap, block + at, false, &inside));
      CHECK(scalloc_rt_resolve(heap, block + at, true, &inside) && inside.span == ref.span && inside.block == 0);
    }
    CHECK(!scalloc_rt_resolve(heap, block - 1, true, &inside) || inside.span != ref.span);
    CHECK(!scalloc_rt_resolve(heap, block + usable, true, &inside) || inside.span != ref.span);
    for (size_t at = usable; at < ((usable + 2 * MB - 1) & ~(2 * MB - 1)); at += 4096) /* the tail of the run */
      CHECK(!scalloc_rt_resolve(heap, block + at, true, &inside));
    if (i % 2) scalloc_rt_free(i % 4 == 1 ? m : NULL, block);
    CHECK(is_live(heap, block) == (i % 2 == 0));
    check_heap();
  }
  scalloc_rt_detach(m);
  cycle(heap);
  sweep_all(heap);
  CHECK_INT(glue_now(heap).committed, ==, 0);
  scalloc_rt_heap_destroy(heap);
  check_ends();
}

/* ---- what an address is --------------------------------------------------------------------------------------------------- */

static void first_and_last_byte(void) {
  const size_t sizes[] = {16, 48, 100, 1000, 5000, 40000, 700000, MB};
  for (size_t k = 0; k < LENGTH(sizes); k++) {
    world w = world_new(NULL, 0, sizes[k]);
    char *blocks[40];
    for (size_t i = 0; i < LENGTH(blocks); i++) blocks[i] = world_alloc(&w);
    for (size_t i = 0; i < LENGTH(blocks); i++) {
      scalloc_rt_ref ref = ref_of(w.heap, blocks[i]), at;
      for (size_t off = 0; off < w.size; off = off + 1 == w.size || w.size < 200 ? off + 1 : off < 16 ? off + 1 : w.size - 1) {
        CHECK(scalloc_rt_resolve(w.heap, blocks[i] + off, true, &at) && at.span == ref.span && at.block == ref.block);
        CHECK(scalloc_rt_resolve(w.heap, blocks[i] + off, false, &at) == (off == 0));
      }
      bool next = scalloc_rt_resolve(w.heap, blocks[i] + w.size, true, &at);
      CHECK(!next || at.span != ref.span || at.block == ref.block + 1);
    }
    char *end = blocks[LENGTH(blocks) - 1] + w.size; /* not handed out yet */
    scalloc_rt_hole hole = w.mutator->hole[w.slot];
    if (hole.cur < hole.lim) CHECK((uintptr_t)end == hole.cur && !is_live(w.heap, end));
    world_end(&w);
  }
  check_ends();
}

static int on_static;

static void addresses_of_others(void) {
  world w = world_new(NULL, 0, 64), beside = world_new(NULL, 0, 64);
  scalloc_rt_ref ref = {77, 78};
  int on_stack = 0;
  void *const others[] = {NULL,
                          &on_stack,
                          &on_static,
                          malloc(100),
                          scalloc_malloc(100),
                          scalloc_malloc(5 * MB),
                          world_alloc(&beside),
                          scalloc_rt_alloc_large(beside.mutator, 0, 5 * MB),
                          w.heap,
                          w.mutator,
                          (void *)1,
                          (void *)0x7fffffffffff,
                          (void *)0x800000000000,
                          (void *)0xdeadbeefdeadbeef,
                          (void *)0xffff800000000000,
                          (void *)UINTPTR_MAX,
                          (void *)(uintptr_t)&addresses_of_others};
  world_alloc(&w);
  for (size_t i = 0; i < LENGTH(others); i++)
    for (int interior = 0; interior < 2; interior++) CHECK(!scalloc_rt_resolve(w.heap, others[i], interior, &ref));
  CHECK(ref.span == 77 && ref.block == 78);
  rng random = {5};
  for (int i = 0; i < 1000000; i++) {
    uintptr_t word = rng_next(&random) >> rng_below(&random, 60);
    if (i % 3 == 0) word = (uintptr_t)w.mutator->hole[w.slot].cur + (word & (64 * MB - 1)) - 32 * MB;
    if (scalloc_rt_resolve(w.heap, (void *)word, true, &ref)) CHECK(is_live(w.heap, scalloc_rt_block(ref, NULL)));
  }
  free(others[3]);
  scalloc_free(others[4]);
  scalloc_free(others[5]);
  world_end(&w);
  world_end(&beside);
  check_ends();
}

/* Of blocks that nobody has: never handed out, freed by hand, dead, in a span given back. */
static void addresses_of_nobody(void) {
  world w = world_new(NULL, SCALLOC_RT_EXPLICIT_FREE, 512);
  char *block = world_alloc(&w), *second = world_alloc(&w);
  scalloc_rt_ref ref;
  for (size_t at = 2 * w.size; at < 256 * KB; at += 8) CHECK(!scalloc_rt_resolve(w.heap, block + at, true, &ref));
  scalloc_rt_free(NULL, second);
  CHECK(!scalloc_rt_resolve(w.heap, second, false, &ref) && !scalloc_rt_resolve(w.heap, second + 100, true, &ref));
  scalloc_rt_retire(w.mutator);
  cycle(w.heap);
  CHECK(!is_live(w.heap, block));
  sweep_all(w.heap);
  CHECK(!is_live(w.heap, block));
  world_end(&w);
  check_ends();
}

/* ---- visits and marks ------------------------------------------------------------------------------------------------------- */

typedef struct visits {
  scalloc_rt_heap *heap;
  unsigned which;
  size_t spans, blocks, stop_at;
} visits;

static int visit_block(void *ud, scalloc_rt_ref ref, void *block, size_t size) {
  visits *v = ud;
  size_t usable;
  CHECK(scalloc_rt_block(ref, &usable) == block && usable == size && is_live(v->heap, block));
  if (v->which != SCALLOC_RT_ALLOCATED) CHECK(scalloc_rt_is_marked(ref) == (v->which == SCALLOC_RT_MARKED));
  return ++v->blocks == v->stop_at ? 42 : 0;
}
static int visit_span(void *ud, scalloc_rt_span span, const scalloc_rt_span_info *info) {
  visits *v = ud;
  v->spans++;
  CHECK(info->blocks > 0 && info->start && info->large == (info->blocks == 1 && info->block_size > MB));
  return scalloc_rt_each_block(span, v->which, visit_block, v);
}
static visits visit_all(scalloc_rt_heap *heap, unsigned states, unsigned which, size_t stop_at) {
  visits v = {.heap = heap, .which = which, .stop_at = stop_at};
  CHECK_INT(scalloc_rt_each_span(heap, states, visit_span, &v), ==, stop_at && v.blocks == stop_at ? 42 : 0);
  return v;
}

static void every_block_is_visited(void) {
  world w = world_new(NULL, 0, 200);
  void *blocks[5000];
  for (size_t i = 0; i < LENGTH(blocks); i++)
    blocks[i] = i % 1000 == 0 ? scalloc_rt_alloc_large(w.mutator, 0, 2 * MB) : world_alloc(&w);
  CHECK_INT(visit_all(w.heap, SCALLOC_RT_ANY, SCALLOC_RT_ALLOCATED, 0).blocks, ==, LENGTH(blocks));
  CHECK_INT(visit_all(w.heap, SCALLOC_RT_ANY, SCALLOC_RT_ALLOCATED, 77).blocks, ==, 77);
  CHECK_INT(visit_all(w.heap, SCALLOC_RT_LARGE, SCALLOC_RT_ALLOCATED, 0).blocks, ==, 5);
  CHECK_INT(visit_all(w.heap, SCALLOC_RT_HOT, SCALLOC_RT_ALLOCATED, 0).spans, ==, 1);
  scalloc_rt_retire(w.mutator);
  CHECK_INT(visit_all(w.heap, SCALLOC_RT_HOT, SCALLOC_RT_ALLOCATED, 0).spans, ==, 0);
  scalloc_rt_cycle_begin(w.heap);
  for (size_t i = 0; i < LENGTH(blocks); i += 5) mark(w.heap, blocks[i]);
  CHECK_INT(visit_all(w.heap, SCALLOC_RT_ANY, SCALLOC_RT_MARKED, 0).blocks, ==, LENGTH(blocks) / 5);
  CHECK_INT(visit_all(w.heap, SCALLOC_RT_ANY, SCALLOC_RT_UNMARKED, 0).blocks, ==, LENGTH(blocks) / 5 * 4);
  CHECK_INT(visit_all(w.heap, SCALLOC_RT_ANY, SCALLOC_RT_ALLOCATED, 0).blocks, ==, LENGTH(blocks));
  scalloc_rt_cycle_end(w.heap);
  CHECK_INT(visit_all(w.heap, SCALLOC_RT_ANY, SCALLOC_RT_ALLOCATED, 0).blocks, ==, LENGTH(blocks) / 5);
  size_t unswept = visit_all(w.heap, SCALLOC_RT_UNSWEPT, SCALLOC_RT_ALLOCATED, 0).spans;
  CHECK_INT(unswept, ==, visit_all(w.heap, SCALLOC_RT_ANY, SCALLOC_RT_ALLOCATED, 0).spans);
  CHECK_INT(scalloc_rt_sweep(w.heap, NULL, 1), ==, 1);
  CHECK_INT(visit_all(w.heap, SCALLOC_RT_UNSWEPT, SCALLOC_RT_ALLOCATED, 0).spans, ==, unswept - 1);
  CHECK_INT(scalloc_rt_sweep(w.heap, w.mutator, SIZE_MAX), ==, unswept - 1);
  CHECK_INT(scalloc_rt_sweep(w.heap, NULL, SIZE_MAX), ==, 0);
  CHECK_INT(scalloc_rt_each_block(0, SCALLOC_RT_ALLOCATED, visit_block, NULL), ==, 0);
  CHECK_INT(scalloc_rt_each_block(UINT32_MAX, SCALLOC_RT_ALLOCATED, visit_block, NULL), ==, 0);
  world_end(&w);
  check_ends();
}

/* The inline marking, by itself and beside the other: the first to mark is told so, with the cookie of the block's span. */
static void marks_inline(bool alone) {
  world w = world_new(NULL, 0, 200);
  void *blocks[30000 / 200], *large = scalloc_rt_alloc_large(w.mutator, 0, 3 * MB);
  uintptr_t cookie = 0;
  for (size_t i = 0; i < LENGTH(blocks); i++) blocks[i] = world_alloc(&w);
  *scalloc_rt_cookie(ref_of(w.heap, blocks[0]).span) = 11;
  *scalloc_rt_cookie(ref_of(w.heap, large).span) = 12;
  for (int cycle = 0; cycle < 3; cycle++) {
    scalloc_rt_cycle_begin(w.heap);
    scalloc_rt_marker marker = scalloc_rt_marker_of(w.heap, alone);
    for (size_t i = 0; i < LENGTH(blocks); i++) {
      scalloc_rt_ref ref = ref_of(w.heap, blocks[i]);
      scalloc_rt_mark_prefetch(&marker, blocks[i]);
      if (i % 3 == 0) CHECK(scalloc_rt_mark(ref));
      CHECK(scalloc_rt_mark_live(&marker, blocks[i], &cookie) == (i % 3 != 0));
      CHECK_INT(cookie, ==, *scalloc_rt_cookie(ref.span));
      CHECK(scalloc_rt_is_marked(ref) && !scalloc_rt_mark(ref) && !scalloc_rt_mark_live(&marker, blocks[i], &cookie));
    }
    CHECK(scalloc_rt_mark_live(&marker, large, &cookie) && cookie == 12);
    CHECK(!scalloc_rt_mark_live(&marker, large, &cookie) && scalloc_rt_is_marked(ref_of(w.heap, large)));
    if (cycle == 1)
      scalloc_rt_cycle_abort(w.heap);
    else
      scalloc_rt_cycle_end(w.heap);
    for (size_t i = 0; i < LENGTH(blocks); i++) CHECK(is_live(w.heap, blocks[i]));
    CHECK(is_live(w.heap, large));
  }
  world_end(&w);
  check_ends();
}

static void marks_inline_alone(void) { marks_inline(true); }
static void marks_inline_shared(void) { marks_inline(false); }

static void marks_of_a_cycle(void) {
  world w = world_new(NULL, 0, 200);
  void *blocks[300], *large = scalloc_rt_alloc_large(w.mutator, 0, 3 * MB);
  scalloc_rt_ref out;
  for (size_t i = 0; i < LENGTH(blocks); i++) blocks[i] = world_alloc(&w);
  CHECK(!scalloc_rt_is_marked(ref_of(w.heap, blocks[0])));
  scalloc_rt_cycle_begin(w.heap);
  for (size_t i = 0; i < LENGTH(blocks); i++) {
    scalloc_rt_ref ref = ref_of(w.heap, blocks[i]);
    CHECK(!scalloc_rt_is_marked(ref));
    CHECK(i % 2 ? scalloc_rt_mark(ref) : scalloc_rt_mark_block(blocks[i], &out));
    CHECK(i % 2 || (out.span == ref.span && out.block == ref.block));
    CHECK(scalloc_rt_is_marked(ref) && !scalloc_rt_mark(ref) && !scalloc_rt_mark_block(blocks[i], &out));
  }
  CHECK(scalloc_rt_mark_block(large, &out) && !scalloc_rt_mark(out) && scalloc_rt_block(out, NULL) == large);
  scalloc_rt_cycle_end(w.heap);
  for (size_t i = 0; i < LENGTH(blocks); i++) CHECK(scalloc_rt_is_marked(ref_of(w.heap, blocks[i])));
  scalloc_rt_cycle_begin(w.heap);
  for (size_t i = 0; i < LENGTH(blocks); i++) CHECK(!scalloc_rt_is_marked(ref_of(w.heap, blocks[i])));
  mark(w.heap, blocks[7]);
  scalloc_rt_cycle_abort(w.heap);
  for (size_t i = 0; i < LENGTH(blocks); i++) CHECK(is_live(w.heap, blocks[i]));
  world_end(&w);
  check_ends();
}

/* Handed out between begin and end, by mutators without holes at begin: alive, wherever the memory came from. */
static void handed_out_in_a_cycle(void) {
  world w = world_new(NULL, 0, 200);
  size_t size;
  unsigned slot = slot_for(w.heap, kind_with(w.heap, 0), 9000, &size);
  for (int round = 0; round < 10; round++) {
    enum { BLOCKS = 4000 };
    static void *blocks[BLOCKS], *old[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++) old[i] = world_alloc(&w);
    scalloc_rt_retire(w.mutator);
    if (round % 2) cycle_keeping(w.heap, old, BLOCKS / 2); /* spans to reuse */
    scalloc_rt_cycle_begin(w.heap);
    if (round % 3 == 0) mark(w.heap, old[0]);
    for (size_t i = 0; i < BLOCKS; i++) {
      blocks[i] = i % 500 == 0  ? scalloc_rt_alloc_large(w.mutator, 0, 1500000)
                  : i % 20 == 0 ? scalloc_rt_alloc(w.mutator, slot, size)
                                : world_alloc(&w);
      CHECK(scalloc_rt_is_marked(ref_of(w.heap, blocks[i])));
      fill(blocks[i], w.size);
    }
    scalloc_rt_cycle_end(w.heap);
    for (size_t i = 0; i < BLOCKS; i++) CHECK(is_live(w.heap, blocks[i]) && intact(blocks[i], w.size));
    CHECK(is_live(w.heap, old[0]) == (round % 3 == 0));
  }
  world_end(&w);
  check_ends();
}

static void a_cookie_per_span(void) {
  world w = world_new(NULL, 0, 30000);
  static scalloc_rt_span seen[SPANS_MOST];
  size_t spans = 0;
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < 400; i++) {
      scalloc_rt_ref ref = ref_of(w.heap, world_alloc(&w));
      uintptr_t *cookie = scalloc_rt_cookie(ref.span);
      if (*cookie == 0) *cookie = ++spans, seen[spans] = ref.span;
      CHECK(seen[*cookie] == ref.span);
    }
    if (round == 1) scalloc_rt_heap_destroy(w.heap), w = world_new(NULL, 0, 30000);
  }
  CHECK_INT(spans, >=, 100);
  world_end(&w);
  check_ends();
}

PARTS_MAIN(PART(sizes_and_alignments), PART(zero_again), PART(many_at_once), PART(large_blocks), PART(first_and_last_byte),
           PART(addresses_of_others), PART(addresses_of_nobody), PART(every_block_is_visited), PART(marks_of_a_cycle),
           PART(marks_inline_alone), PART(marks_inline_shared), PART(handed_out_in_a_cycle), PART(a_cookie_per_span))
