/* late_write.c - freed memory: writes to it are found before it is used again, reads of it give zeros. */
#include "death.h"

/* A write after the free; a neighbour keeps the span in use. */
static void late(size_t size, size_t offset, size_t length) {
  char *neighbour = scalloc_malloc(size), *block = scalloc_malloc(size);
  CHECK(neighbour && block);
  target(block);
  scalloc_free(block);
  memset((char *)hidden(block) + offset, 'A', length);
  use_memory(size);
}

static void small_first_word(void) { late(SMALL, 0, 8); }
static void small_last_byte(void) { late(SMALL, SMALL - 1, 1); }
static void small_whole(void) { late(SMALL, 0, SMALL); }
static void medium_first_word(void) { late(MEDIUM, 0, 8); }
static void medium_last_byte(void) { late(MEDIUM, MEDIUM - 1, 1); }

/* Closed memory: the line names the address that was touched. */
static void late_large(size_t offset) {
  char *block = scalloc_malloc(BIG);
  target(block + offset);
  scalloc_free(block);
  ((char *)hidden(block))[offset] = 'A';
}
static void large_first_word(void) { late_large(0); }
static void large_last_byte(void) { late_large(BIG - 1); }
static volatile char seen;
static void large_read(void) {
  char *block = scalloc_malloc(BIG);
  target(block + MB);
  scalloc_free(block);
  seen = ((char *)hidden(block))[MB];
}

static void found_by_purge(void) {
  char *block = scalloc_malloc(SMALL);
  target(block);
  scalloc_free(block);
  ((char *)hidden(block))[10] = 'A';
  scalloc_purge();
}
static void by_the_old_pointer(void) {
  char *block = scalloc_malloc(SMALL);
  target(block);
  CHECK(scalloc_realloc(block, 5000));
  ((char *)hidden(block))[50] = 'A';
  use_memory(SMALL);
}
static void in_a_heap(void) {
  scalloc_heap *heap = scalloc_heap_new();
  char *block = scalloc_heap_malloc(heap, SMALL);
  target(block);
  scalloc_heap_free(heap, block);
  ((char *)hidden(block))[50] = 'A';
  scalloc_heap_destroy(heap);
}
static void of_other_thread(void *block) { ((char *)hidden(block))[50] = 'A'; }
static void by_other_thread(void) {
  char *neighbour = scalloc_malloc(SMALL), *block = scalloc_malloc(SMALL);
  CHECK(neighbour);
  target(block);
  scalloc_free(block);
  in_thread(of_other_thread, block);
  use_memory(SMALL);
}

/* ---- what is not a fault of the allocator's, or none at all ------------------------------------------------------------- */

static void freed_memory_reads_as_zero(void) {
  if (!TEST_TRACKED) return;
  for (size_t size = 16; size <= 500000; size *= 5) {
    char *neighbour = scalloc_malloc(size), *block = scalloc_malloc(size);
    memset(block, 'A', size);
    scalloc_free(block);
    CHECK(all_bytes(hidden(block), size, 0));
    scalloc_free(neighbour);
  }
}

static void a_new_block_holds_nothing_of_an_old_one(void) {
  if (!TEST_TRACKED) return;
  for (int round = 0; round < 3; round++) {
    for (size_t size = 8; size <= 4 * MB; size = size * 7 / 3) {
      char *block = scalloc_malloc(size);
      CHECK(all_bytes(block, size, 0));
      memset(block, 'A', size);
      block = scalloc_realloc(block, size / 3 + 1); /* what it shrank by is gone too */
      size_t small = size / 3 + 1;
      block = scalloc_realloc(block, small + small / 8);
      if (small < 100000) CHECK(all_bytes(block + small, small / 8, 0));
      scalloc_free(block);
    }
  }
}

/* A late write can harm no list of the allocator: blocks stay disjoint, even where nothing tells it. */
static void a_late_write_breaks_no_list(void) {
  if (!TEST_TRACKED) return;
  enum { COUNT = 200 };
  static char *blocks[COUNT];
  static extent extents[COUNT];
  for (int i = 0; i < COUNT; i++) blocks[i] = scalloc_malloc(SMALL);
  for (int i = 1; i < COUNT; i += 2) scalloc_free(blocks[i]);
  for (int i = 1; i < COUNT; i += 2) {
    memset(hidden(blocks[i]), 0x41, 16);
    memset(hidden(blocks[i]), 0, 16); /* put right again, so that the program goes on */
  }
  for (int i = 1; i < COUNT; i += 2) blocks[i] = scalloc_malloc(SMALL);
  for (int i = 0; i < COUNT; i++) extents[i] = (extent){(uintptr_t)blocks[i], (uintptr_t)blocks[i] + SMALL};
  check_disjoint(extents, COUNT);
  check_heap();
}

static void check_tells_it(void) {
  if (!TEST_TRACKED) return;
  char why[200] = "", *neighbour = scalloc_malloc(SMALL), *block = scalloc_malloc(SMALL);
  scalloc_free(block);
  ((char *)hidden(block))[60] = 1;
  CHECK(neighbour && !scalloc_check(why, sizeof why) && strstr(why, "free block that was written"));
  ((char *)hidden(block))[60] = 0;
  check_heap();
}

#define LATE(why) "write after free", why
#define CLOSED "use after free", "memory of a large block that is free"
#define NO NULL, NULL

static const shape shapes[] = {
    {"late_small_first_word", "a write to the first word of a freed block of 100 bytes", small_first_word,
     LATE("byte 0 of a free block of 112 bytes"), NO},
    {"late_small_last_byte", "to its last byte", small_last_byte, LATE("byte 99 of a free block of 112 bytes"), NO},
    {"late_small_whole", "to all of it", small_whole, LATE("byte 0 of a free block"), NO},
    {"late_medium_first_word", "to the first word of 200,000 bytes", medium_first_word,
     LATE("byte 0 of a free block of 229376"), NO},
    {"late_medium_last_byte", "to their last byte", medium_last_byte, LATE("byte 199999 of a free block of 229376"), NO},
    {"late_large_first_word", "to the first word of 3 MB", large_first_word, CLOSED, NO},
    {"late_large_last_byte", "to their last byte", large_last_byte, CLOSED, NO},
    {"late_large_read", "a read of freed 3 MB", large_read, CLOSED, NO},
    {"late_found_by_purge", "a late write, found by purge", found_by_purge, LATE("byte 10 of a free block of 112"), NO},
    {"late_after_realloc", "by the pointer from before a realloc", by_the_old_pointer, LATE("byte 50 of a free block of 112"),
     NO},
    {"late_in_a_heap", "in a heap, found by heap_destroy", in_a_heap, LATE("byte 50 of a free block of 112"), NO},
    {"late_by_other_thread", "by another thread", by_other_thread, LATE("byte 50 of a free block of 112 bytes"), NO},
    {"freed_memory_reads_as_zero", "", freed_memory_reads_as_zero, NULL, NULL, NULL, NULL},
    {"a_new_block_holds_nothing_of_an_old_one", "", a_new_block_holds_nothing_of_an_old_one, NULL, NULL, NULL, NULL},
    {"a_late_write_breaks_no_list", "", a_late_write_breaks_no_list, NULL, NULL, NULL, NULL},
    {"late_check_tells_it", "", check_tells_it, NULL, NULL, NULL, NULL},
};
const subject late_writes = {"late_write", "Freed memory", shapes, LENGTH(shapes)};
