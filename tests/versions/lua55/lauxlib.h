/* As lua.h beside it. */
#ifndef VERSIONS_LAUXLIB55_H
#define VERSIONS_LAUXLIB55_H

#pragma GCC system_header
/* clang-format off */
#include <lua.h>
#include_next <lauxlib.h>
/* clang-format on */

LUALIB_API unsigned(luaL_makeseed)(lua_State *L);

#endif
