/* realloc: what it keeps, when it moves, that it never fails to shrink. */
#include "../test.h"

/* Both sides of every class boundary that matters, and of the 1 MB limit between blocks in spans and runs of spans. */
static const size_t sizes[] = {1,       8,       9,       16,      17,      24,     40,     48,     56,      64,
                               65,      100,     128,     200,     256,     257,    384,    500,    512,     720,
                               1024,    1500,    2048,    3072,    4096,    5000,   8192,   12288,  16384,   30000,
                               32768,   65536,   100000,  131072,  262144,  500000, 524288, 786432, 1048575, 1048576,
                               1048577, 1500000, 2097152, 2097153, 3145728, 5000000};

static void null_is_malloc_and_0_is_free(void) {
  stats before = stats_now();
  void *block = scalloc_realloc(NULL, 100);
  CHECK(block && scalloc_usable_size(block) >= 100);
  fill(block, 100);
  CHECK(scalloc_realloc(block, 0) == NULL);
  CHECK_INT(stats_now().live, ==, before.live);

  block = scalloc_realloc(NULL, 0); /* malloc(0) */
  CHECK(block != NULL);
  CHECK(scalloc_realloc(block, 0) == NULL);

  block = scalloc_realloc(NULL, 5 * MB);
  CHECK(block && scalloc_usable_size(block) >= 5 * MB);
  errno = EBADF;
  CHECK(scalloc_realloc(block, 0) == NULL);
  CHECK_INT(stats_now().live, ==, before.live);
}

static void content_survives_from_every_size_to_every_size(void) {
  for (size_t i = 0; i < LENGTH(sizes); i++) {
    for (size_t k = 0; k < LENGTH(sizes); k++) {
      size_t from = sizes[i], to = sizes[k], common = from < to ? from : to;
      void *old = scalloc_malloc(from), *neighbour = scalloc_malloc(from);
      fill(old, from);
      fill(neighbour, from);
      unsigned char *block = scalloc_realloc(old, to);
      CHECK(block && scalloc_usable_size(block) >= to);
      CHECK_INT((uintptr_t)block % (to <= 8 ? 8 : 16), ==, 0);
      CHECK(intact_prefix(block, common, old, from));
      fill(block, to);
      CHECK(intact(neighbour, from));
      scalloc_free(neighbour);
      CHECK(intact(block, to));
      scalloc_free(block);
    }
  }
}

/* One block through every size up and down again, so that it is resized after having been resized. */
static void content_survives_a_long_way(void) {
  size_t size = sizes[0];
  unsigned char *block = scalloc_malloc(size);
  fill(block, size);
  rng random = {1};
  for (int i = 0; i < 20000; i++) {
    size_t to = i % 500 == 0 ? sizes[rng_below(&random, LENGTH(sizes))] : rng_log(&random, 16);
    unsigned char *moved = scalloc_realloc(block, to);
    CHECK(moved && intact_prefix(moved, size < to ? size : to, block, size));
    block = moved, size = to;
    fill(block, size);
  }
  scalloc_free(block);
}

/* 1 MB to 64 MB in steps, with a neighbour behind it now and then so that it must move; then down again. */
static void big_blocks_grow_step_by_step(void) {
  stats before = stats_now();
  void *hurdles[64] = {0};
  size_t size = MB, hurdle = 0;
  unsigned char *block = scalloc_malloc(size);
  fill(block, size);
  for (size_t to = MB + 300000; to <= 64 * MB; to += 1300000) {
    if (to % 3 == 0) CHECK(hurdles[hurdle++] = scalloc_malloc(2 * MB));
    unsigned char *moved = scalloc_realloc(block, to);
    CHECK(moved && scalloc_usable_size(moved) >= to && intact_prefix(moved, size, block, size));
    block = moved, size = to;
    fill(block, size);
  }
  for (size_t to = size; to > 10000; to = to * 2 / 3) {
    unsigned char *moved = scalloc_realloc(block, to);
    CHECK(moved && intact_prefix(moved, to, block, size));
    block = moved, size = to;
    fill(block, size);
    CHECK_INT(scalloc_usable_size(block), <=, 2 * to + 2 * MB); /* a shrink of a big block gives memory back */
  }
  scalloc_free(block);
  for (size_t i = 0; i < hurdle; i++) scalloc_free(hurdles[i]);
  check_all_returned(before);
}

static void a_shrink_succeeds_and_releases(void) {
  enum { COUNT = 2000 };
  static void *blocks[COUNT];
  stats before = stats_now();
  for (size_t i = 0; i < COUNT; i++) CHECK(blocks[i] = scalloc_malloc(32 * KB));
  CHECK_INT(stats_now().live - before.live, >=, COUNT * 32 * KB);
  for (size_t i = 0; i < COUNT; i++) CHECK(blocks[i] = scalloc_realloc(blocks[i], 64));
  CHECK_INT(stats_now().live - before.live, <=, COUNT * 32 * KB / 2); /* or the shrink was none */
  for (size_t i = 0; i < COUNT; i++) scalloc_free(blocks[i]);
  check_all_returned(before);
}

static void a_failed_growth_leaves_the_block_alone(void) {
  static const size_t impossible[] = {(size_t)PTRDIFF_MAX, (size_t)PTRDIFF_MAX + 1, SIZE_MAX - 4096, SIZE_MAX};
  for (size_t i = 0; i < LENGTH(sizes); i++) {
    void *block = scalloc_malloc(sizes[i]);
    fill(block, sizes[i]);
    for (size_t k = 0; k < LENGTH(impossible); k++) {
      errno = 0;
      CHECK(scalloc_realloc(block, impossible[k]) == NULL);
      CHECK_INT(errno, ==, ENOMEM);
    }
    CHECK(intact(block, sizes[i]) && scalloc_usable_size(block) >= sizes[i]);
    scalloc_free(block);
  }
}

/* Another thread's block: resized here, freed here; the owner notices nothing. Simulated by a heap of its own. */
static void a_block_of_another_heap_can_be_resized(void) {
  scalloc_heap *heap = scalloc_heap_new();
  for (size_t i = 0; i < LENGTH(sizes); i++) {
    void *old = scalloc_heap_malloc(heap, sizes[i]);
    fill(old, sizes[i]);
    unsigned char *block = scalloc_realloc(old, 2 * sizes[i]);
    CHECK(block && intact_prefix(block, sizes[i], old, sizes[i]));
    scalloc_free(block);
  }
  scalloc_heap_destroy(heap);
}

int main(void) {
  scalloc_free(scalloc_malloc(1)); /* the first use is over before anything is counted */
  null_is_malloc_and_0_is_free();
  content_survives_from_every_size_to_every_size();
  content_survives_a_long_way();
  big_blocks_grow_step_by_step();
  a_shrink_succeeds_and_releases();
  a_failed_growth_leaves_the_block_alone();
  a_block_of_another_heap_can_be_resized();
  check_heap();
  return 0;
}
