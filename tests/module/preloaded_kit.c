/* A host that has the kit itself, under the preloaded library: both end states, and no heap ends twice or stays. */
#include "../test.h"
#include <lauxlib.h>
#include <lualib.h>
#include <scalloc/lua_alloc.h>

static const char script[] = "t = {} for i = 1, 20000 do t[i] = {i} end";

static void fill_state(lua_State *L) {
  CHECK(L != NULL);
  luaL_openlibs(L);
  CHECK(luaL_dostring(L, script) == LUA_OK);
}

/* A state of the kit's, in each mode. */
static void the_kit_ends_its_own(void) {
  for (int mode = SCALLOC_LUA_CLOSE_FULL; mode <= SCALLOC_LUA_CLOSE_DISCARD; mode++) {
    lua_State *L = scalloc_lua_newstate(NULL);
    fill_state(L);
    scalloc_lua_close(L, (scalloc_lua_close_mode)mode);
    check_heap();
    lua_State *A = scalloc_lua_newstate(NULL), *B = scalloc_lua_newstate(NULL);
    CHECK(scalloc_lua_heap_of(A) != scalloc_lua_heap_of(B));
    scalloc_lua_close(A, SCALLOC_LUA_CLOSE_FULL);
    scalloc_lua_close(B, SCALLOC_LUA_CLOSE_FULL);
  }
  scalloc_lua_heap *heap = scalloc_lua_heap_new(NULL); /* as is one that the program made itself */
  lua_State *L = lua_newstate(scalloc_lua_alloc, heap);
  fill_state(L);
  lua_close(L);
  CHECK_INT(scalloc_lua_used(heap), ==, 0);
  scalloc_lua_heap_destroy(heap);
}

/* A state of luaL_newstate, on scalloc by the preloaded library, closed by either. */
static void states_of_the_preload(void) {
  for (int how = 0; how < 5; how++) {
    lua_State *L = luaL_newstate();
    CHECK(L != NULL && scalloc_lua_heap_of(L) != NULL);
    fill_state(L);
    if (how < 3) scalloc_lua_close(L, (scalloc_lua_close_mode)how);
    if (how == 3) scalloc_lua_heap_destroy(scalloc_lua_close_keep(L, SCALLOC_LUA_CLOSE_FULL));
    if (how == 4) lua_close(L);
    check_heap();
  }
}

int main(void) {
  for (int round = 0; round < 2; round++) { /* what happens once happens in the first */
    stats before = stats_now();
    the_kit_ends_its_own();
    states_of_the_preload();
    if (round) check_all_returned(before);
  }
  return 0;
}
