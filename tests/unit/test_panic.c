/* test_panic.c - what is no live block is refused with its address and the reason, and nothing has changed. */
#include "unit.h"

static void free_it(void *block) { scalloc_free(block); }
static void resize_it(void *block) { CHECK(scalloc_realloc(block, 100) == NULL); }

static void check_panics(void *address, const char *why) {
  static void (*const acts[])(void *) = {free_it, resize_it};
  char expected[200];
  snprintf(expected, sizeof expected, "invalid pointer %p: %s", address, why);
  for (size_t i = 0; i < LENGTH(acts); i++) {
    const char *said = os_fake_panic_of(acts[i], address);
    if (said == NULL || strcmp(said, expected) != 0)
      test_fail(__FILE__, __LINE__, "'%s' where '%s' should be", said ? said : "nothing", expected);
    check_heap();
  }
}

/* This thread owns no small span, so that every free takes the way with all checks. */
static char *block_of_another_heap(size_t size) {
  char *block = scalloc_heap_malloc(scalloc_heap_new(), size);
  CHECK(block != NULL);
  CHECK(scalloc_malloc(3 * MB) != NULL);
  return block;
}

static void what_is_not_in_the_arena(void) {
  int local = 0;
  void *foreign = malloc(10);
  scalloc_free(scalloc_malloc(10));
  check_panics(&local, "not in the arena of this allocator");
  check_panics(foreign, "not in the arena of this allocator");
  check_panics((void *)(arena.base - 8), "not in the arena of this allocator");
  check_panics((void *)(arena.base + arena.opened), "not in the arena of this allocator");
  free(foreign);
}

static void anything_before_the_first_allocation(void) {
  int local = 0;
  const char *said = os_fake_panic_of(free_it, &local);
  CHECK(said != NULL && strstr(said, "not in the arena") != NULL);
}

static void what_lies_off_the_grid_of_blocks(void) {
  char *block = block_of_another_heap(100);
  check_panics(block + 1, "not a block");
  check_panics(block + 4, "not a block");
}

static void what_lies_before_the_first_block(void) {
  span *s = NULL;
  for (int i = 0; s == NULL || s->first == 0; i++) s = span_of(block_of_another_heap(100)); /* some colour */
  check_panics(span_start(s), "not a block");
  check_panics(span_start(s) + s->first - 8, "not a block");
}

static void the_inside_of_a_large_block(void) {
  char *block = scalloc_malloc(5 * MB);
  check_panics(block + 16, "inside a large block");
  check_panics(block + PAGE, "inside a large block");
  check_panics(block + 2 * MB, "inside a large block");
  check_panics(block + 5 * MB - 16, "inside a large block");
  scalloc_free(block);
}

static void memory_that_is_not_allocated(void) {
  char *large = scalloc_malloc(5 * MB), *small = scalloc_malloc(100);
  scalloc_free(large);
  check_panics(large, "in memory that is not allocated"); /* warm */
  scalloc_purge();
  check_panics(large, "in memory that is not allocated"); /* clean */
  check_panics(arena_span_start(arena_high_water()), "in memory that is not allocated");
  check_panics(arena_span_start(0), "in memory that is not allocated");
  scalloc_free(small);
}

static void an_empty_span_of_the_pool(void) {
  scalloc_heap *h = scalloc_heap_new();
  char *block = scalloc_heap_malloc(h, 100);
  scalloc_heap_destroy(h);
  CHECK(scalloc_malloc(3 * MB) != NULL);
  check_panics(block, "in memory that is not allocated");
}

static void but_null_and_live_blocks_are_free_of_it(void) {
  CHECK(os_fake_panic_of(free_it, NULL) == NULL);
  for (size_t size = 0; size < 5 * MB; size = size * 2 + 1) CHECK(os_fake_panic_of(free_it, scalloc_malloc(size)) == NULL);
  check_heap();
}

UNIT_MAIN(CASE(what_is_not_in_the_arena), CASE(anything_before_the_first_allocation), CASE(what_lies_off_the_grid_of_blocks),
          CASE(what_lies_before_the_first_block), CASE(the_inside_of_a_large_block), CASE(memory_that_is_not_allocated),
          CASE(an_empty_span_of_the_pool), CASE(but_null_and_live_blocks_are_free_of_it))
