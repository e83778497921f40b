/*
 * lua_pool.c - two-level segregated fit in one piece of memory (lua_pool.h).
 *
 *     +------+----------------------------+      a piece: a word, and the bytes up to the next piece's word. The word is the
 *     | word | block, 16-aligned          |      length of the piece, a multiple of 16, and two bits: the piece is free; the one
 *     +------+----------------------------+      before it is free. A free piece has its links in the block, and its length
 *     | word | next | prev |     | length |      again at the end, where the piece behind it finds it.
 *
 * The last piece is a word of length 0 that is never free.
 */
#include "lua_pool.h"

#include <string.h>

enum { SUBLISTS = 16, LINEAR_MAX = 256, LEVELS = 36, PIECE_MIN = LUA_POOL_LEAST, WORD = 8 };
enum { FREE = 1, BEFORE_FREE = 2, BITS = 3 };

typedef struct piece {
  size_t word;
  struct piece *next, *prev; /* free ones only */
} piece;

struct lua_pool {
  char *first, *end; /* pieces; `end` is the word of the last */
  size_t live;
  uint64_t levels;
  uint32_t sublists[LEVELS];
  piece *lists[LEVELS][SUBLISTS];
};

static size_t length_of(const piece *p) { return p->word & ~(size_t)BITS; }
static piece *behind(const piece *p) { return (piece *)(void *)((char *)(uintptr_t)p + length_of(p)); }
static void *block_of(const piece *p) { return (char *)(uintptr_t)p + WORD; }
static piece *piece_of(const void *block) { return (piece *)(void *)((char *)(uintptr_t)block - WORD); }
static size_t *length_at_end(const piece *p) { return (size_t *)(void *)((char *)behind(p) - WORD); }
static piece *before(const piece *p) { return (piece *)(void *)((char *)(uintptr_t)p - ((const size_t *)(const void *)p)[-1]); }

/* ---- the lists of free pieces ------------------------------------------------------------------------------------------ */

typedef struct {
  unsigned level, sublist;
} place;

/* The list of a length. Every piece of a list is at least as long as the shortest length that belongs in it. */
static place place_of(size_t length) {
  if (length < LINEAR_MAX) return (place){0, (unsigned)(length / 16)};
  unsigned top = log2_floor(length);
  return (place){top - 7, (unsigned)(length >> (top - 4)) & (SUBLISTS - 1)};
}

static void insert(lua_pool *pool, piece *p, size_t length) {
  place at = place_of(length);
  piece *next = pool->lists[at.level][at.sublist];
  p->word = length | FREE | (p->word & BEFORE_FREE);
  p->next = next;
  p->prev = NULL;
  if (next) next->prev = p;
  *length_at_end(p) = length;
  behind(p)->word |= BEFORE_FREE;
  pool->lists[at.level][at.sublist] = p;
  pool->levels |= (uint64_t)1 << at.level;
  pool->sublists[at.level] |= 1u << at.sublist;
}

static void take_out(lua_pool *pool, piece *p) {
  place at = place_of(length_of(p));
  if (p->next) p->next->prev = p->prev;
  if (p->prev) {
    p->prev->next = p->next;
  } else if ((pool->lists[at.level][at.sublist] = p->next) == NULL) {
    pool->sublists[at.level] &= ~(1u << at.sublist);
    if (pool->sublists[at.level] == 0) pool->levels &= ~((uint64_t)1 << at.level);
  }
  p->word &= ~(size_t)FREE;
  behind(p)->word &= ~(size_t)BEFORE_FREE;
}

/* The first of a list all of whose pieces are long enough, or of the one before it if that happens to be. */
static piece *find(const lua_pool *pool, size_t length) {
  place at = place_of(length);
  piece *p = at.level < LEVELS ? pool->lists[at.level][at.sublist] : NULL;
  if (p && length_of(p) >= length) return p;
  if (at.level >= LEVELS) return NULL;
  uint32_t sublists = pool->sublists[at.level] & (uint32_t)((uint64_t)-2 << at.sublist);
  if (sublists == 0) {
    uint64_t levels = pool->levels & (uint64_t)-2 << at.level;
    if (levels == 0) return NULL;
    at.level = (unsigned)__builtin_ctzll(levels);
    sublists = pool->sublists[at.level];
  }
  return pool->lists[at.level][__builtin_ctz(sublists)];
}

/* Makes a piece that is not free `length` long; what is left behind it becomes free. */
static void cut(lua_pool *pool, piece *p, size_t length) {
  size_t rest = length_of(p) - length;
  if (rest < PIECE_MIN) return;
  p->word = length | (p->word & BITS);
  piece *q = behind(p);
  q->word = rest;
  piece *next = behind(q);
  if (next->word & FREE) {
    take_out(pool, next);
    rest += length_of(next);
    q->word = rest;
  }
  insert(pool, q, rest);
}

/* ---- the pool ------------------------------------------------------------------------------------------------------------ */

size_t lua_pool_overhead(void) { return ((sizeof(lua_pool) + 15) & ~(size_t)15) + 16; }

lua_pool *lua_pool_make(void *memory, size_t bytes) {
  lua_pool *pool = memory;
  memset(pool, 0, sizeof *pool);
  size_t length = (bytes & ~(size_t)15) - lua_pool_overhead();
  pool->first = (char *)memory + lua_pool_overhead() - WORD; /* so that blocks are 16-aligned */
  pool->end = pool->first + length;
  *(size_t *)(void *)pool->end = 0;
  piece *all = (piece *)(void *)pool->first;
  all->word = length;
  insert(pool, all, length);
  return pool;
}

static size_t length_for(size_t size) {
  size_t length = (size + WORD + 15) & ~(size_t)15;
  return length < PIECE_MIN ? PIECE_MIN : length;
}

void *lua_pool_new(lua_pool *pool, size_t size) {
  if (size > (size_t)(pool->end - pool->first)) return NULL;
  size_t length = length_for(size);
  piece *p = find(pool, length);
  if (p == NULL) return NULL;
  take_out(pool, p);
  cut(pool, p, length);
  pool->live++;
  return block_of(p);
}

void lua_pool_free(lua_pool *pool, void *block) {
  piece *p = piece_of(block), *next = behind(p);
  size_t length = length_of(p);
  if (next->word & FREE) {
    take_out(pool, next);
    length += length_of(next);
  }
  if (p->word & BEFORE_FREE) {
    p = before(p);
    take_out(pool, p);
    length += length_of(p);
  }
  pool->live--;
  insert(pool, p, length);
}

bool lua_pool_resize(lua_pool *pool, void *block, size_t size) {
  if (size > (size_t)(pool->end - pool->first)) return false;
  piece *p = piece_of(block), *next = behind(p);
  size_t length = length_for(size), have = length_of(p);
  if (length > have) {
    if (!(next->word & FREE) || have + length_of(next) < length) return false;
    take_out(pool, next);
    p->word = (have + length_of(next)) | (p->word & BITS);
  }
  cut(pool, p, length);
  return true;
}

size_t lua_pool_room(const void *block) { return length_of(piece_of(block)) - WORD; }

bool lua_pool_has(const lua_pool *pool, const void *address) {
  return (const char *)address > pool->first && (const char *)address < pool->end;
}

size_t lua_pool_live(const lua_pool *pool) { return pool->live; }

void lua_pool_each(const lua_pool *pool, void (*visit)(void *context, void *block, size_t room), void *context) {
  for (piece *p = (piece *)(void *)pool->first; (char *)p != pool->end; p = behind(p))
    if (!(p->word & FREE)) visit(context, block_of(p), length_of(p) - WORD);
}

const char *lua_pool_check(const lua_pool *pool) {
  size_t live = 0;
  bool was_free = false;
  const char *at = pool->first;
  while (at < pool->end) {
    const piece *p = (const piece *)(const void *)at;
    bool is_free = (p->word & FREE) != 0;
    if (length_of(p) < PIECE_MIN || length_of(p) > (size_t)(pool->end - at)) return "piece of a bad length";
    if (was_free != ((p->word & BEFORE_FREE) != 0)) return "piece that does not know whether the one before it is free";
    if (was_free && is_free) return "two free pieces side by side";
    if (is_free && *length_at_end(p) != length_of(p)) return "free piece with two lengths";
    live += !is_free;
    was_free = is_free;
    at += length_of(p);
  }
  return live == pool->live ? NULL : "pieces in use that are not counted";
}
