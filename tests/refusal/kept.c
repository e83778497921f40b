/*
 * kept.c - what the OS keeps though it was offered back stays counted and charged, and threads that are refused at the same
 * moment lose nothing.
 */
#include "../unit/unit.h"

enum { LIMIT_MB = 64, THREADS = 4, IN_VAIN = 30000 };

/* Blocks of 15/8 MB, every byte used, that then shrink to 9/8 MB: as many as the limit lets be. Returns their number. */
static size_t shrink_until_the_limit(void) {
  size_t n = 0;
  for (;; n++) {
    char *block = scalloc_malloc(15 * MB / 8);
    if (block == NULL) break;
    memset(block, 7, 15 * MB / 8);
    CHECK(scalloc_realloc(block, 9 * MB / 8) == block);
    CHECK_INT(stats_now().committed, <=, LIMIT_MB * MB);
  }
  CHECK_INT(errno, ==, ENOMEM);
  return n;
}

static void limited(void) {
  CHECK(scalloc_option_set("SCALLOC_LIMIT_BYTES", (long)(LIMIT_MB * MB)));
  unit_arena(512 * MB);
}

/* Also where a block shrinks by too little for a purge. */
static void the_limit_holds_while_blocks_shrink(void) {
  limited();
  CHECK_INT(shrink_until_the_limit(), >=, LIMIT_MB * 8 / 15 - 1);
}

static void the_limit_holds_while_the_os_keeps_what_shrinks(void) {
  limited();
  os_fake_refuse(OS_PURGE, 1, true);
  CHECK_INT(shrink_until_the_limit(), >=, LIMIT_MB * 8 / 15 - 1);
}

static void pages_kept_by_the_os_when_a_block_shrinks_are_counted_until_it_takes_them(void) {
  limited();
  char *block = scalloc_malloc(20 * MB);
  memset(block, 7, 20 * MB);
  os_fake_refuse(OS_PURGE, 1, true);
  CHECK(scalloc_realloc(block, 3 * MB) == block);
  CHECK_INT(stats_now().committed, >=, 20 * MB);
  CHECK_INT(unit_charge_left(), <=, (LIMIT_MB - 20) * MB);
  os_fake_refuse(OS_PURGE, 0, false);
  scalloc_free(block);
  scalloc_purge();
  CHECK_INT(stats_now().committed, ==, 0);
  CHECK_INT(unit_charge_left(), ==, LIMIT_MB * MB);
}

static void pages_given_back_when_a_block_shrinks_may_be_charged_again(void) {
  limited();
  char *block = scalloc_malloc(40 * MB);
  CHECK(scalloc_realloc(block, 9 * MB) == block);
  CHECK_INT(unit_charge_left(), ==, (LIMIT_MB - 9) * MB);
  CHECK(scalloc_realloc(block, 30 * MB) == block);
  CHECK_INT(unit_charge_left(), ==, (LIMIT_MB - 30) * MB);
}

static void make_heaps_in_vain(unsigned number) {
  (void)number;
  for (int i = 0; i < IN_VAIN; i++) CHECK(scalloc_heap_new() == NULL);
}

/* The zone of an arena this small has room for some 7,000 heaps. */
static void threads_refused_together_lose_no_heap(void) {
  unit_arena(64 * MB);
  os_fake_refuse(OS_OPEN, 1, true);
  unit_threads(THREADS, make_heaps_in_vain);
  os_fake_refuse(OS_OPEN, 0, false);
  for (int i = 0; i < 5000; i++) CHECK(scalloc_heap_new() != NULL);
}

UNIT_MAIN(CASE(the_limit_holds_while_blocks_shrink), CASE(the_limit_holds_while_the_os_keeps_what_shrinks),
          CASE(pages_kept_by_the_os_when_a_block_shrinks_are_counted_until_it_takes_them),
          CASE(pages_given_back_when_a_block_shrinks_may_be_charged_again), CASE(threads_refused_together_lose_no_heap))
