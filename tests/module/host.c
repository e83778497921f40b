/* host SCRIPT: an ordinary host of Lua, which knows nothing of scalloc: luaL_newstate, the script, lua_close. Links liblua5.4.so. */
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>

int main(int argc, char **argv) {
  for (int round = 0; round < 3; round++) {
    lua_State *L = luaL_newstate();
    if (!L || argc != 2) return 2;
    luaL_openlibs(L);
    if (luaL_dostring(L, argv[1]) != LUA_OK) return fprintf(stderr, "%s\n", lua_tostring(L, -1)), 1;
    lua_close(lua_newthread(L)); /* any thread of the state will do */
  }
  return 0;
}
