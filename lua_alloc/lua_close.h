/*
 * lua_close.h - closing a state without a visit to its objects (SCALLOC_LUA_CLOSE_FAST).
 */
#ifndef SCALLOC_LUA_CLOSE_H
#define SCALLOC_LUA_CLOSE_H

#include "lua_heap.h"

#define lua_close_mark scalloc_private_lua_close_mark
#define lua_close_fast scalloc_private_lua_close_fast

/*
 * Makes a new state, the only one of its heap, ready for a fast close: before anything else gets a finalizer. False: no memory.
 */
bool lua_close_mark(lua_State *L, scalloc_lua_heap *lua_heap);

/*
 * lua_close of the state on this heap, but left as soon as the last finalizer has run; then the blocks are still there, for
 * whoever ends the heap. Where that is not known to be safe it is lua_close to its end.
 */
void lua_close_fast(lua_State *L, scalloc_lua_heap *lua_heap);

#endif
