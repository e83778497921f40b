/*
 * lua_preload.h - what libscalloc_lua_preload.so takes from libscalloc_lua.so, by its name, once a program has Lua.
 */
#ifndef SCALLOC_LUA_PRELOAD_H
#define SCALLOC_LUA_PRELOAD_H

#include <lua.h>

#include "scalloc/lua_alloc.h"

#define LUA_PRELOADED_KIT "scalloc_private_lua_preloaded_kit"
#define lua_preloaded_kit scalloc_private_lua_preloaded_kit

typedef struct {
  lua_State *(*newstate)(void);                /* whose heap is ended by who calls lua_close */
  scalloc_lua_heap *(*heap_of)(lua_State *L);  /* such a state's heap; NULL: another state, or somebody else ends its heap */
  void (*destroy)(scalloc_lua_heap *lua_heap); /* after lua_close */
} lua_preloaded;

SCALLOC_API extern const lua_preloaded lua_preloaded_kit;

#endif
