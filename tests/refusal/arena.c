/*
 * arena.c - an arena of 1 GB used to the brim and again: whatever was freed serves any other size as well as a fresh arena would,
 * and what is held when there is no more stays as it was.
 */
#include "../test.h"

enum { HELD_MOST = 1 << 18, MARKED = 64, SECONDS = 110 };

#define ARENA ((size_t)1 << 30)
#define SPAN ((size_t)1 << SPAN_SHIFT)
#define ARENA_TEXT "SCALLOC_ARENA_BYTES=1073741824"

typedef void *allocator(size_t size);

static scalloc_heap *heap;

static void *by_malloc(size_t size) { return scalloc_malloc(size); }
static void *by_calloc(size_t size) { return scalloc_calloc(size, 1); }
static void *by_heap(size_t size) { return scalloc_heap_malloc(heap, size); }
static void *by_page(size_t size) { return scalloc_aligned_alloc(4096, size); }
static void *by_growth(size_t size) {
  void *block = scalloc_malloc(size / 2), *grown = scalloc_realloc(block, size);
  if (grown == NULL) scalloc_free(block);
  return grown;
}

static unsigned char *held[HELD_MOST];
static size_t held_size, count;

/* Takes blocks until there are no more. Returns the bytes. */
static size_t fill_up(allocator *allocate, size_t size) {
  held_size = size;
  for (count = 0;; count++) {
    CHECK_INT(count, <, HELD_MOST);
    errno = 0;
    unsigned char *block = allocate(size);
    if (block == NULL) break;
    if (allocate == by_calloc) CHECK(all_bytes(block, MARKED, 0) && all_bytes(block + size - MARKED, MARKED, 0));
    fill(block, MARKED);
    fill(block + size - MARKED, MARKED);
    held[count] = block;
  }
  CHECK_INT(errno, ==, ENOMEM);
  check_heap();
  return count * size;
}

static void free_every(size_t step) {
  for (size_t i = 0; i < count; i++) {
    if (held[i] == NULL) continue;
    CHECK(intact(held[i], MARKED) && intact(held[i] + held_size - MARKED, MARKED));
    if (i % step != 0) continue;
    scalloc_free(held[i]);
    held[i] = NULL;
  }
}

/* One size after another has the whole arena: spans of a class, then of another, then runs of them. */
static const struct round {
  allocator *allocate;
  size_t size, waste; /* waste: percent of the arena, at most */
} rounds[] = {
    {by_malloc, 40960, 4},      {by_malloc, 1 << 20, 4},    {by_malloc, 24576, 4},  {by_calloc, 5000000, 24},
    {by_heap, 65536, 4},        {by_malloc, 100 << 20, 24}, {by_page, 49152, 4},    {by_calloc, 300000, 18},
    {by_malloc, 2 << 20, 4},    {by_growth, 700000, 37},    {by_malloc, 114688, 6}, {by_calloc, 20 << 20, 12},
    {by_malloc, MB + 4096, 53}, {by_heap, 40960, 4},
};

static void one_round(const struct round *r) {
  CHECK((heap = scalloc_heap_new()) != NULL);
  size_t bytes = fill_up(r->allocate, r->size);
  printf("%zu blocks of %zu: %zu MB\n", count, r->size, bytes / MB);
  CHECK_INT(bytes, >=, ARENA / 100 * (100 - r->waste));
  CHECK_INT(bytes, <=, ARENA);
  free_every(1);
  scalloc_heap_destroy(heap);
  check_heap();
  CHECK_INT(stats_now().live, ==, 0);
}

static void every_size_in_turn(void) {
  for (size_t i = 0; i < LENGTH(rounds); i++) one_round(&rounds[i]);
}

/* The empty span that each size leaves behind for the next block of it may lie in the way of a run; a purge takes it. */
static void every_size_after_a_purge(void) {
  for (size_t i = 0; i < LENGTH(rounds); i++) {
    scalloc_purge();
    one_round(&rounds[i]);
    if (rounds[i].size > MB) CHECK_INT(count, ==, (ARENA / SPAN - 1) / ((rounds[i].size + SPAN - 1) / SPAN));
  }
}

/* With the arena full, half of the blocks freed make room for as many again. */
static void half_freed_half_served(void) {
  for (int round = 0; round < 3; round++) {
    fill_up(by_malloc, 57344);
    size_t all = count, again = 0;
    free_every(2);
    for (size_t i = 0; i < all; i += 2) {
      held[i] = scalloc_malloc(57344);
      if (held[i] == NULL) break;
      fill(held[i], MARKED);
      fill(held[i] + held_size - MARKED, MARKED);
      again++;
    }
    CHECK_INT(again, ==, (all + 1) / 2);
    free_every(1);
    check_heap();
  }
}

/* A full arena is no matter to what needs no memory: frees, shrinks, statistics. */
static void what_needs_no_memory_works(void) {
  fill_up(by_malloc, MB);
  for (size_t i = 0; i < count; i++) {
    unsigned char *old = held[i];
    held[i] = scalloc_realloc(old, 200);
    CHECK(held[i] != NULL && intact_prefix(held[i], MARKED, old, MARKED));
    scalloc_free(held[i]);
  }
  check_span_sum(stats_now());
  check_heap();
}

static void brim(void) {
  CHECK(scalloc_malloc(ARENA) == NULL);
  CHECK_INT(errno, ==, ENOMEM);
  every_size_in_turn();
  every_size_after_a_purge();
  half_freed_half_served();
  what_needs_no_memory_works();
  scalloc_purge();
  CHECK_INT(stats_now().committed, ==, 0);
  CHECK_INT(stats_now().reserved, ==, ARENA);
}

int main(int argc, char **argv) {
  alarm(SECONDS);
  if (argc > 1) return strcmp(argv[1], "brim") == 0 ? brim() : every_size_in_turn(), 0;
  run_self_ok("brim", (char *[]){(char *)(uintptr_t)ARENA_TEXT, NULL}, 0);
  run_self_ok("sizes", (char *[]){(char *)(uintptr_t)ARENA_TEXT, (char *)(uintptr_t) "SCALLOC_PURGE_DELAY_MS=-1", NULL}, 0);
  run_self_ok("sizes", (char *[]){(char *)(uintptr_t)ARENA_TEXT, (char *)(uintptr_t) "SCALLOC_PURGE_DELAY_MS=0", NULL}, 0);
  return 0;
}
