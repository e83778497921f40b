/* What Lua 5.5 declares otherwise than 5.4, on top of the header of 5.4: the sources must compile, not run. */
#ifndef VERSIONS_LUA55_H
#define VERSIONS_LUA55_H

#define lua_newstate lua_newstate_of_54
#pragma GCC system_header
#include_next <lua.h>
#undef lua_newstate
#undef LUA_VERSION_NUM
#define LUA_VERSION_NUM 505

LUA_API lua_State *(lua_newstate)(lua_Alloc f, void *ud, unsigned seed);
LUA_API const char *(lua_pushexternalstring)(lua_State *L, const char *s, size_t len, lua_Alloc falloc, void *ud);

#endif
