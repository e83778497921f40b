/*
 * twice CPATH: scalloc is in the host and, once more, in the module that a script loads: the module works on the heap that the host
 * has made. A host of another version is refused.
 */
#include "../test.h"
#include "lua_compat.h"
#include "lua_functions.h"

static void run(lua_State *L, const char *script) {
  if (luaL_dostring(L, script) != LUA_OK) test_fail(__FILE__, __LINE__, "%s", lua_tostring(L, -1));
}

static lua_State *new_state(const char *cpath) {
  lua_State *L = scalloc_lua_newstate(NULL);
  CHECK(L != NULL);
  luaL_openlibs(L);
  lua_getglobal(L, "package");
  lua_pushstring(L, cpath);
  lua_setfield(L, -2, "cpath");
  lua_settop(L, 0);
  return L;
}

static void the_module_sees_the_hosts_heap(const char *cpath) {
  lua_State *L = new_state(cpath);
  scalloc_lua_heap *heap = scalloc_lua_heap_of(L);
  run(L, "local scalloc = require 'scalloc'\n"
         "assert(scalloc.active() and scalloc.count() > 0 and scalloc.check())\n"
         "collectgarbage() collectgarbage 'stop'\n"
         "return scalloc.count()");
  CHECK_INT(lua_tointeger(L, -1), ==, scalloc_lua_used(heap));
  CHECK(lua_tocfunction(L, -1) != luaopen_scalloc);
  lua_settop(L, 0);
  run(L, "return package.loaded.scalloc.count");
  run(L, "local scalloc = require 'scalloc'\n"
         "scalloc.limit(scalloc.count() + 100000)\n"
         "local ok, message = pcall(string.rep, 'x', 1000000)\n"
         "assert(not ok and message == 'not enough memory')\n");
  scalloc_lua_stats found = {.size = sizeof found};
  scalloc_lua_stats_read(heap, &found);
  CHECK_INT(found.armed, ==, 1);
  CHECK_INT(found.hard_limit, >, 100000);
  scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FULL);
}

/* Two copies of the module in one state. */
static void the_entry_of_the_host_works_beside_it(const char *cpath) {
  lua_State *L = new_state(cpath);
  run(L, "first = require 'scalloc' package.loaded.scalloc = nil");
  lua_pushcfunction(L, luaopen_scalloc);
  lua_call(L, 0, 1);
  lua_setglobal(L, "second");
  run(L, "assert(first.count ~= second.count and first.snapshot():diff(second.snapshot()))\n"
         "first.seal() local set, why = second.limit(1e9) assert(not set and why == 'sealed')");
  scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FULL);
}

static void another_version_is_refused(const char *cpath) {
  static lua_functions foreign = {.magic = "scalloc", .version = LUA_FUNCTIONS_VERSION + 1};
  lua_State *L = new_state(cpath);
  lua_pushlightuserdata(L, &foreign);
  lua_setfield(L, LUA_REGISTRYINDEX, "scalloc.functions");
  run(L, "local ok, message = pcall(require, 'scalloc')\n"
         "assert(not ok and message:find 'another version', message)");
  scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FULL);
}

int main(int argc, char **argv) {
  CHECK_INT(argc, ==, 2);
  the_module_sees_the_hosts_heap(argv[1]);
  the_entry_of_the_host_works_beside_it(argv[1]);
  another_version_is_refused(argv[1]);
  check_heap();
  return 0;
}
