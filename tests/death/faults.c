/*
 * faults.c - one fault by name, for a tool that watches memory to tell: accesses that no call of the library sees.
 *
 *   faults NAME      prints the address that is going to be touched, then touches it
 *   faults clean     no fault at all
 */
#include "../test.h"

#if HAVE_LUA_ALLOC
#include <lauxlib.h>
#include <lualib.h>
#include <scalloc/lua_alloc.h>
#endif

enum { SIZE = 100 };

static volatile char seen;

static void touch(const void *block, ptrdiff_t offset, bool write) {
  char *volatile at = (char *)(uintptr_t)block + offset;
  fprintf(stderr, "%p\n", (void *)at);
  if (write)
    *(volatile char *)at = 'A';
  else
    seen = *(volatile char *)at;
}

static char *freed(void *block) {
  scalloc_free(block);
  return block;
}

static void read_after_free(void) { touch(freed(scalloc_malloc(SIZE)), 50, false); }
static void write_after_free(void) { touch(freed(scalloc_malloc(SIZE)), 0, true); }
static void read_behind(void) { touch(scalloc_malloc(SIZE), SIZE, false); }
static void write_behind(void) { touch(scalloc_malloc(SIZE), SIZE, true); }
static void behind_calloc(void) { touch(scalloc_calloc(1, SIZE + 3), SIZE + 3, false); }
static void behind_medium(void) { touch(scalloc_malloc(200000), 200000, true); }
static void behind_large(void) { touch(scalloc_malloc(3 * MB), (ptrdiff_t)(3 * MB), true); }
static void behind_grown(void) { touch(scalloc_realloc(scalloc_malloc(SIZE), SIZE + 2), SIZE + 2, false); }
static void behind_shrunk(void) { touch(scalloc_realloc(scalloc_malloc(SIZE), SIZE - 3), SIZE - 3, false); }
static void in_front(void) {
  CHECK(scalloc_malloc(SIZE));
  touch(scalloc_malloc(SIZE), -1, false);
}
static void moved(void) {
  char *block = scalloc_malloc(SIZE);
  CHECK(scalloc_realloc(block, 5000));
  touch(block, 10, false);
}
static void heap_freed(void) {
  scalloc_heap *heap = scalloc_heap_new();
  char *block = scalloc_heap_malloc(heap, SIZE);
  scalloc_heap_free(heap, block);
  touch(block, 50, false);
}
static void heap_destroyed(void) {
  scalloc_heap *heap = scalloc_heap_new();
  char *block = scalloc_heap_malloc(heap, SIZE);
  scalloc_heap_destroy(heap);
  touch(block, 50, false);
}
static void never_handed_out(void) {
  char *block = scalloc_malloc(SIZE), *next = scalloc_malloc(SIZE);
  touch(next, next - block, false);
}

static void leak(void) {
  void *volatile block = scalloc_malloc(SIZE);
  memset(block, 0, SIZE);
  block = NULL;
}
static void uninitialised(void) {
  char *block = scalloc_malloc(SIZE);
  if (block[5] == 'x') puts("x");
}

#if HAVE_LUA_ALLOC
static void lua_freed(void) {
  scalloc_lua_heap *heap = scalloc_lua_heap_new(NULL);
  char *block = scalloc_lua_alloc(heap, NULL, 0, SIZE);
  scalloc_lua_alloc(heap, block, SIZE, 0);
  touch(block, 50, false);
}
static void lua_behind(void) { touch(scalloc_lua_alloc(scalloc_lua_heap_new(NULL), NULL, 0, 24), 24, true); }

static void lua_is_clean(void) {
  lua_State *L = scalloc_lua_newstate(NULL);
  CHECK(L != NULL);
  luaL_openlibs(L);
  CHECK(luaL_dostring(L, "local t = {} for i = 1, 3000 do t[i] = { ('x'):rep(i % 100), i } end"
                         " t = nil collectgarbage() return #string.rep('abc', 500000)") == 0);
  CHECK(lua_tointeger(L, -1) == 1500000);
  scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FULL);
}
#endif

static void clean(void) {
  enum { COUNT = 500 };
  static char *blocks[COUNT];
  scalloc_heap *heap = scalloc_heap_new();
  for (size_t i = 0; i < 20 * COUNT; i++) {
    char **slot = &blocks[i * 7 % COUNT];
    size_t size = i * i % 3000 + i % 50 * (i % 101 == 0 ? 40000 : 1) + 1;
    if (i % 3) scalloc_free(*slot), *slot = i % 2 ? scalloc_malloc(size) : scalloc_heap_malloc(heap, size);
    if (!(i % 3)) *slot = scalloc_realloc(*slot, size);
    fill(*slot, size);
    CHECK(intact(*slot, size));
  }
  for (size_t i = 0; i < COUNT; i++) scalloc_free(blocks[i]), blocks[i] = NULL;
  scalloc_heap_destroy(heap);
  check_heap();
#if HAVE_LUA_ALLOC
  lua_is_clean();
#endif
}

static const struct {
  const char *name;
  void (*run)(void);
} faults[] = {
    {"read_after_free", read_after_free},
    {"write_after_free", write_after_free},
    {"read_behind", read_behind},
    {"write_behind", write_behind},
    {"behind_calloc", behind_calloc},
    {"behind_medium", behind_medium},
    {"behind_large", behind_large},
    {"behind_grown", behind_grown},
    {"behind_shrunk", behind_shrunk},
    {"in_front", in_front},
    {"moved", moved},
    {"heap_freed", heap_freed},
    {"heap_destroyed", heap_destroyed},
    {"never_handed_out", never_handed_out},
    {"leak", leak},
    {"uninitialised", uninitialised},
#if HAVE_LUA_ALLOC
    {"lua_freed", lua_freed},
    {"lua_behind", lua_behind},
#endif
    {"clean", clean},
};

int main(int argc, char **argv) {
  CHECK(scalloc_option_set("SCALLOC_GUARD_SAMPLE", 0)); /* the tool is to tell it, not a closed page */
  for (size_t i = 0; argc == 2 && i < LENGTH(faults); i++)
    if (strcmp(faults[i].name, argv[1]) == 0) return faults[i].run(), 0;
  return 2;
}
