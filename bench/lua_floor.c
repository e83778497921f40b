/*
 * lua_floor.c - see lua_floor.h.
 */
#include "lua_floor.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { UNIT = 8, LARGEST = 1024, CUT = 4096, PIECE = 65536 };
static const size_t ARENA = (size_t)8 << 30;

typedef struct bin {
  void *free;
  char *at, *end; /* what is left of its piece */
} bin;

static bin bins[LARGEST / UNIT + 1];
static char *arena, *arena_end;

static bin *bin_of(size_t size) { return &bins[(size + UNIT - 1) / UNIT]; }

static void *next_of(const void *block) {
  void *next;
  memcpy(&next, block, sizeof next);
  return next;
}

static void put(bin *b, void *block) {
  memcpy(block, &b->free, sizeof b->free);
  b->free = block;
}

static char *piece_take(void) {
  if (arena == NULL) {
    void *all = mmap(NULL, ARENA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (all == MAP_FAILED) return NULL;
    arena = all;
    arena_end = arena + ARENA;
  }
  if (arena == arena_end) return NULL;
  arena += PIECE;
  return arena - PIECE;
}

/* The blocks of the next page in the order of their addresses. */
static __attribute__((noinline)) void *cut(bin *b) {
  size_t size = (size_t)(b - bins) * UNIT, count = CUT / size;
  if ((size_t)(b->end - b->at) < size) {
    char *piece = piece_take();
    if (piece == NULL) return NULL;
    b->at = piece;
    b->end = piece + PIECE;
  }
  if (count > (size_t)(b->end - b->at) / size) count = (size_t)(b->end - b->at) / size;
  char *first = b->at;
  b->at += count * size;
  while (--count > 0) put(b, first + count * size);
  return first;
}

static void *take(size_t size) {
  if (size > LARGEST) return malloc(size);
  bin *b = bin_of(size);
  void *block = b->free;
  if (block == NULL) return cut(b);
  b->free = next_of(block);
  return block;
}

static void give(void *block, size_t size) {
  if (size > LARGEST)
    free(block);
  else
    put(bin_of(size), block);
}

void *lua_floor(void *ud, void *block, size_t osize, size_t nsize) {
  (void)ud;
  if (nsize == 0) {
    if (block != NULL) give(block, osize);
    return NULL;
  }
  if (block == NULL) return take(nsize);
  if (osize > LARGEST && nsize > LARGEST) return realloc(block, nsize);
  if (osize <= LARGEST && nsize <= LARGEST && bin_of(osize) == bin_of(nsize)) return block;
  void *moved = take(nsize);
  if (moved == NULL) return NULL;
  memcpy(moved, block, osize < nsize ? osize : nsize);
  give(block, osize);
  return moved;
}
