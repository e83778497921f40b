/* work_lua.c - the part of the work that needs Lua. */
#include <lauxlib.h>
#include <lualib.h>
#include <scalloc/lua_alloc.h>

#include "work.h"

/* Tables, strings, closures, coroutines; errors on the way are caught. The sum tells whether all of it was right. */
static const char program[] = "local t = {}\n"
                              "for i = 1, 800 do t[i] = {i, tostring(i), function() return i end} end\n"
                              "local s = ('x'):rep(100000) .. ('y'):rep(100000)\n"
                              "local threads = {}\n"
                              "for i = 1, 40 do threads[i] = coroutine.wrap(function(a) coroutine.yield(a + #s) end) end\n"
                              "local sum = 0\n"
                              "for i = 1, 40 do sum = sum + threads[i](i) end\n"
                              "for i = 1, 800 do sum = sum + t[i][1] + #t[i][2] + t[i][3]() end\n"
                              "t, threads = nil, nil\n"
                              "collectgarbage()\n"
                              "return sum\n";

enum { SUM = 40 * 200000 + 40 * 41 / 2 + 2 * (800 * 801 / 2) + 9 + 90 * 2 + 701 * 3 };

static int run(lua_State *L) {
  luaL_openlibs(L);
  if (luaL_loadstring(L, program) != LUA_OK) return lua_error(L);
  lua_call(L, 0, 1);
  return 1;
}

/* LUA_ERRMEM must be excused; any other end must be the right one. */
static void check_result(lua_State *L, int status) {
  if (status == LUA_ERRMEM) {
    CHECK(strcmp(lua_tostring(L, -1), "not enough memory") == 0);
    errno = ENOMEM;
    work_came(NULL);
    return;
  }
  if (status != LUA_OK) test_fail(__FILE__, __LINE__, "Lua: %s", lua_tostring(L, -1));
  CHECK_INT(lua_tointeger(L, -1), ==, SUM);
}

void work_lua(void) {
  static unsigned lives;
  work_begin();
  lua_State *L = scalloc_lua_newstate(NULL);
  if (!work_came(L)) return;
  work_begin();
  lua_pushcfunction(L, run);
  check_result(L, lua_pcall(L, 0, 1, 0));
  scalloc_lua_close(L, lives++ % 2 ? SCALLOC_LUA_CLOSE_DISCARD : SCALLOC_LUA_CLOSE_FULL);
  check_heap();
}
