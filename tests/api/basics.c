/* malloc, calloc, free, free_sized, usable_size, good_size: sizes, alignment, limits, errno. */
#include "../test.h"

/* Sizes around every kind of boundary, up to 4 MB. */
static const size_t sizes[] = {
    0,      1,      2,      7,      8,       9,      15,     16,      17,      23,      24,      25,      31,      32,
    33,     40,     47,     48,     49,      56,     63,     64,      65,      80,      96,      100,     127,     128,
    129,    255,    256,    257,    300,     511,    512,    513,     720,     1000,    1023,    1024,    1025,    1536,
    2047,   2048,   2049,   3072,   4095,    4096,   4097,   8192,    10000,   16384,   32768,   32769,   65536,   65537,
    100000, 131072, 200000, 262144, 3 << 17, 524288, 524289, 1000000, 1048575, 1048576, 1048577, 2097152, 3000000, 4194304};

static void check_block(const void *block, size_t size) {
  CHECK(block != NULL);
  CHECK_INT((uintptr_t)block % (size <= 8 ? 8 : 16), ==, 0);
  CHECK_INT(scalloc_usable_size(block), >=, size);
}

static void every_byte_of_the_usable_size_is_ours(void) {
  unsigned char *blocks[LENGTH(sizes)];
  for (size_t i = 0; i < LENGTH(sizes); i++) {
    blocks[i] = scalloc_malloc(sizes[i]);
    check_block(blocks[i], sizes[i]);
    fill(blocks[i], scalloc_usable_size(blocks[i]));
  }
  for (size_t i = 0; i < LENGTH(sizes); i++) CHECK(intact(blocks[i], scalloc_usable_size(blocks[i])));
  for (size_t i = 0; i < LENGTH(sizes); i++) scalloc_free(blocks[i]);
}

static void alignment_holds_for_every_small_size(void) {
  enum { COPIES = 9 }; /* neighbours in one span, not only the first block of each */
  for (size_t size = 0; size <= 4096; size++) {
    void *blocks[COPIES];
    for (size_t i = 0; i < COPIES; i++) check_block(blocks[i] = scalloc_malloc(size), size);
    for (size_t i = 0; i < COPIES; i++) scalloc_free(blocks[i]);
  }
}

static void good_size_is_the_usable_size_of_a_malloc(void) {
  for (size_t size = 0; size <= 9 * MB; size += size < 5000 ? 1 : size / 97) {
    void *block = scalloc_malloc(size);
    CHECK_INT(scalloc_good_size(size), ==, scalloc_usable_size(block));
    scalloc_free(block);
  }
  CHECK_INT(scalloc_good_size(SIZE_MAX), ==, 0);
  CHECK_INT(scalloc_good_size((size_t)PTRDIFF_MAX + 1), ==, 0);
}

static void usable_size_of_what_is_not_ours_is_0(void) {
  static int object;
  int local;
  void *foreign = malloc(100);
  CHECK_INT(scalloc_usable_size(NULL), ==, 0);
  CHECK_INT(scalloc_usable_size(&object), ==, 0);
  CHECK_INT(scalloc_usable_size(&local), ==, 0);
  CHECK_INT(scalloc_usable_size(foreign), ==, 0);
  free(foreign);
}

static void malloc_0_is_a_unique_block(void) {
  enum { COUNT = 1000 };
  static void *blocks[COUNT];
  static extent extents[COUNT];
  for (size_t i = 0; i < COUNT; i++) {
    CHECK(blocks[i] = i % 3 == 0 ? scalloc_calloc(0, i) : i % 3 == 1 ? scalloc_calloc(i, 0) : scalloc_malloc(0));
    extents[i] = (extent){(uintptr_t)blocks[i], (uintptr_t)blocks[i] + 1};
  }
  check_disjoint(extents, COUNT);
  for (size_t i = 0; i < COUNT; i++) scalloc_free(blocks[i]);
}

static void calloc_clears_recycled_memory(void) {
  for (size_t i = 0; i < LENGTH(sizes); i++) {
    void *dirty[8];
    for (size_t k = 0; k < LENGTH(dirty); k++) {
      CHECK(dirty[k] = scalloc_malloc(sizes[i]));
      memset(dirty[k], 0xff, scalloc_usable_size(dirty[k]));
    }
    for (size_t k = 0; k < LENGTH(dirty); k++) scalloc_free(dirty[k]);
    for (size_t k = 0; k < LENGTH(dirty); k++) {
      check_block(dirty[k] = k % 2 == 0 ? scalloc_calloc(1, sizes[i]) : scalloc_calloc(sizes[i], 1), sizes[i]);
      CHECK(all_bytes(dirty[k], sizes[i], 0));
    }
    for (size_t k = 0; k < LENGTH(dirty); k++) scalloc_free(dirty[k]);
  }
  unsigned char *table = scalloc_calloc(1000, 37);
  CHECK(table && all_bytes(table, 37000, 0));
  scalloc_free(table);
}

#define CHECK_NO_MEMORY(expression)                                                                                            \
  do {                                                                                                                         \
    errno = 0;                                                                                                                 \
    CHECK((expression) == NULL);                                                                                               \
    CHECK_INT(errno, ==, ENOMEM);                                                                                              \
  } while (0)

static void impossible_sizes_are_refused(void) {
  static const size_t impossible[] = {(size_t)PTRDIFF_MAX + 1,
                                      (size_t)PTRDIFF_MAX + 4096,
                                      SIZE_MAX / 2 + 12345,
                                      SIZE_MAX - (2 << 20),
                                      SIZE_MAX - 4096,
                                      SIZE_MAX - 15,
                                      SIZE_MAX - 1,
                                      SIZE_MAX};
  for (size_t i = 0; i < LENGTH(impossible); i++) {
    CHECK_NO_MEMORY(scalloc_malloc(impossible[i]));
    CHECK_NO_MEMORY(scalloc_calloc(1, impossible[i]));
    CHECK_NO_MEMORY(scalloc_calloc(impossible[i], 1));
    CHECK_NO_MEMORY(scalloc_realloc(NULL, impossible[i]));
  }
  CHECK_NO_MEMORY(scalloc_malloc((size_t)PTRDIFF_MAX)); /* allowed, but nobody has so much */
}

static void calloc_overflow_is_refused(void) {
  CHECK_NO_MEMORY(scalloc_calloc(SIZE_MAX, 2));
  CHECK_NO_MEMORY(scalloc_calloc(2, SIZE_MAX));
  CHECK_NO_MEMORY(scalloc_calloc(SIZE_MAX, SIZE_MAX));
  CHECK_NO_MEMORY(scalloc_calloc(SIZE_MAX / 16 + 1, 16));            /* product: 0 */
  CHECK_NO_MEMORY(scalloc_calloc((size_t)1 << 32, (size_t)1 << 32)); /* product: 0 */
  CHECK_NO_MEMORY(scalloc_calloc(SIZE_MAX / 100 + 2, 100));          /* product: small */
}

static void free_keeps_errno(void) {
  for (size_t i = 0; i < LENGTH(sizes); i++) {
    static const int values[] = {0, EBADF, ENOMEM};
    for (size_t k = 0; k < LENGTH(values); k++) {
      void *one = scalloc_malloc(sizes[i]), *two = scalloc_malloc(sizes[i]);
      errno = values[k];
      scalloc_free(one);
      scalloc_free_sized(two, sizes[i]);
      scalloc_free(NULL);
      scalloc_free_sized(NULL, 0);
      CHECK_INT(errno, ==, values[k]);
    }
  }
}

/* Not a promise of the interface, but without it the allocator would not be one: freed memory is used again. */
static void freed_memory_is_used_again(void) {
  stats before = stats_now();
  for (size_t i = 0; i < LENGTH(sizes); i++) {
    for (size_t k = 0; k < 64 * MB / (sizes[i] + 4096); k++) scalloc_free(scalloc_malloc(sizes[i]));
  }
  stats after = stats_now();
  CHECK_INT(after.opened, <=, before.opened + 8);
  CHECK_INT(after.live, ==, before.live);
}

int main(void) {
  every_byte_of_the_usable_size_is_ours();
  alignment_holds_for_every_small_size();
  good_size_is_the_usable_size_of_a_malloc();
  usable_size_of_what_is_not_ours_is_0();
  malloc_0_is_a_unique_block();
  calloc_clears_recycled_memory();
  impossible_sizes_are_refused();
  calloc_overflow_is_refused();
  free_keeps_errno();
  stats before = stats_now();
  every_byte_of_the_usable_size_is_ours();
  check_all_returned(before);
  freed_memory_is_used_again();
  check_heap();
  return 0;
}
