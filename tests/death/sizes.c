/* sizes.c - a free that says another size than was asked for. */
#include "death.h"

static void free_as(void *block, size_t size) {
  target(block);
  scalloc_free_sized(block, size);
}

static void too_large(void) { free_as(scalloc_malloc(SMALL), 1000); }
static void too_small(void) { free_as(scalloc_malloc(SMALL), 10); }
static void by_one(void) { free_as(scalloc_malloc(SMALL), SMALL + 1); }
static void nothing(void) { free_as(scalloc_malloc(SMALL), 0); }
static void medium(void) { free_as(scalloc_malloc(MEDIUM), SMALL); }
static void large(void) { free_as(scalloc_malloc(BIG), BIG + 1); }
static void after_realloc(void) { free_as(scalloc_realloc(scalloc_malloc(SMALL), SMALL - 1), SMALL); }
static void of_calloc(void) { free_as(scalloc_calloc(10, 10), 10); }
static void of_aligned(void) { free_as(scalloc_aligned_alloc(64, 70), 128); }

static void the_right_size_is_fine(void) {
  for (size_t size = 0; size < 3 * MB; size = size * 5 / 4 + 1) {
    scalloc_free_sized(scalloc_malloc(size), size);
    scalloc_free_sized(scalloc_calloc(1, size), size);
    scalloc_free_sized(scalloc_aligned_alloc(128, size), size);
    scalloc_free_sized(scalloc_realloc(scalloc_malloc(size), size + 100), size + 100);
    char *block = scalloc_malloc(size);
    CHECK(scalloc_good_size(size) == scalloc_usable_size(block));
    if (TEST_TRACKED) CHECK(scalloc_usable_size(block) == size);
    scalloc_free(block);
  }
  check_heap();
}

#define SIZE(why) "size mismatch", why
#define NO NULL, NULL

static const shape shapes[] = {
    {"size_too_large", "free_sized of 100 bytes as 1,000", too_large, SIZE("said to have 1000 bytes, but 100 were asked for"),
     NO},
    {"size_too_small", "as 10", too_small, SIZE("said to have 10 bytes, but 100"), NO},
    {"size_by_one", "as 101, of the same size class", by_one, SIZE("said to have 101 bytes, but 100"), NO},
    {"size_nothing", "as 0", nothing, SIZE("said to have 0 bytes"), NO},
    {"size_medium", "of 200,000 bytes as 100", medium, SIZE("but 200000 were asked for"), NO},
    {"size_large", "of 3 MB as one byte more", large, SIZE("said to have 3145729 bytes, but 3145728"), NO},
    {"size_after_realloc", "as what it was before a realloc", after_realloc, SIZE("said to have 100 bytes, but 99"), NO},
    {"size_of_calloc", "of calloc(10, 10) as 10", of_calloc, SIZE("said to have 10 bytes, but 100"), NO},
    {"size_of_aligned", "of an aligned block, as its rounded size", of_aligned, SIZE("said to have 128 bytes, but 70"), NO},
    {"the_right_size_is_fine", "", the_right_size_is_fine, NULL, NULL, NULL, NULL},
};
const subject sizes = {"sizes", "Wrong sizes", shapes, LENGTH(shapes)};
