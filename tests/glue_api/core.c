/* core.c - blocks of a runtime as the functions of the core see them: find, usable_size, check, statistics, purge, the limit. */
#include "glue_api.h"

static scalloc_block found_at(const void *address) {
  scalloc_block found = {.start = NULL};
  CHECK(scalloc_find(address, &found));
  return found;
}

static void find_sees_every_block(void) {
  const size_t sizes[] = {16, 100, 3000, 50000, MB};
  for (size_t k = 0; k < LENGTH(sizes); k++) {
    world w = world_new(NULL, SCALLOC_RT_EXPLICIT_FREE, sizes[k]);
    char *blocks[30];
    for (size_t i = 0; i < LENGTH(blocks); i++) {
      blocks[i] = world_alloc(&w);
      for (size_t at = 0; at < w.size; at += w.size / 7 + 1) {
        scalloc_block found = found_at(blocks[i] + at);
        CHECK(found.start == blocks[i] && found.size == w.size && found.live);
      }
    }
    scalloc_rt_free(NULL, blocks[3]);
    CHECK(!found_at(blocks[3]).live && found_at(blocks[4]).live);
    scalloc_rt_retire(w.mutator);
    cycle_keeping(w.heap, (void **)&blocks[4], 1);
    CHECK(!found_at(blocks[5]).live || k == LENGTH(sizes) - 1);
    CHECK(found_at(blocks[4]).live);
    scalloc_block none;
    world_end(&w);
    for (size_t i = 0; i < LENGTH(blocks); i++) CHECK(!scalloc_find(blocks[i], &none) || !none.live);
  }
  check_ends();
}

static void find_sees_large_blocks(void) {
  world w = world_new(NULL, SCALLOC_RT_EXPLICIT_FREE, 16);
  const size_t sizes[] = {100, 2 * MB, 5 * MB + 1, 40 * MB};
  for (size_t k = 0; k < LENGTH(sizes); k++) {
    char *block = scalloc_rt_alloc_large(w.mutator, 0, sizes[k]);
    for (size_t at = 0; at < sizes[k]; at += sizes[k] / 99 + 1) {
      scalloc_block found = found_at(block + at);
      CHECK(found.start == block && found.size >= sizes[k] && found.live);
    }
    scalloc_block none;
    scalloc_rt_free(w.mutator, block);
    CHECK(!scalloc_find(block, &none) || !none.live);
  }
  world_end(&w);
  check_ends();
}

/* They are not blocks of malloc; scalloc_rt_block tells their size. */
static void usable_size_of_malloc_knows_them_not(void) {
  world w = world_new(NULL, 0, 16);
  for (size_t size = 1; size <= MB; size = size * 3 / 2 + 1) {
    size_t rounded, usable;
    unsigned slot = slot_for(w.heap, 0, size, &rounded);
    void *small = scalloc_rt_alloc(w.mutator, slot, rounded), *large = scalloc_rt_alloc_large(w.mutator, 0, size);
    CHECK_INT(scalloc_usable_size(small), ==, 0);
    CHECK_INT(scalloc_usable_size(large), ==, 0);
    CHECK(scalloc_rt_block(ref_of(w.heap, small), &usable) == small && usable == rounded);
    CHECK(scalloc_rt_block(ref_of(w.heap, large), &usable) == large && usable == found_at(large).size);
  }
  world_end(&w);
  check_ends();
}

/* A third is kept, the large block is not; beside them there is a span of roots. */
static void check_counts_after_a_cycle(world *w, void *const *blocks, size_t count, long long spans) {
  scalloc_rt_cycle_begin(w->heap);
  for (size_t i = 0; i < count; i += 3) mark(w->heap, blocks[i]);
  scalloc_rt_cycle_end(w->heap);
  glue_stats s = glue_now(w->heap);
  CHECK_INT(s.unswept, ==, spans + 1);
  CHECK_INT(s.reusable, ==, 1);
  CHECK_INT(s.hot + s.retired + s.deferred + s.large, ==, 0);
  CHECK_INT(s.cycles, ==, 1);
  CHECK_INT(stats_now().live, ==, s.live);
  sweep_all(w->heap);
  s = glue_now(w->heap);
  CHECK_INT(s.reusable, ==, spans + 1);
  CHECK_INT(s.hot + s.retired + s.unswept + s.deferred + s.large, ==, 0);
  CHECK_INT(s.swept, ==, spans + 1);
  CHECK_INT(s.released, ==, 1);
  CHECK_INT(stats_now().reusable, ==, s.reusable);
}

/* How many spans of a slot so many blocks take: the first ones are smaller. */
static size_t spans_for(size_t blocks, size_t per_span) {
  size_t spans = 0;
  for (size_t room = 0; room < blocks; spans++) room += spans < 2 ? per_span / 4 : spans < 4 ? per_span / 2 : per_span;
  return spans;
}

/* The counts of spans by state are those of a heap in every stage of its life, and those of the core agree. */
static void spans_are_counted_by_state(void) {
  stats before = stats_now();
  world w = world_new(NULL, 0, 1000);
  size_t size;
  unsigned rooted = slot_for(w.heap, kind_with(w.heap, SCALLOC_RT_UNCOLLECTABLE), 1000, &size);
  void *root = scalloc_rt_alloc(w.mutator, rooted, size), *blocks[2000];
  for (size_t i = 0; i < LENGTH(blocks); i++) blocks[i] = world_alloc(&w);
  CHECK(scalloc_rt_alloc_large(w.mutator, 0, 3 * MB) != NULL);
  glue_stats s = glue_now(w.heap);
  size_t spans = spans_for(LENGTH(blocks), 256 * KB / w.size);
  CHECK_INT(s.hot, ==, 2);
  CHECK_INT(s.retired, ==, spans - 1);
  CHECK_INT(s.large, ==, 1);
  CHECK_INT(s.reusable + s.unswept + s.deferred, ==, 0);
  CHECK_INT(s.live, ==, (long long)(LENGTH(blocks) * w.size + size + 3 * MB));
  stats core = stats_now();
  CHECK_INT(core.hot - before.hot, ==, 2);
  CHECK_INT(core.large - before.large, ==, 2); /* spans of the run */
  CHECK_INT(core.floating - before.floating, ==, spans - 1);
  CHECK_INT(core.live - before.live, ==, s.live);
  check_span_sum(core);
  scalloc_rt_detach(w.mutator);
  check_counts_after_a_cycle(&w, blocks, LENGTH(blocks), (long long)spans);
  scalloc_rt_free(NULL, root);
  CHECK_INT(glue_now(w.heap).reusable, ==, spans);
  world_end(&w);
  check_ends();
}

/* As snprintf: cut at any size, and the length is always the same. */
static void json_in_any_buffer(void) {
  scalloc_rt_heap *heap = scalloc_rt_heap_create(NULL);
  char whole[8000], cut[8000];
  scalloc_rt_kind_new(heap, &(scalloc_rt_kind_conf){.size = sizeof(scalloc_rt_kind_conf), .name = "a \"quoted\\ \n name"});
  scalloc_rt_kind_new(heap, NULL);
  size_t length = scalloc_rt_stats_json(heap, whole, sizeof whole);
  CHECK(length == strlen(whole) && whole[0] == '{' && whole[length - 1] == '}');
  CHECK(!strchr(whole, '\n') && !strstr(whole, "a \"q"));
  CHECK_INT(scalloc_rt_stats_json(heap, NULL, 0), ==, length);
  for (size_t size = 1; size < length + 10; size++) {
    memset(cut, 'x', sizeof cut);
    CHECK_INT(scalloc_rt_stats_json(heap, cut, size), ==, length);
    CHECK_INT(strlen(cut), ==, size > length ? length : size - 1);
    CHECK(memcmp(cut, whole, strlen(cut)) == 0 && cut[size] == 'x');
  }
  scalloc_rt_heap_destroy(heap);
}

/* Blocks of malloc and of runtimes come from the same spans, in turn, and stay apart. */
static void spans_change_sides(void) {
  for (int round = 0; round < 10; round++) {
    world w = world_new(NULL, SCALLOC_RT_ZERO, 2000);
    scalloc_heap *heap = scalloc_heap_new();
    unsigned char *mine[2000], *theirs[2000];
    for (size_t i = 0; i < LENGTH(mine); i++) {
      CHECK(mine[i] = world_alloc(&w));
      CHECK(all_bytes(mine[i], w.size, 0));
      CHECK(theirs[i] = i % 2 ? scalloc_malloc(2000) : scalloc_heap_malloc(heap, 2000));
      fill(mine[i], w.size), fill(theirs[i], 2000);
      if (i % 400 == 0) fill(scalloc_rt_alloc_large(w.mutator, 0, 4 * MB), 4 * MB);
    }
    check_heap();
    for (size_t i = 0; i < LENGTH(mine); i++) CHECK(intact(mine[i], w.size) && intact(theirs[i], 2000));
    for (size_t i = 1; i < LENGTH(mine); i += 2) scalloc_free(theirs[i]);
    scalloc_heap_destroy(heap);
    world_end(&w);
    if (round % 3 == 0) scalloc_purge();
  }
  check_ends();
}

static void use_malloc(unsigned number, void *unused) {
  void *blocks[200];
  (void)unused;
  for (size_t i = 0; i < LENGTH(blocks); i++) CHECK(blocks[i] = scalloc_malloc(i * 50 + number));
  for (size_t i = 0; i < LENGTH(blocks); i++) fill(blocks[i], i * 50 + number);
  for (size_t i = 0; i < LENGTH(blocks); i++) {
    CHECK(intact(blocks[i], i * 50 + number));
    scalloc_free(blocks[i]);
  }
}

/* Heaps of threads and of programs come and go between those of runtimes: none is taken for another. */
static void heaps_of_both_kinds_in_turn(void) {
  enum { HEAPS = 12 };
  for (int round = 0; round < 5; round++) {
    world worlds[HEAPS];
    scalloc_heap *heaps[HEAPS];
    for (size_t i = 0; i < HEAPS; i++) {
      worlds[i] = world_new(NULL, 0, 100 + i);
      CHECK(heaps[i] = scalloc_heap_new());
      for (int k = 0; k < 500; k++) CHECK(scalloc_heap_malloc(heaps[i], 300) && world_alloc(&worlds[i]));
      in_threads(2, use_malloc, NULL);
      check_heap();
    }
    for (size_t i = 0; i < HEAPS; i++) {
      for (int k = 0; k < 500; k++) CHECK(scalloc_heap_malloc(heaps[i], 300) && world_alloc(&worlds[i]));
      scalloc_heap_destroy(heaps[i]);
      world_end(&worlds[i]);
      check_heap();
    }
  }
  check_ends();
}

/* What the process may use counts what runtimes use. */
static void at_the_limit_of_the_process(void) {
  CHECK(scalloc_option_set("SCALLOC_LIMIT_BYTES", 20 * (long)MB));
  world w = world_new(NULL, 0, 4000);
  for (int round = 0; round < 5; round++) {
    size_t got = 0;
    while (scalloc_rt_alloc(w.mutator, w.slot, w.size)) got++;
    CHECK_INT(errno, ==, ENOMEM);
    CHECK_INT(got * w.size, >=, 16 * MB);
    CHECK_INT(got * w.size, <=, 20 * MB);
    CHECK(scalloc_malloc(2 * MB) == NULL && scalloc_rt_alloc_large(w.mutator, 0, 2 * MB) == NULL);
    scalloc_rt_retire(w.mutator);
    cycle(w.heap);
    sweep_all(w.heap);
    void *block = scalloc_malloc(15 * MB);
    CHECK(block != NULL);
    scalloc_free(block);
  }
  world_end(&w);
  check_ends();
}

PARTS_MAIN(PART(find_sees_every_block), PART(find_sees_large_blocks), PART(usable_size_of_malloc_knows_them_not),
           PART(spans_are_counted_by_state), PART(json_in_any_buffer), PART(spans_change_sides),
           PART(heaps_of_both_kinds_in_turn), PART(at_the_limit_of_the_process))
