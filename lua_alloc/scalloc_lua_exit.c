/*
 * scalloc_lua_exit.c - os.exit of the program scalloc-lua: the standard one, except that it closes the state fast, too.
 */
#include "scalloc_lua.h"

#include <lauxlib.h>
#include <scalloc/lua_alloc.h>
#include <stdlib.h>

static int fast_exit(lua_State *L) {
  int status = EXIT_SUCCESS;
  if (lua_isboolean(L, 1))
    status = lua_toboolean(L, 1) ? EXIT_SUCCESS : EXIT_FAILURE;
  else
    status = (int)luaL_optinteger(L, 1, EXIT_SUCCESS);
  if (lua_toboolean(L, 2)) scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FAST);
  exit(status);
}

void interp_replace_exit(lua_State *L) {
  lua_getglobal(L, "os");
  lua_pushcfunction(L, fast_exit);
  lua_setfield(L, -2, "exit");
  lua_pop(L, 1);
}
