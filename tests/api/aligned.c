/* aligned_alloc: any power of two, any size; the blocks are blocks like all others. */
#include "../test.h"

static const size_t sizes[] = {0,    1,     7,     8,      9,      16,     17,     24,     40,      63,      64,      65,
                               100,  128,   200,   256,    257,    500,    1000,   1024,   1025,    3000,    4095,    4096,
                               4097, 10000, 65536, 100000, 262144, 300000, 524288, 700000, 1048576, 1048577, 2097152, 3145728};

static bool is_aligned(const void *block, size_t alignment) { return ((uintptr_t)block & (alignment - 1)) == 0; }

static void serve(size_t alignment, size_t size) {
  enum { COPIES = 3 };
  unsigned char *blocks[COPIES];
  size_t usable[COPIES];
  for (size_t i = 0; i < COPIES; i++) {
    blocks[i] = scalloc_aligned_alloc(alignment, size);
    CHECK(blocks[i] != NULL);
    CHECK(is_aligned(blocks[i], alignment));
    CHECK(is_aligned(blocks[i], size <= 8 ? 8 : 16));
    CHECK_INT(usable[i] = scalloc_usable_size(blocks[i]), >=, size);
    fill(blocks[i], usable[i]);
  }
  for (size_t i = 0; i < COPIES; i++) CHECK(intact(blocks[i], usable[i]));
  unsigned char *moved = scalloc_realloc(blocks[0], size + 1000); /* need not be aligned any more */
  CHECK(moved && intact_prefix(moved, size, blocks[0], usable[0]));
  scalloc_free(moved);
  moved = scalloc_realloc(blocks[1], size / 2 + 1);
  CHECK(moved && intact_prefix(moved, size / 2, blocks[1], usable[1]));
  scalloc_free_sized(moved, size / 2 + 1);
  CHECK(intact(blocks[2], usable[2]));
  scalloc_free(blocks[2]);
}

static void every_power_of_two_with_every_size(void) {
  for (size_t alignment = 1; alignment <= 8 * MB; alignment *= 2)
    for (size_t i = 0; i < LENGTH(sizes); i++) serve(alignment, sizes[i]);
  for (size_t i = 0; i < LENGTH(sizes); i += 7) serve(64 * MB, sizes[i]);
}

static void what_is_no_power_of_two_is_invalid(void) {
  static const size_t bad[] = {0, 3, 5, 6, 7, 12, 24, 48, 100, 1000, 4095, 4097, 3 << 20, SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 2};
  for (size_t i = 0; i < LENGTH(bad); i++) {
    errno = 0;
    CHECK(scalloc_aligned_alloc(bad[i], 64) == NULL);
    CHECK_INT(errno, ==, EINVAL);
  }
}

static void impossible_requests_are_refused(void) {
  static const struct {
    size_t alignment, size;
  } impossible[] = {
      {16, SIZE_MAX},        {64, SIZE_MAX - 63},           {4096, SIZE_MAX - 100}, {8 * MB, SIZE_MAX - 4 * MB},
      {4096, PTRDIFF_MAX},   {64, (size_t)PTRDIFF_MAX + 1}, {SIZE_MAX / 2 + 1, 1},  {SIZE_MAX / 2 + 1, SIZE_MAX / 2 + 1},
      {(size_t)1 << 62, 16}, {(size_t)1 << 62, 2 * MB}};
  for (size_t i = 0; i < LENGTH(impossible); i++) {
    errno = 0;
    CHECK(scalloc_aligned_alloc(impossible[i].alignment, impossible[i].size) == NULL);
    CHECK_INT(errno, ==, ENOMEM);
  }
}

/* The original's worst bug: an aligned block, freed, came back as an interior pointer, and the next block overlapped. */
static void freed_aligned_blocks_never_overlap_new_ones(void) {
  enum { COUNT = 4000 };
  static void *blocks[2 * COUNT];
  static extent extents[2 * COUNT];
  rng random = {7};
  for (int round = 0; round < 30; round++) {
    for (size_t i = 0; i < COUNT; i++)
      CHECK(blocks[i] = scalloc_aligned_alloc((size_t)16 << rng_below(&random, 9), 1 + rng_below(&random, 300)));
    for (size_t i = 0; i < COUNT; i++)
      if (rng_percent(&random, 70)) scalloc_free(blocks[i]), blocks[i] = NULL;
    for (size_t i = COUNT; i < 2 * COUNT; i++) CHECK(blocks[i] = scalloc_malloc(1 + rng_below(&random, 300)));
    size_t live = 0;
    for (size_t i = 0; i < 2 * COUNT; i++) {
      if (!blocks[i]) continue;
      extents[live++] = (extent){(uintptr_t)blocks[i], (uintptr_t)blocks[i] + scalloc_usable_size(blocks[i])};
      memset(blocks[i], 0xa5, scalloc_usable_size(blocks[i]));
    }
    check_disjoint(extents, live);
    for (size_t i = 0; i < 2 * COUNT; i++) scalloc_free(blocks[i]);
    if (round % 10 == 0) check_heap();
  }
}

int main(void) {
  scalloc_free(scalloc_malloc(1));
  stats before = stats_now();
  every_power_of_two_with_every_size();
  what_is_no_power_of_two_is_invalid();
  impossible_requests_are_refused();
  freed_aligned_blocks_never_overlap_new_ones();
  check_all_returned(before);
  return 0;
}
