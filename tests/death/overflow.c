/* overflow.c - writes behind and in front of a block, found when it is freed, moved, or its heap ends. */
#include "death.h"

/* Writes `length` bytes at `offset` of a block, then frees it. */
static void write_at(void *block, ptrdiff_t offset, size_t length, int byte) {
  target(block);
  memset((char *)hidden(block) + offset, byte, length);
  scalloc_free(block);
}

static void by_1_small(void) { write_at(scalloc_malloc(SMALL), SMALL, 1, 'A'); }
static void by_1_zero(void) { write_at(scalloc_malloc(SMALL), SMALL, 1, 0); }
static void by_1_ff(void) { write_at(scalloc_malloc(SMALL), SMALL, 1, 0xff); }
static void by_1_tiny(void) { write_at(scalloc_malloc(1), 1, 1, 0); }
static void by_1_nothing(void) { write_at(scalloc_malloc(0), 0, 1, 0); }
static void by_1_odd(void) { write_at(scalloc_malloc(13), 13, 1, 'A'); }
static void by_1_class(void) { write_at(scalloc_malloc(256), 256, 1, 0); }
static void by_8(void) { write_at(scalloc_malloc(SMALL), SMALL, 8, 'A'); }
static void by_16(void) { write_at(scalloc_malloc(SMALL), SMALL, 16, 'A'); }
static void off_by_7(void) { write_at(scalloc_malloc(SMALL), SMALL + 7, 1, 'A'); }
static void into_the_next(void) {
  char *block = scalloc_malloc(SMALL), *next = scalloc_malloc(SMALL);
  write_at(block, 0, (size_t)(next - block) + 20, 'A');
}
static void by_1_medium(void) { write_at(scalloc_malloc(MEDIUM), MEDIUM, 1, 0); }
static void by_1_large(void) { write_at(scalloc_malloc(BIG), (ptrdiff_t)BIG, 1, 0); }
static void by_1_large_odd(void) { write_at(scalloc_malloc(BIG + 100), (ptrdiff_t)BIG + 100, 1, 0); }
static void far_behind(void) { write_at(scalloc_malloc(70000), 75000, 1, 'A'); }
static void at_the_very_end(void) { /* of a block of 80 K */
  write_at(scalloc_malloc(70000), 81919, 1, 0);
}
static void by_1_calloc(void) { write_at(scalloc_calloc(5, 20), SMALL, 1, 0); }
static void by_1_aligned(void) { write_at(scalloc_aligned_alloc(4096, SMALL), SMALL, 1, 0); }
static void by_1_grown(void) { write_at(scalloc_realloc(scalloc_malloc(SMALL), SMALL + 1), SMALL + 1, 1, 0); }
static void by_1_shrunk(void) { write_at(scalloc_realloc(scalloc_malloc(SMALL), SMALL - 1), SMALL - 1, 1, 'A'); }
static void by_1_grown_large(void) { write_at(scalloc_realloc(scalloc_malloc(BIG), 2 * BIG), 2 * (ptrdiff_t)BIG, 1, 0); }

static void a_string(void) { /* the classic: no room for the final 0 */
  static const char text[] = "sixteen letters.";
  char *block = scalloc_malloc(strlen(text));
  target(block);
  strcpy(hidden(block), text);
  scalloc_free(block);
}

static void found_by_realloc(void) {
  char *block = scalloc_malloc(SMALL);
  target(block);
  ((char *)hidden(block))[SMALL] = 0;
  scalloc_realloc(block, 1000);
}
static void found_by_heap_destroy(void) {
  scalloc_heap *heap = scalloc_heap_new();
  char *block = scalloc_heap_malloc(heap, SMALL);
  CHECK(scalloc_heap_malloc(heap, SMALL));
  target(block);
  ((char *)hidden(block))[SMALL] = 0;
  scalloc_heap_destroy(heap);
}
static void found_by_heap_destroy_large(void) {
  scalloc_heap *heap = scalloc_heap_new();
  char *block = scalloc_heap_malloc(heap, BIG);
  target(block);
  ((char *)hidden(block))[BIG] = 0;
  scalloc_heap_destroy(heap);
}
static void free_in_thread(void *block) { scalloc_free(block); }
static void found_in_other_thread(void) {
  char *block = scalloc_malloc(SMALL);
  target(block);
  ((char *)hidden(block))[SMALL] = 0;
  in_thread(free_in_thread, block);
}

/* In front of a block is the end of the one before. */
static void under_by(size_t bytes) {
  char *before = scalloc_malloc(SMALL), *block = scalloc_malloc(SMALL);
  CHECK(block > before);
  target(before);
  memset((char *)hidden(block) - bytes, 'A', bytes);
  scalloc_free(block);
  scalloc_free(before);
}
static void under_by_1(void) { under_by(1); }
static void under_by_8(void) { under_by(8); }

static void check_tells_it(void) {
  char why[200] = "", *block = scalloc_malloc(SMALL);
  check_heap();
  block[SMALL - 1] = 'A';
  check_heap();
  if (!TEST_TRACKED) return;
  char *behind = (char *)hidden(block) + SMALL, saved = *behind;
  *behind = 'A';
  CHECK(!scalloc_check(why, sizeof why) && strstr(why, "bytes behind a live block were written"));
  *behind = saved;
  check_heap();
  scalloc_free(block);
}

static void every_byte_asked_for_may_be_written(void) {
  for (size_t size = 1; size < 3 * MB; size = size * 5 / 4 + 1) {
    char *block = scalloc_malloc(size);
    memset(block, 'A', size);
    block = scalloc_realloc(block, size + size / 3 + 1);
    memset(block, 'B', size + size / 3 + 1);
    block = scalloc_realloc(block, size / 2 + 1);
    CHECK(all_bytes(block, size / 2 + 1, 'B'));
    scalloc_free(block);
  }
  check_heap();
}

#define OVER(why) "overflow", why
#define NO NULL, NULL

static const shape shapes[] = {
    {"overflow_1", "one byte behind 100", by_1_small, OVER("byte 100 of a block of 100 bytes"), NO},
    {"overflow_1_zero", "a 0 there", by_1_zero, OVER("byte 100 of a block of 100 bytes"), NO},
    {"overflow_1_ff", "a 255 there", by_1_ff, OVER("byte 100 of a block of 100 bytes"), NO},
    {"overflow_1_tiny", "one byte behind 1", by_1_tiny, OVER("byte 1 of a block of 1 bytes"), NO},
    {"overflow_1_nothing", "into malloc(0)", by_1_nothing, OVER("byte 0 of a block of 0 bytes"), NO},
    {"overflow_1_odd", "one byte behind 13", by_1_odd, OVER("byte 13 of a block of 13 bytes"), NO},
    {"overflow_1_class", "one byte behind 256, a size of a class", by_1_class, OVER("byte 256 of a block of 256 bytes"), NO},
    {"overflow_8", "8 bytes behind 100", by_8, OVER("byte 100 of a block of 100 bytes"), NO},
    {"overflow_16", "16 bytes behind 100", by_16, OVER("byte 100 of a block of 100 bytes"), NO},
    {"overflow_off_7", "one byte, the eighth behind", off_by_7, OVER("byte 107 of a block of 100 bytes"), NO},
    {"overflow_into_the_next", "far into the next block", into_the_next, OVER("byte 100 of a block of 100 bytes"), NO},
    {"overflow_1_medium", "one byte behind 200,000", by_1_medium, OVER("byte 200000 of a block of 200000 bytes"), NO},
    {"overflow_1_large", "one byte behind 3 MB", by_1_large, OVER("byte 3145728 of a block of 3145728 bytes"), NO},
    {"overflow_1_large_odd", "one byte behind 3 MB and 100", by_1_large_odd, OVER("byte 3145828 of a block of 3145828"), NO},
    {"overflow_far", "5,000 bytes behind 70,000", far_behind, OVER("byte 75000 of a block of 70000 bytes"), NO},
    {"overflow_last_byte", "the last byte in front of the next block", at_the_very_end, OVER("byte 81919 of a block of 70000"),
     NO},
    {"overflow_calloc", "one byte behind a block of calloc", by_1_calloc, OVER("byte 100 of a block of 100 bytes"), NO},
    {"overflow_aligned", "one byte behind an aligned block", by_1_aligned, OVER("byte 100 of a block of 100 bytes"), NO},
    {"overflow_grown", "behind a block that grew in place", by_1_grown, OVER("byte 101 of a block of 101 bytes"), NO},
    {"overflow_shrunk", "behind a block that shrank in place", by_1_shrunk, OVER("byte 99 of a block of 99 bytes"), NO},
    {"overflow_grown_large", "behind a block of 3 MB that grew", by_1_grown_large, OVER("byte 6291456 of a block of 6291456"),
     NO},
    {"overflow_string", "no room for the 0 of a string", a_string, OVER("byte 16 of a block of 16 bytes"), NO},
    {"overflow_by_realloc", "found by realloc", found_by_realloc, OVER("byte 100 of a block of 100 bytes"), NO},
    {"overflow_by_destroy", "found by heap_destroy", found_by_heap_destroy, OVER("byte 100 of a block of 100 bytes"), NO},
    {"overflow_by_destroy_large", "the same, 3 MB", found_by_heap_destroy_large, OVER("byte 3145728 of a block of 3145728"),
     NO},
    {"overflow_in_other_thread", "found in another thread", found_in_other_thread, OVER("byte 100 of a block of 100"), NO},
    {"underflow_1", "one byte in front of a block, told as overflow of the one before", under_by_1,
     OVER("byte 111 of a block of 100"), NO},
    {"underflow_8", "8 bytes in front of a block", under_by_8, OVER("byte 104 of a block of 100 bytes"), NO},
    {"check_tells_it", "", check_tells_it, NULL, NULL, NULL, NULL},
    {"every_byte_asked_for_may_be_written", "", every_byte_asked_for_may_be_written, NULL, NULL, NULL, NULL},
};
const subject overflows = {"overflow", "Writes outside a block", shapes, LENGTH(shapes)};
