/*
 * test_walk.c - the walkers on slots that make no sense: what they see of a heap that others work in, or that is damaged. They
 * stay in the table and in the span, come to an end, and count what there is.
 */
#include "unit.h"

#include "large.h"
#include "thread.h"
#include "walk.h"

static char *blocks[64]; /* of 64 KB: 32 fill a span, which is then floating */
static span *full;

static void begin(void) {
  CHECK(scalloc_option_set("SCALLOC_PURGE_DELAY_MS", -1));
  unit_arena((size_t)4 << 30);
  for (size_t i = 0; i < LENGTH(blocks); i++) CHECK(blocks[i] = scalloc_malloc(65536));
  full = span_of(blocks[0]);
  CHECK_INT(span_state_now(full), ==, SPAN_FLOATING);
  CHECK_INT(full->first, ==, 0);
}

static void **at(char *block) { return (void **)(void *)block; }

/* blocks[from] .. blocks[to - 1], each leading to the next. */
static void *chain(size_t from, size_t to) {
  for (size_t i = from; i < to; i++) *at(blocks[i]) = i + 1 < to ? blocks[i + 1] : NULL;
  return blocks[from];
}

/* ---- lists inside a span ----------------------------------------------------------------------------------------------- */

static void a_list_is_as_long_as_it_is(void) {
  begin();
  for (uint32_t n = 1; n <= 32; n++) CHECK_INT(walk_list(full, chain(0, n), 32), ==, n);
  CHECK_INT(walk_list(full, NULL, 32), ==, 0);
  CHECK_INT(walk_list(full, NULL, 0), ==, 0);
}

static void a_list_that_is_too_long_is_one_more_than_the_most(void) {
  begin();
  CHECK_INT(walk_list(full, chain(0, 9), 8), ==, 9);
  CHECK_INT(walk_list(full, chain(0, 1), 0), ==, 1);
  *at(blocks[3]) = chain(0, 4);
  CHECK_INT(walk_list(full, blocks[0], 32), ==, 33);
}

static void a_list_that_leaves_the_blocks_is_too(void) {
  begin();
  chain(0, 8);
  char *const bad[] = {blocks[0] + 8, blocks[1] - 1, span_start(full) - 8, span_start(full) + SPAN_BYTES, (char *)8};
  for (size_t i = 0; i < LENGTH(bad); i++) {
    CHECK_INT(walk_list(full, bad[i], 32), ==, 33);
    *at(blocks[7]) = bad[i];
    CHECK_INT(walk_list(full, blocks[0], 32), ==, 33);
  }
  full->bump -= 65536; /* a block never carved is on no list */
  CHECK_INT(walk_list(full, blocks[31], 32), ==, 33);
  full->bump += 65536;
  full->first = 65536; /* nor is one before the first */
  *at(blocks[0]) = NULL;
  CHECK_INT(walk_list(full, blocks[0], 32), ==, 33);
}

/* Another thread is just making a large block of the span. */
static void a_span_without_a_block_size_has_no_lists(void) {
  begin();
  full->block = 0;
  CHECK_INT(walk_list(full, blocks[0], 32), ==, 33);
}

/* ---- is a block free? -------------------------------------------------------------------------------------------------- */

static void a_block_on_any_list_is_free(void) {
  begin();
  for (uint32_t i = 0; i < 32; i++) CHECK(!walk_is_free(full, i));
  full->free = chain(0, 3);
  full->spare = chain(4, 6);
  chain(8, 10);
  full->word = word_with_list(full->word, (uint32_t)((size_t)(blocks[8] - span_start(full)) >> GRANULE_SHIFT), 2);
  for (uint32_t i = 0; i < 32; i++) CHECK_INT(walk_is_free(full, i), ==, i < 3 || i == 4 || i == 5 || i == 8 || i == 9);
  full->bump -= 2 * 65536;
  CHECK(walk_is_free(full, 31) && walk_is_free(full, 30) && !walk_is_free(full, 29));
}

static void a_broken_list_is_followed_as_far_as_it_goes(void) {
  begin();
  full->free = chain(0, 3);
  *at(blocks[2]) = (void *)(uintptr_t)8; /* and not there */
  CHECK(walk_is_free(full, 2));
  CHECK(!walk_is_free(full, 5) && !walk_is_free(full, 3));
  *at(blocks[2]) = blocks[0]; /* a circle */
  CHECK(walk_is_free(full, 1) && !walk_is_free(full, 3));
  scalloc_block found;
  CHECK(scalloc_find(blocks[3] + 100, &found) && found.live && found.start == blocks[3]);
}

/* ---- the table --------------------------------------------------------------------------------------------------------- */

static void a_step_goes_over_a_block_or_run_as_a_whole(void) {
  begin();
  span *s = span_of(scalloc_malloc(9 * MB));
  CHECK(scalloc_malloc(9 * MB) == span_start(s + 5));
  CHECK_INT(walk_step(full), ==, 1);
  CHECK_INT(walk_step(s), ==, 5);
  CHECK_INT(walk_step(s + 1), ==, 1); /* a tail, when the head is gone */
  scalloc_free(span_start(s));
  CHECK_INT(span_state_now(s), ==, SPAN_RUN);
  CHECK_INT(walk_step(s), ==, 5);
  s[4].run = 3; /* left from an earlier run that began there */
  CHECK_INT(walk_step(s + 4), ==, 1);
}

static void a_step_is_never_nothing_and_never_leads_out_of_the_table(void) {
  begin();
  span *s = span_of(scalloc_malloc(9 * MB));
  static const uint32_t lengths[] = {0, 6, 1000000, UINT32_MAX};
  for (size_t i = 0; i < LENGTH(lengths); i++) {
    s->run = lengths[i];
    CHECK_INT(walk_step(s), ==, 1);
    walk_all();
  }
}

static void every_span_is_in_one_count(void) {
  begin();
  span *large = span_of(scalloc_malloc(9 * MB)), *empty = span_of(scalloc_malloc(100));
  scalloc_free(span_start(empty) + empty->first);
  scalloc_free(scalloc_malloc(100));
  walk_totals before = walk_all();
  CHECK_INT(before.hot + before.floating + before.reusable + before.pooled + before.large, ==, arena_high_water() - 1);
  CHECK_INT(before.large, ==, 5);
  word_t sound = full->word;
  static const span_state lost[] = {SPAN_FREE, SPAN_TAIL};
  for (size_t i = 0; i < LENGTH(lost); i++) { /* between two owners */
    full->word = word_next(sound, lost[i], 0, 0);
    walk_totals now = walk_all(), alone = {0};
    CHECK_INT(now.pooled, ==, before.pooled + 1);
    CHECK_INT(now.floating, ==, before.floating - 1);
    CHECK_INT(now.committed, ==, before.committed);
    CHECK_INT(now.backed, ==, before.backed);
    CHECK_INT(now.live, ==, before.live - 32 * 65536);
    walk_add(full, &alone); /* that changed since it was found in use */
    CHECK_INT(alone.hot + alone.floating + alone.reusable + alone.pooled + alone.large + alone.live, ==, 0);
  }
  full->word = sound;
  scalloc_free(span_start(large));
  CHECK_INT(walk_all().large, ==, 0);
  CHECK_INT(walk_all().pooled, ==, before.pooled + 5);
}

/* A free in flight: the remote list is counted before the owner's count falls. */
static void live_is_never_less_than_nothing(void) {
  begin();
  size_t live = walk_all().live;
  full->used = 1;
  full->word = word_with_list(full->word, 0, 2);
  CHECK_INT(walk_all().live, ==, live - 32 * 65536);
}

UNIT_MAIN(CASE(a_list_is_as_long_as_it_is), CASE(a_list_that_is_too_long_is_one_more_than_the_most),
          CASE(a_list_that_leaves_the_blocks_is_too), CASE(a_span_without_a_block_size_has_no_lists),
          CASE(a_block_on_any_list_is_free), CASE(a_broken_list_is_followed_as_far_as_it_goes),
          CASE(a_step_goes_over_a_block_or_run_as_a_whole), CASE(a_step_is_never_nothing_and_never_leads_out_of_the_table),
          CASE(every_span_is_in_one_count), CASE(live_is_never_less_than_nothing))
