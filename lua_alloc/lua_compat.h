/*
 * lua_compat.h - one face for the Lua headers of 5.1 (LuaJIT too), 5.2, 5.3, 5.4 and 5.5: the sources are written for 5.4 and
 * compiled once for each.
 *
 *           osize of a new block    a shrink may fail   emergency collection   lua_newstate
 *   5.1     0                       never               none                   (f, ud)
 *   5.2-5.3 type tag                never               yes                    (f, ud)
 *   5.4     type tag                rarely              yes                    (f, ud)
 *   5.5     type tag                rarely              yes                    (f, ud, seed)
 *
 * The allocator itself fails no shrink and reads no size out of osize for a new block, so that it needs none of this.
 */
#ifndef SCALLOC_LUA_COMPAT_H
#define SCALLOC_LUA_COMPAT_H

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#if LUA_VERSION_NUM < 502
#ifndef LUA_OK /* LuaJIT has it */
#define LUA_OK 0
#endif
#define lua_rawlen lua_objlen
#define luaL_checkversion(L) ((void)(L))
#define luaL_setmetatable(L, name) (luaL_getmetatable(L, name), lua_setmetatable(L, -2))
static inline int lua_absindex(lua_State *L, int index) {
  return index > 0 || index <= LUA_REGISTRYINDEX ? index : lua_gettop(L) + index + 1;
}
/* Registers functions, which share `upvalues` values on top of the stack, in the table below these. */
static inline void compat_setfuncs(lua_State *L, const luaL_Reg *functions, int upvalues) {
  for (; functions->name; functions++) {
    for (int i = 0; i < upvalues; i++) lua_pushvalue(L, -upvalues);
    lua_pushcclosure(L, functions->func, upvalues);
    lua_setfield(L, -upvalues - 2, functions->name);
  }
  lua_pop(L, upvalues);
}
#define luaL_setfuncs compat_setfuncs
#endif

#ifndef lua_writestringerror
#define lua_writestringerror(format, argument) (fprintf(stderr, (format), (argument)), fflush(stderr))
#endif

#if LUA_VERSION_NUM < 503
static inline bool compat_isinteger(lua_State *L, int index) {
  lua_Number n = lua_tonumber(L, index);
  return lua_type(L, index) == LUA_TNUMBER && n >= -9007199254740992.0 && n <= 9007199254740992.0 &&
         n == (lua_Number)(long long)n;
}
#define lua_isinteger compat_isinteger
#endif

#if LUA_VERSION_NUM < 504
#define lua_newuserdatauv(L, size, values) lua_newuserdata(L, size)
#define luaL_pushfail lua_pushnil
#endif

/* The type that lua_getfield has pushed: older ones return nothing. */
static inline int compat_getfield(lua_State *L, int index, const char *key) {
  lua_getfield(L, index, key);
  return lua_type(L, -1);
}

/* lua_newstate with the seed that luaL_newstate would take. */
static inline lua_State *compat_newstate(lua_Alloc f, void *ud) {
#if LUA_VERSION_NUM >= 505
  return lua_newstate(f, ud, luaL_makeseed(NULL));
#else
  return lua_newstate(f, ud);
#endif
}

/* Calls a C function with one pointer in protected mode, before which nothing is allocated. Leaves nothing but an error. */
static inline int compat_cpcall(lua_State *L, lua_CFunction function, void *argument) {
#if LUA_VERSION_NUM < 502
  return lua_cpcall(L, function, argument);
#else
  lua_pushcfunction(L, function);
  lua_pushlightuserdata(L, argument);
  return lua_pcall(L, 1, 0, 0);
#endif
}

#endif
