/* A program that embeds Lua. */
#include <lauxlib.h>
#include <lualib.h>
#include <scalloc/lua_alloc.h>
#include <stdio.h>

int main(void) {
  lua_State *L = scalloc_lua_newstate(NULL);
  if (L == NULL) return 1;
  luaL_openlibs(L);
  if (luaL_dostring(L, "local t = {} for i = 1, 1000 do t[i] = 'x' .. i end return table.concat(t)") != 0) return 2;
  if (scalloc_lua_heap_of(L) == NULL || scalloc_lua_used(scalloc_lua_heap_of(L)) < 4000) return 3;
  scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FULL);
  puts("lua works");
  return 0;
}
