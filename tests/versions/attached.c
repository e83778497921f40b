/* Hosts that know nothing of scalloc, whose scripts attach: however often states are made and closed, nothing is left. */
#include "../test.h"
#include "lua_compat.h"
#include <scalloc/lua_alloc.h>

#ifndef LUA_IS_LUAJIT
#define LUA_IS_LUAJIT 0
#endif

static const char script[] =
    "local scalloc = require 'scalloc'\n"
    "KEPT = {} for i = 1, 3000 do KEPT[i] = {i, tostring(i)} end\n"
    "assert(scalloc.attach{stats = STATS})\n"
    "for i = 1, 3000 do KEPT[i].more = {i} end\n"
    "if not newproxy then setmetatable(KEPT, {__gc = function() for i = 1, 100 do KEPT[i] = {} end end}) end\n"
    "BIG = ('x'):rep(3000000)\n"
    "if RELEASE then scalloc.detach() MORE = {} for i = 1, 3000 do MORE[i] = {KEPT[i]} end end\n"
    "assert(scalloc.check())";

static lua_State *new_state(bool with_stats, bool release) {
  lua_State *L = luaL_newstate();
  CHECK(L != NULL);
  luaL_openlibs(L);
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "preload");
  lua_pushcfunction(L, luaopen_scalloc);
  lua_setfield(L, -2, "scalloc");
  lua_settop(L, 0);
  lua_pushboolean(L, with_stats);
  lua_setglobal(L, "STATS");
  lua_pushboolean(L, release);
  lua_setglobal(L, "RELEASE");
  if (luaL_loadstring(L, script) || lua_pcall(L, 0, 0, 0)) test_fail(__FILE__, __LINE__, "%s", lua_tostring(L, -1));
  CHECK(scalloc_lua_heap_of(L) != NULL);
  return L;
}

int main(void) {
  scalloc_free(scalloc_malloc(1));
  lua_close(new_state(true, false));
  stats before = stats_now();
  long rss = 0;
  for (int i = 0; i < 60; i++) {
    lua_close(new_state(i % 2, i % 3 == 0));
    check_all_returned(before);
    if (i == 20) rss = rss_kb();
  }
  /* LuaJIT leaves its own allocator's memory mapped when another one is set at the close; ASan keeps what malloc has freed. */
  if (!LUA_IS_LUAJIT && tool_kb(1024) == 0) CHECK_INT(rss_kb() - rss, <, 2 * KB);
  scalloc_lua_close(new_state(true, false), SCALLOC_LUA_CLOSE_FULL); /* a host that knows */
  scalloc_lua_close(new_state(false, true), SCALLOC_LUA_CLOSE_FAST);
  check_all_returned(before);
  check_heap();
  return 0;
}
