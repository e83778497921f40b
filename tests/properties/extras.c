/*
 * extras.c - what the original fails and is no property of the algorithm: the corners of the interface.
 */
#include "properties.h"

static bool disjoint_blocks(const void *a, const void *b) {
  uintptr_t x = (uintptr_t)a, y = (uintptr_t)b;
  return x + scalloc_usable_size(a) <= y || y + scalloc_usable_size(b) <= x;
}

/* memalign(64, 100), free, malloc(170): the block of the malloc is whole and is nobody else's (B1 of the original). */
static void memalign_overlap(void) {
  enum { LIVE = 64 };
  static extent extents[2 * LIVE];
  for (size_t alignment = 32; alignment <= 4 * MB; alignment *= 2)
    for (size_t size = 1; size <= 300000; size = size * 3 + 7) {
      void *blocks[2 * LIVE];
      size_t n = alignment > 64 * KB ? 4 : LIVE;
      for (size_t i = 0; i < n; i++) CHECK((blocks[i] = scalloc_aligned_alloc(alignment, size)) != NULL);
      for (size_t i = 0; i < n; i++) CHECK_INT((uintptr_t)blocks[i] % alignment, ==, 0);
      for (size_t i = 0; i < n; i += 2) scalloc_free(blocks[i]);
      size_t after = size + size / 2 + 20;
      for (size_t i = 0; i < n; i += 2) CHECK((blocks[i] = scalloc_malloc(after)) != NULL);
      for (size_t i = 0; i < n; i++) {
        size_t usable = scalloc_usable_size(blocks[i]);
        CHECK_INT(usable, >=, i % 2 ? size : after);
        extents[i] = (extent){(uintptr_t)blocks[i], (uintptr_t)blocks[i] + usable};
        fill(blocks[i], i % 2 ? size : after);
      }
      check_disjoint(extents, n);
      for (size_t i = 0; i < n; i++) CHECK(intact(blocks[i], i % 2 ? size : after)), scalloc_free(blocks[i]);
    }
  check_heap();
}

/* Blocks above 1 MB at every alignment are freed as what they are (B2). */
static void aligned_huge_free(void) {
  scalloc_free(scalloc_malloc(1));
  stats before = stats_now();
  for (size_t alignment = 16; alignment <= 64 * MB; alignment *= 2)
    for (size_t size = MB + 1; size <= 20 * MB; size = size * 2 + 4097) {
      unsigned char *block = scalloc_aligned_alloc(alignment, size), *other = scalloc_aligned_alloc(alignment, size);
      CHECK(block && other && disjoint_blocks(block, other));
      CHECK((uintptr_t)block % alignment == 0 && (uintptr_t)other % alignment == 0);
      block[0] = block[size - 1] = other[0] = other[size - 1] = 1;
      scalloc_free(block);
      unsigned char *grown = scalloc_realloc(other, 2 * size);
      CHECK(grown && grown[0] == 1 && grown[size - 1] == 1);
      scalloc_free(grown);
    }
  check_all_returned(before);
}

/* realloc(p, 0) frees and gives NULL; a shrink keeps the rest and gives memory back; aligned blocks keep their contents. */
static void realloc_cases(void) {
  scalloc_free(scalloc_malloc(1));
  stats before = stats_now();
  for (int i = 0; i < 100000; i++) CHECK(scalloc_realloc(scalloc_malloc(1000), 0) == NULL);
  CHECK_INT(stats_now().opened, <=, before.opened + 3); /* they were freed */
  for (size_t from = 100; from <= 30 * MB; from = from * 3 + 1)
    for (size_t to = 1; to < from; to = to * 4 + 1) {
      unsigned char *block = scalloc_malloc(from);
      fill(block, from);
      unsigned char *shrunk = scalloc_realloc(block, to);
      CHECK(shrunk && intact_prefix(shrunk, to, block, from));
      CHECK_INT(scalloc_usable_size(shrunk), >=, to);
      if (to <= MB && to > 64) CHECK_INT(scalloc_usable_size(shrunk), <=, 2 * to > 128 * KB && from > MB ? 4 * MB : 2 * to);
      scalloc_free(shrunk);
    }
  for (size_t alignment = 32; alignment <= 4 * MB; alignment *= 4)
    for (size_t size = 10; size <= 3 * MB; size = size * 7 + 5) {
      unsigned char *block = scalloc_aligned_alloc(alignment, size);
      fill(block, size);
      unsigned char *moved = scalloc_realloc(block, 3 * size);
      CHECK(moved && intact_prefix(moved, size, block, size));
      memset(moved, 1, 3 * size);
      moved = scalloc_realloc(moved, size / 2 + 1);
      CHECK(moved && all_bytes(moved, size / 2 + 1, 1));
      scalloc_free(moved);
    }
  check_all_returned(before);
}

static int address_order(const void *left, const void *right) {
  uintptr_t a = (uintptr_t) * (void *const *)left, b = (uintptr_t) * (void *const *)right;
  return (a > b) - (a < b);
}

static void malloc_zero(void) {
  enum { COUNT = 30000 };
  static void *blocks[COUNT];
  for (size_t i = 0; i < COUNT; i++) {
    void *(*const how)(size_t) = scalloc_malloc;
    blocks[i] = i % 3 == 0 ? how(0) : i % 3 == 1 ? scalloc_calloc(i % 2, 0) : scalloc_aligned_alloc(16, 0);
    CHECK(blocks[i] != NULL);
  }
  qsort(blocks, COUNT, sizeof *blocks, address_order);
  for (size_t i = 1; i < COUNT; i++) CHECK(blocks[i] != blocks[i - 1]);
  for (size_t i = 0; i < COUNT; i++) scalloc_free(blocks[i]);
  CHECK((blocks[0] = scalloc_realloc(NULL, 0)) != NULL);
  scalloc_free(blocks[0]);
  check_heap();
}

/* usable_size is at least the request, all of it can be written, and no neighbour notices. */
static void usable_size(void) {
  enum { LIVE = 16 };
  for (size_t size = 0; size <= 5 * MB; size = size < 2000 ? size + 13 : size + size / 7) {
    unsigned char *blocks[LIVE];
    for (size_t i = 0; i < LIVE; i++) {
      CHECK((blocks[i] = scalloc_malloc(size)) != NULL);
      CHECK_INT(scalloc_usable_size(blocks[i]), >=, size);
      CHECK_INT(scalloc_usable_size(blocks[i]), ==, scalloc_good_size(size));
      memset(blocks[i], (int)i + 1, scalloc_usable_size(blocks[i]));
    }
    for (size_t i = 0; i < LIVE; i++) CHECK(all_bytes(blocks[i], scalloc_usable_size(blocks[i]), (unsigned char)(i + 1)));
    for (size_t i = 0; i < LIVE; i++) scalloc_free(blocks[i]);
  }
  int here;
  CHECK_INT(scalloc_usable_size(NULL), ==, 0);
  CHECK_INT(scalloc_usable_size(&here), ==, 0);
  check_heap();
}

static void executed(void) {
  void *block = scalloc_malloc(1000);
  CHECK(block && all_bytes(memset(block, 1, 1000), 1000, 1));
  scalloc_free(block);
  fprintf(stderr, "executed\n");
}

/* The child uses what its parent had, then executes a program, which starts with an arena of its own. */
static void fork_exec(void) {
  unsigned char *block = scalloc_malloc(100000);
  fill(block, 100000);
  for (int i = 0; i < 20; i++) {
    int status;
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
      CHECK(intact(block, 100000));
      scalloc_free(block);
      CHECK((block = scalloc_malloc(100000)) != NULL);
      child c = run_self_ok("executed", NULL, 0);
      _exit(strcmp(c.err, "executed\n") != 0);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK_INT(status, ==, 0);
    CHECK(intact(block, 100000));
  }
  scalloc_free(block);
}

/* Sums and products that wrap are refused, not served short (B5); what was there stays. */
static void size_overflow(void) {
  unsigned char *block = scalloc_malloc(50);
  fill(block, 50);
  for (size_t near = 0; near < 5000; near++) {
    size_t size = SIZE_MAX - near;
    errno = 0;
    CHECK(scalloc_malloc(size) == NULL && errno == ENOMEM);
    CHECK(scalloc_realloc(block, size) == NULL);
    CHECK(scalloc_calloc(size, 1) == NULL && scalloc_calloc(size / 8, 9) == NULL);
    for (size_t alignment = 8; alignment <= 8 * MB; alignment *= 64) CHECK(scalloc_aligned_alloc(alignment, size) == NULL);
    CHECK_INT(scalloc_good_size(size), ==, 0);
  }
  for (unsigned shift = 0; shift < 64; shift++) { /* count * size is 2^64, and a little more */
    size_t count = (size_t)1 << shift, size = shift == 0 ? SIZE_MAX : (size_t)1 << (64 - shift);
    errno = 0;
    CHECK(scalloc_calloc(count, size) == NULL && errno == ENOMEM);
    CHECK(scalloc_calloc(count + 1, size) == NULL);
  }
  CHECK(intact(block, 50));
  scalloc_free(block);
  check_heap();
}

MODES(MODE(memalign_overlap), MODE(aligned_huge_free), MODE(realloc_cases), MODE(malloc_zero), MODE(usable_size),
      MODE(fork_exec), MODE(executed), MODE(size_overflow))
