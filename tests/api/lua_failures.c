/* What Lua states and heaps do when there is no memory, and when an error is protected by nobody. */
#include "../test.h"
#include <lauxlib.h>
#include <lualib.h>
#include <scalloc/lua_alloc.h>
#include <signal.h>

#define SET(text) ((char *[]){(char *)(uintptr_t)(text), NULL})

/* ---- no memory --------------------------------------------------------------------------------------------------------- */

/* The address space that is left does not hold the smallest arena. */
static void child_no_arena(void) {
  errno = 0;
  CHECK(scalloc_lua_heap_new(NULL) == NULL && errno == ENOMEM);
  errno = 0;
  CHECK(scalloc_lua_newstate(NULL) == NULL && errno == ENOMEM);
  CHECK(scalloc_lua_alloc(NULL, NULL, LUA_TTABLE, 100) == NULL);
}

/* There is an arena, and no byte of it to commit: the heap of a state that could not be made is gone. */
static void child_no_byte(void) {
  for (int i = 0; i < 100; i++) {
    errno = 0;
    CHECK(scalloc_lua_newstate(NULL) == NULL && errno == ENOMEM);
  }
  check_heap();
  CHECK_INT(stats_now().live, ==, 0);
  CHECK_INT(stats_now().hot + stats_now().floating, ==, 0);
  long before = rss_kb();
  for (int i = 0; i < 20000; i++) CHECK(scalloc_lua_newstate(NULL) == NULL);
  CHECK_INT(rss_kb() - before, <=, 4 * KB); /* 20,000 heap structures would be 50 MB */
}

/* Blocks of one size in a list through themselves, until there are no more. */
static void **fill_heap(scalloc_lua_heap *heap, size_t size) {
  void **list = NULL, **block;
  for (; (block = scalloc_lua_alloc(heap, NULL, LUA_TSTRING, size)); list = block) *block = list;
  CHECK(list != NULL);
  return list;
}

static void free_list(scalloc_lua_heap *heap, void **list, size_t size) {
  for (void **next; list != NULL; list = next) {
    next = *list;
    CHECK(scalloc_lua_alloc(heap, list, size, 0) == NULL);
  }
}

static void child_little_memory(void) {
  scalloc_lua_heap *heap = scalloc_lua_heap_new(NULL);
  CHECK(heap != NULL);
  unsigned char *large = scalloc_lua_alloc(heap, NULL, LUA_TSTRING, 3000000);
  CHECK(large != NULL);
  void **block = fill_heap(heap, 40000), **others = *block;
  void **pages = fill_heap(heap, 4000), **crumbs = fill_heap(heap, 64);
  size_t used = scalloc_lua_used(heap);
  memset(block, 0x5a, 40000);
  memset(large, 0x5a, 3000000);
  errno = 0;
  CHECK(scalloc_lua_alloc(heap, block, 40000, 90000) == NULL && errno == ENOMEM);      /* of another class */
  CHECK(scalloc_lua_alloc(heap, block, 40000, 200000) == NULL && errno == ENOMEM);     /* that would grow on */
  CHECK(scalloc_lua_alloc(heap, block, 40000, 20000000) == NULL && errno == ENOMEM);   /* a run */
  CHECK(scalloc_lua_alloc(heap, large, 3000000, 90000000) == NULL && errno == ENOMEM); /* a longer one */
  CHECK(all_bytes(block, 40000, 0x5a) && all_bytes(large, 3000000, 0x5a));
  CHECK_INT(scalloc_lua_used(heap), ==, used);
  CHECK(scalloc_lua_alloc(heap, block, 40000, 4000) == block); /* a shrink stays where it is */
  CHECK_INT(scalloc_lua_used(heap), ==, used - 36000);
  CHECK(scalloc_lua_alloc(heap, block, 4000, 39999) == block); /* and may grow again: the block was never given away */
  CHECK_INT(scalloc_lua_used(heap), ==, used - 1);
  CHECK(all_bytes(block, 4000, 0x5a));
  CHECK(scalloc_lua_alloc(heap, block, 39999, 0) == NULL);
  CHECK_INT(scalloc_lua_used(heap), ==, used - 40000);
  check_heap();
  free_list(heap, others, 40000);
  free_list(heap, pages, 4000);
  free_list(heap, crumbs, 64);
  CHECK(scalloc_lua_alloc(heap, large, 3000000, 0) == NULL);
  CHECK_INT(scalloc_lua_used(heap), ==, 0);
  scalloc_lua_heap_destroy(heap);
  check_heap();
}

static void nothing_is_not_a_heap(void) {
  scalloc_lua_heap_destroy(NULL);
  check_heap();
}

/* ---- states of others -------------------------------------------------------------------------------------------------- */

static int closed;

static int note_close(lua_State *L) {
  (void)L;
  closed++;
  return 0;
}

/* A state that is not on a heap of ours is closed by lua_close in every mode: its memory has no other way back. */
static void a_foreign_state_is_closed_as_lua_does(void) {
  static const scalloc_lua_close_mode modes[] = {SCALLOC_LUA_CLOSE_FULL, SCALLOC_LUA_CLOSE_FAST, SCALLOC_LUA_CLOSE_DISCARD};
  for (size_t i = 0; i < LENGTH(modes); i++) {
    lua_State *L = luaL_newstate();
    CHECK(L != NULL);
    lua_newuserdatauv(L, 1, 0);
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, note_close);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    scalloc_lua_close(L, modes[i]);
    CHECK_INT(closed, ==, i + 1);
  }
}

/* ---- unprotected errors ------------------------------------------------------------------------------------------------ */

static lua_State *new_state(void) {
  lua_State *L = scalloc_lua_newstate(NULL);
  CHECK(L != NULL);
  return L;
}

static void child_error_text(void) { luaL_error(new_state(), "reason %d", 7); }

static void child_error_number(void) {
  lua_State *L = new_state();
  lua_pushinteger(L, 99);
  lua_error(L);
}

static void child_error_object(void) {
  lua_State *L = new_state();
  lua_newtable(L);
  lua_error(L);
}

static void check_panic(const char *mode, const char *message) {
  char expected[200];
  snprintf(expected, sizeof expected, "PANIC: unprotected error in call to Lua API (%s)\n", message);
  child result = run_self(mode, NULL, 0);
  CHECK(!result.exited && result.code == SIGABRT);
  if (strcmp(result.err, expected) != 0) test_fail(__FILE__, __LINE__, "'%s' says: %s", mode, result.err);
}

static const struct {
  const char *name;
  void (*run)(void);
} modes[] = {{"no arena", child_no_arena},     {"no byte", child_no_byte},           {"little memory", child_little_memory},
             {"error text", child_error_text}, {"error number", child_error_number}, {"error object", child_error_object}};

int main(int argc, char **argv) {
  for (size_t i = 0; argc > 1 && i < LENGTH(modes); i++)
    if (strcmp(argv[1], modes[i].name) == 0) return modes[i].run(), 0;
  nothing_is_not_a_heap();
  a_foreign_state_is_closed_as_lua_does();
  check_panic("error text", "reason 7");
  check_panic("error number", "99");
  check_panic("error object", "error object is not a string");
  run_self_ok("no byte", SET("SCALLOC_LIMIT_BYTES=1"), 0);
  run_self_ok("little memory", SET("SCALLOC_LIMIT_BYTES=16777216"), 0);
  if (proc_kb("/proc/self/status", "\nVmSize:") < 256 * 1024) /* not with the shadow memory of a sanitizer */
    run_self_ok("no arena", NULL, 64 * MB);
  return 0;
}
