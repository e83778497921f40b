/* What is told of a heap for Lua block by block and class by class, against what was allocated. */
#include "../test.h"
#include <lauxlib.h>
#include <lualib.h>
#include <scalloc/lua_alloc.h>

enum { MOST = 20000 };

typedef struct {
  extent at[MOST];
  size_t sizes[MOST], count, bytes;
} picture;

static picture expected, seen;

static void note_block(void *userdata, const scalloc_lua_block *block) {
  picture *p = userdata;
  CHECK(p->count < MOST);
  CHECK(block->size <= block->room && block->start != NULL);
  p->at[p->count++] = (extent){(uintptr_t)block->start, (uintptr_t)block->start + block->size};
  p->bytes += block->size;
}

static void add(scalloc_lua_heap *heap, size_t size) {
  void *block = scalloc_lua_alloc(heap, NULL, 0, size);
  CHECK(block != NULL);
  expected.sizes[expected.count] = size;
  expected.at[expected.count++] = (extent){(uintptr_t)block, (uintptr_t)block + size};
}

static void drop(scalloc_lua_heap *heap, size_t i) {
  CHECK(scalloc_lua_alloc(heap, (void *)expected.at[i].start, expected.sizes[i], 0) == NULL);
  expected.count--;
  expected.at[i] = expected.at[expected.count];
  expected.sizes[i] = expected.sizes[expected.count];
}

/* Every block of `expected` is seen once, with at least its size, and no other. */
static void check_picture(scalloc_lua_heap *heap) {
  static extent sorted[MOST];
  memset(&seen, 0, sizeof seen);
  CHECK_INT(scalloc_lua_walk(heap, note_block, &seen), ==, expected.count);
  CHECK_INT(scalloc_lua_walk(heap, NULL, NULL), ==, expected.count);
  CHECK_INT(seen.count, ==, expected.count);
  CHECK_INT(seen.bytes, >=, scalloc_lua_used(heap));
  memcpy(sorted, expected.at, sizeof sorted);
  qsort(sorted, expected.count, sizeof sorted[0], extent_order);
  check_disjoint(seen.at, seen.count);
  for (size_t i = 0; i < seen.count; i++) {
    CHECK_INT(seen.at[i].start, ==, sorted[i].start);
    CHECK_INT(seen.at[i].end, >=, sorted[i].end);
  }
}

static void check_figures(scalloc_lua_heap *heap) {
  scalloc_lua_stats s = {.size = sizeof s};
  CHECK(scalloc_lua_stats_read(heap, &s));
  size_t live = 0, room = 0;
  for (size_t i = 0; i < SCALLOC_LUA_CLASSES; i++) {
    live += s.classes[i].live;
    room += s.classes[i].live * s.classes[i].size;
    CHECK(i == 0 || i == SCALLOC_LUA_CLASSES - 1 || s.classes[i].size > s.classes[i - 1].size);
    CHECK((s.classes[i].live != 0) <= (s.classes[i].spans != 0));
  }
  CHECK_INT(s.blocks, ==, expected.count);
  CHECK_INT(live, >=, expected.count); /* those of a quarantine, too */
  if (!TEST_TRACKED) CHECK_INT(live, ==, expected.count);
  CHECK_INT(scalloc_lua_leaks(heap), ==, s.blocks);
  CHECK_INT(s.used, ==, scalloc_lua_used(heap));
  CHECK_INT(s.committed, >=, s.used);
  CHECK(s.hot + s.floating + s.reusable + s.large > 0 || s.blocks == 0);
}

static void a_walk_sees_what_lives(void) {
  rng random = {3};
  scalloc_lua_heap *heap = scalloc_lua_heap_new(NULL);
  CHECK_INT(scalloc_lua_walk(heap, note_block, &seen), ==, 0);
  for (int round = 0; round < 30; round++) {
    while (expected.count < MOST - 5) add(heap, rng_log(&random, rng_percent(&random, 99) ? 8 : 13));
    if (round % 3 == 0) add(heap, 3 * MB + (size_t)round), add(heap, MB), add(heap, MB + 1);
    check_picture(heap);
    check_figures(heap);
    while (expected.count > (size_t)(round % 4) * 3000) drop(heap, rng_below(&random, expected.count));
    check_picture(heap);
    check_figures(heap);
  }
  while (expected.count > 0) drop(heap, 0);
  check_picture(heap);
  CHECK_INT(scalloc_lua_used(heap), ==, 0);
  scalloc_lua_heap_destroy(heap);
  check_heap();
}

static void an_unknown_version_is_refused(void) {
  scalloc_lua_heap *heap = scalloc_lua_heap_new(NULL);
  scalloc_lua_stats s = {.size = 8, .used = 77};
  CHECK(!scalloc_lua_stats_read(heap, &s) && s.used == 77);
  scalloc_lua_heap_destroy(heap);
}

static void a_full_close_leaves_nothing(void) {
  lua_State *L = luaL_newstate();
  lua_close(L);
  scalloc_lua_heap *heap = scalloc_lua_heap_new(NULL);
  CHECK((L = lua_newstate(scalloc_lua_alloc, heap)) != NULL && scalloc_lua_openlibs(L) == LUA_OK);
  CHECK(luaL_dostring(L, "t = {} for i = 1, 10000 do t[i] = {tostring(i)} end") == LUA_OK);
  CHECK_INT(scalloc_lua_walk(heap, NULL, NULL), >, 20000);
  lua_close(L);
  CHECK_INT(scalloc_lua_walk(heap, NULL, NULL), ==, 0);
  CHECK_INT(scalloc_lua_leaks(heap), ==, 0);
  CHECK_INT(scalloc_lua_used(heap), ==, 0);
  scalloc_lua_heap_destroy(heap);
}

static size_t committed(void) { return (size_t)stats_now().committed; }

static void a_trim_gives_memory_back(void) {
  enum { COUNT = 20000, SIZE = 1000 };
  static void *blocks[COUNT];
  static const unsigned sets[] = {0, SCALLOC_LUA_TAG_SEGREGATE, SCALLOC_LUA_GUARD};
  scalloc_purge();
  for (size_t k = 0; k < LENGTH(sets); k++) {
    scalloc_lua_config config = {.size = sizeof config, .flags = sets[k]};
    scalloc_lua_heap *heap = scalloc_lua_heap_new(&config);
    size_t before = committed();
    for (size_t i = 0; i < COUNT; i++) CHECK((blocks[i] = scalloc_lua_alloc(heap, NULL, 4 + i % 5, SIZE)) != NULL);
    void *kept = scalloc_lua_alloc(heap, NULL, 0, 64);
    memset(kept, 'k', 64);
    for (size_t i = 0; i < COUNT; i++) CHECK(scalloc_lua_alloc(heap, blocks[i], SIZE, 0) == NULL);
    size_t full = committed();
    CHECK_INT(full - before, >, COUNT * SIZE / 2);
    CHECK_INT(scalloc_lua_trim(heap, 100 * MB), ==, 0); /* so much may stay */
    CHECK_INT(scalloc_lua_trim(heap, MB), >, COUNT * SIZE / 2);
    CHECK_INT(committed(), <, before + MB + 64 * KB);
    CHECK_INT(scalloc_lua_trim(heap, 0), ==, 0); /* nothing is left to give */
    CHECK(all_bytes(kept, 64, 'k'));
    check_heap();
    scalloc_lua_heap_destroy(heap);
  }
}

int main(void) {
  without_quarantine();
  a_walk_sees_what_lives();
  an_unknown_version_is_refused();
  a_full_close_leaves_nothing();
  a_trim_gives_memory_back();
  return 0;
}
