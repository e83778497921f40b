/*
 * test_nursery.c - young heaps: blocks of all classes in a few cells, told by their sizes, until a class has spans of its own.
 */
#include "unit.h"

#include <stdatomic.h>

#include "large.h"
#include "nursery.h"
#include "pool.h"
#include "thread.h"
#include "walk.h"

static heap *y;

static void begin(void) {
  CHECK(scalloc_option_set("SCALLOC_PURGE_DELAY_MS", -1));
  unit_arena((size_t)4 << 30);
  CHECK((y = heap_create_young()) != NULL);
}

static bool in_cell(const void *block) { return span_is_nursery(span_of(block)); }

static void *take(heap *h, size_t size) {
  void *block = heap_allocate_class(h, class_of(size));
  CHECK(block != NULL);
  CHECK_INT((uintptr_t)block % (class_size(class_of(size)) % 16 ? 8 : 16), ==, 0);
  return block;
}

static void give(heap *h, void *block, size_t size) {
  if (in_cell(block))
    nursery_free(h, block, size);
  else
    heap_free_any(h, block);
}

/* ---- a heap in a cell --------------------------------------------------------------------------------------------------- */

static void a_young_heap_is_one_cell(void) {
  begin();
  CHECK(heap_is_young(y) && (uintptr_t)y % CELL_BYTES == 0);
  CHECK_INT(y->kind, ==, HEAP_EXCLUSIVE);
  CHECK_INT(arena_high_water(), ==, 2);
  CHECK_INT(heap_count(), ==, 0); /* no structure is made for it elsewhere */
  for (size_t size = 1; size <= 100; size++) CHECK(cell_of(take(y, size)) == (char *)y);
  CHECK_INT(arena_high_water(), ==, 2);
  check_heap();
  heap_end(y);
  CHECK_INT(stats_now().hot, ==, 0);
  CHECK_INT(stats_now().pooled, ==, 1);
  check_heap();
}

static void heaps_share_a_span(void) {
  heap *heaps[CELLS + 1];
  begin();
  heaps[0] = y;
  for (unsigned i = 1; i <= CELLS; i++) heaps[i] = heap_create_young();
  CHECK(span_of(heaps[CELLS - 1]) == span_of(y));
  CHECK(span_of(heaps[CELLS]) != span_of(y));
  CHECK_INT(stats_now().hot, ==, 2);
  check_heap();
  for (unsigned i = 0; i <= CELLS; i++) heap_end(heaps[i]);
  CHECK_INT(stats_now().hot, ==, 0);
  check_heap();
}

/* Blocks of a random life: none overlaps another, each keeps what was written, all is accounted for. */
enum { LIVES = 400 };
typedef struct {
  unsigned char *at;
  size_t size;
} life;

static void live_a_random_life(heap *h, unsigned seed, size_t largest, int rounds) {
  static _Thread_local life lives[LIVES];
  rng random = {seed};
  memset(lives, 0, sizeof lives);
  for (int round = 0; round < rounds; round++) {
    life *l = &lives[rng_below(&random, LIVES)];
    if (l->at != NULL) {
      CHECK(all_bytes(l->at, l->size, (unsigned char)l->size));
      give(h, l->at, l->size);
      l->at = NULL;
      continue;
    }
    l->size = 1 + rng_below(&random, rng_percent(&random, 80) ? 100 : largest);
    l->at = take(h, l->size);
    memset(l->at, (int)(unsigned char)l->size, l->size);
  }
  for (size_t i = 0; i < LIVES; i++)
    if (lives[i].at != NULL) CHECK(all_bytes(lives[i].at, lives[i].size, (unsigned char)lives[i].size));
}

static void blocks_do_not_overlap(void) {
  begin();
  for (unsigned seed = 1; seed <= 5; seed++) {
    live_a_random_life(y, seed, 300, 5000);
    check_heap();
    live_a_random_life(y, seed, 6000, 5000);
    check_heap();
    heap_end(y);
    y = heap_create_young();
  }
}

/* ---- memory ------------------------------------------------------------------------------------------------------------- */

static void what_a_growing_table_left_is_cut_up(void) {
  begin();
  void *tables[] = {take(y, 192), take(y, 384), take(y, 768), take(y, 1536)};
  for (unsigned i = 0; i < 4; i++) give(y, tables[i], (size_t)192 << i);
  const char *fresh = nursery_of(y)->fresh.at;
  for (unsigned i = 0; i < (192 + 384 + 768 + 1536) / 32 - 4; i++) take(y, 32);
  CHECK(nursery_of(y)->fresh.at == fresh); /* not a byte of new memory */
  take(y, 48);
  check_heap();
}

static void a_second_cell_follows_the_first(void) {
  begin();
  unsigned blocks = 0;
  for (; nursery_of(y)->cells == 1; blocks++) take(y, 8 + 8 * (size_t)(blocks % 100));
  CHECK_INT(blocks, >, 30);
  CHECK(nursery_of(y)->more != NULL && nursery_owns(y, nursery_of(y)->more));
  CHECK_INT(cells_in(span_of(y)->cells), ==, 2);
  CHECK_INT(nursery_committed(y), <=, 2 * CELL_BYTES);
  check_heap();
  heap_end(y);
  CHECK_INT(stats_now().hot, ==, 0);
  check_heap();
}

static void a_class_with_many_blocks_opens_spans(void) {
  static void *blocks[4 * NURSERY_CLASS_BYTES / 40];
  begin();
  for (size_t i = 0; i < LENGTH(blocks); i++) blocks[i] = take(y, 40);
  CHECK(in_cell(blocks[0]) && !in_cell(blocks[LENGTH(blocks) - 1]));
  size_t there = nursery_used(y, class_of(40));
  CHECK_INT(there * 40, >=, NURSERY_CLASS_BYTES);
  CHECK_INT(there * 40, <, NURSERY_CLASS_BYTES + CELL_BYTES / 8);
  CHECK(in_cell(take(y, 48))); /* others stay */
  check_heap();
  for (size_t i = 0; i < LENGTH(blocks); i++) give(y, blocks[i], 40);
  CHECK_INT(nursery_used(y, class_of(40)), ==, 0);
  check_heap();
  /* When its span has run out the blocks here are used again. */
  bool back = false;
  for (size_t i = 0; i < 2 * LENGTH(blocks); i++) back |= in_cell(take(y, 40));
  CHECK(back);
  check_heap();
}

static void large_blocks_and_those_of_large_classes_have_their_spans(void) {
  bool zeroed;
  begin();
  CHECK(in_cell(take(y, NURSERY_MAX)) && !in_cell(take(y, NURSERY_MAX + 1)));
  void *large = heap_allocate_large(y, 3 * MB, 1, false, &zeroed);
  CHECK(large != NULL);
  CHECK_INT(stats_now().large, ==, 2);
  check_heap();
  heap_end(y);
  CHECK_INT(stats_now().large + stats_now().hot, ==, 0);
  check_heap();
}

/* An emptied heap is as new, in the cell it was born in. */
static void an_emptied_heap_has_one_cell(void) {
  bool zeroed;
  begin();
  live_a_random_life(y, 1, 4000, 3000);
  CHECK(heap_allocate_large(y, 3 * MB, 1, false, &zeroed) != NULL);
  memcpy(y->client, "kept", 5);
  heap_empty(y);
  check_heap();
  CHECK_INT(nursery_cells(y), ==, 1);
  CHECK_INT(stats_now().live + stats_now().large + stats_now().floating, ==, 0);
  CHECK(strcmp(y->client, "kept") == 0);
  live_a_random_life(y, 2, 4000, 3000);
  check_heap();
  heap_end(y);
  CHECK_INT(stats_now().hot, ==, 0);
}

/* ---- shrinking in place -------------------------------------------------------------------------------------------------- */

static void a_block_that_shrinks_leaves_its_end(void) {
  static const size_t sizes[] = {8, 16, 24, 40, 48, 56, 64, 96, 240, 384, 1024, 4096};
  begin();
  for (size_t i = 0; i < LENGTH(sizes); i++)
    for (size_t k = 0; k < i; k++) {
      void *block = take(y, sizes[i]), *second = take(y, sizes[i]);
      nursery_shrink(y, block, sizes[i], sizes[k]);
      nursery_shrink(y, second, sizes[i], sizes[k]);
      check_heap();
      give(y, block, sizes[k]);
      give(y, second, sizes[k]); /* one of the two is not at a multiple of 16, where sizes[i] is none */
      check_heap();
    }
  CHECK_INT(nursery_live(y), ==, 0);
}

/* ---- refusals ------------------------------------------------------------------------------------------------------------ */

static void refuse(long limit) {
  CHECK(scalloc_option_set("SCALLOC_LIMIT_BYTES", limit));
  CHECK(scalloc_option_set("SCALLOC_PURGE_DELAY_MS", -1));
  unit_arena((size_t)1 << 30);
  errno = 0;
  heap *h = heap_create_young();
  CHECK(h != NULL && heap_is_young(h) == (limit >= (long)CELL_BYTES)); /* without a cell, one of the other kind */
  size_t blocks = 0, bytes = 0;
  void *block;
  for (; blocks < 100000 && (block = heap_allocate_class(h, class_of(1 + blocks % 1500))) != NULL; blocks++)
    bytes += 1 + blocks % 1500;
  CHECK(blocks < 100000 && errno == ENOMEM);
  CHECK_INT(bytes, <=, (size_t)limit);
  check_heap();
  heap_end(h);
  check_heap();
  CHECK((h = heap_create_young()) != NULL); /* as good as before */
  if (heap_is_young(h)) take(h, 24);
  check_heap();
}

static void every_limit_refuses_cleanly(void) {
  static const long bytes[] = {1000, 32768, 40000, 65536, 100000, 200000, 400000, 1000000};
  for (size_t i = 0; i < LENGTH(bytes); i++) unit_each(refuse, bytes[i], bytes[i]);
}

/* ---- looking at it ------------------------------------------------------------------------------------------------------- */

static void every_block_is_found_from_within(void) {
  static life found[3000];
  rng random = {9};
  begin();
  for (size_t i = 0; i < LENGTH(found); i++) {
    found[i].size = 1 + rng_below(&random, i % 10 ? 120 : 3000);
    found[i].at = take(y, found[i].size);
  }
  CHECK_INT(nursery_of(y)->cells, >, 2);
  for (size_t i = 0; i < LENGTH(found); i++) {
    scalloc_block block;
    CHECK(scalloc_find(found[i].at + rng_below(&random, found[i].size), &block));
    CHECK(block.start == found[i].at && block.live && block.heap == y);
    CHECK_INT(block.size, ==, class_size(class_of(found[i].size)));
    CHECK(heap_of_address(found[i].at) == y);
    CHECK_INT(scalloc_usable_size(found[i].at), ==, block.size);
  }
  for (size_t i = 0; i < LENGTH(found); i += 2) give(y, found[i].at, found[i].size);
  for (size_t i = 0; i < LENGTH(found); i++) {
    scalloc_block block;
    CHECK(scalloc_find(found[i].at, &block) && block.live == (i % 2 == 1));
  }
  scalloc_block block;
  CHECK(!scalloc_find(y, &block)); /* its own structure is no block */
  CHECK(scalloc_find((char *)y + 63 * CELL_BYTES, &block) && !block.live && block.heap == NULL);
}

static void count_block(void *context, void *block, size_t size, size_t room) {
  CHECK(size == room && in_cell(block));
  *(size_t *)context += size;
}

static void a_visit_sees_what_lives(void) {
  static life lives[500];
  rng random = {4};
  size_t expected = 0, seen = 0;
  begin();
  for (size_t i = 0; i < LENGTH(lives); i++) {
    lives[i].size = 1 + rng_below(&random, 500);
    lives[i].at = take(y, lives[i].size);
  }
  for (size_t i = 0; i < LENGTH(lives); i++)
    if (i % 3 == 0)
      give(y, lives[i].at, lives[i].size);
    else if (in_cell(lives[i].at))
      expected += class_size(class_of(lives[i].size));
  nursery_each(y, count_block, &seen);
  CHECK_INT(seen, ==, expected);
  CHECK_INT(seen, ==, nursery_live(y));
  CHECK_INT(stats_now().live, ==, seen + walk_all().live - nursery_live(y));
}

static const char *what_is_wrong(void) {
  static char why[200];
  return scalloc_check(why, sizeof why) ? NULL : why;
}

#define DAMAGE(place, value, text)                                                                                             \
  do {                                                                                                                         \
    __typeof__(place) before = (place);                                                                                        \
    (place) = (value);                                                                                                         \
    CHECK(what_is_wrong() != NULL && strstr(what_is_wrong(), text) != NULL);                                                   \
    (place) = before;                                                                                                          \
    CHECK(what_is_wrong() == NULL);                                                                                            \
  } while (0)

static void damage_is_found(void) {
  begin();
  for (unsigned i = 0; nursery_of(y)->cells < 3; i++) take(y, 8 + 8 * (size_t)(i % 100));
  void *a = take(y, 40), *b = take(y, 40);
  give(y, a, 40);
  give(y, b, 40);
  nursery *n = nursery_of(y);
  nursery_bin *bin = &n->bins[class_of(40)];
  span *s = span_of(y);
  DAMAGE(bin->used, bin->used + 1, "wrong count");
  DAMAGE(bin->carved, bin->carved - 1, "wrong count");
  DAMAGE(*(void **)b, b, "broken list");
  DAMAGE(*(void **)b, (char *)a + 8, "broken list");
  DAMAGE(*(void **)b, (char *)y + 5 * CELL_BYTES, "broken list");
  DAMAGE(n->bins[0].carved, 1u << 20, "wrong count");
  DAMAGE(n->cells, 2, "cells");
  DAMAGE(n->cells, 4, "cells");
  DAMAGE(((cell_more *)(void *)n->more)->heap, NULL, "another's");
  DAMAGE(((cell_more *)(void *)n->more)->next, NULL, "wrong count"); /* with all that lies there */
  DAMAGE(s->cells, s->cells | 1ul << 20, "not charged");
  DAMAGE(s->cells, s->cells & ~2ul, "among its own");
  DAMAGE(s->cell_heads, s->cell_heads | 1ul << 30, "not in use");
  DAMAGE(s->cell_heads, s->cell_heads | 2, "among its own");
  DAMAGE(s->cells_backed, s->cells_backed | 1ul << 20, "charged");
  DAMAGE(y->hot[1], nursery_span(y, 5), "heap");
}

/* ---- wrong use ----------------------------------------------------------------------------------------------------------- */

static void free_with_malloc(void *block) { scalloc_free(block); }
static void free_with_size_0(void *block) { nursery_free(y, block, 0); }
static void free_with_a_large_size(void *block) { nursery_free(y, block, NURSERY_MAX + 1); }

static void what_is_not_lua_s_to_do_is_told(void) {
  begin();
  void *block = take(y, 40);
  CHECK(strstr(os_fake_panic_of(free_with_malloc, block), "invalid pointer") != NULL);
  CHECK(strstr(os_fake_panic_of(free_with_size_0, block), "invalid size") != NULL);
  CHECK(strstr(os_fake_panic_of(free_with_a_large_size, block), "invalid size") != NULL);
}

/* ---- threads and forks --------------------------------------------------------------------------------------------------- */

enum { THREADS = 6, HEAPS = 300 };
static _Atomic(heap *) shelf[16];

/* Heaps are made, lived in, handed over and ended by several threads at once. */
static void make_and_hand_over(unsigned number) {
  rng random = {number + 1};
  for (unsigned i = 0; i < HEAPS; i++) {
    heap *h = heap_create_young();
    CHECK(h != NULL);
    live_a_random_life(h, number * HEAPS + i + 1, 3000, 600);
    h = atomic_exchange(&shelf[rng_below(&random, LENGTH(shelf))], h);
    if (h == NULL) continue;
    take(h, 100);
    heap_end(h);
  }
}

static void threads_make_end_and_hand_over_heaps(void) {
  begin();
  heap_end(y);
  unit_threads(THREADS, make_and_hand_over);
  check_heap();
  for (size_t i = 0; i < LENGTH(shelf); i++)
    if (shelf[i] != NULL) heap_end(shelf[i]);
  CHECK_INT(stats_now().hot + stats_now().floating + stats_now().reusable, ==, 0);
  check_heap();
}

static atomic_bool stop;

static void work(void *context) {
  unsigned number = (unsigned)(uintptr_t)context;
  for (unsigned i = 0; !atomic_load(&stop); i++) {
    heap *h = heap_create_young();
    live_a_random_life(h, number + i, 3000, 200);
    heap_end(h);
  }
}

static void use_in_child(void *context) {
  (void)context;
  check_heap();
  live_a_random_life(y, 3, 2000, 2000);
  for (unsigned i = 0; i < 200; i++) {
    heap *h = heap_create_young();
    CHECK(h != NULL);
    live_a_random_life(h, i + 1, 2000, 100);
    if (i % 2) heap_end(h);
  }
  check_heap();
  heap_end(y);
  check_heap();
}

static void a_child_is_whole_whatever_the_threads_did(void) {
  unit_thread *workers[4];
  begin();
  live_a_random_life(y, 1, 2000, 1000);
  for (unsigned i = 0; i < LENGTH(workers); i++) workers[i] = unit_start(work, (void *)(uintptr_t)(i * 1000 + 1));
  for (int i = 0; i < 40; i++) CHECK(unit_child(use_in_child, NULL, 20));
  atomic_store(&stop, true);
  for (unsigned i = 0; i < LENGTH(workers); i++) unit_join(workers[i]);
  heap_end(y);
  CHECK_INT(stats_now().hot, ==, 0);
  check_heap();
}

/* A cell of a thread that vanished before it was a heap is free in the child. */
static void fork_now(void *context) {
  (void)context;
  CHECK(unit_child(use_in_child, NULL, 20));
}

static void cells_of_nobody_are_free_in_the_child(void) {
  begin();
  char *cell = cells_take();
  CHECK(cell != NULL);
  fork_now(NULL);
  cells_give(cell);
  check_heap();
}

UNIT_MAIN(CASE(a_young_heap_is_one_cell), CASE(heaps_share_a_span), CASE(blocks_do_not_overlap),
          CASE(what_a_growing_table_left_is_cut_up), CASE(a_second_cell_follows_the_first),
          CASE(a_class_with_many_blocks_opens_spans), CASE(large_blocks_and_those_of_large_classes_have_their_spans),
          CASE(an_emptied_heap_has_one_cell), CASE(a_block_that_shrinks_leaves_its_end), CASE(every_limit_refuses_cleanly),
          CASE(every_block_is_found_from_within), CASE(a_visit_sees_what_lives), CASE(damage_is_found),
          CASE(what_is_not_lua_s_to_do_is_told), CASE(threads_make_end_and_hand_over_heaps),
          CASE(a_child_is_whole_whatever_the_threads_did), CASE(cells_of_nobody_are_free_in_the_child))
