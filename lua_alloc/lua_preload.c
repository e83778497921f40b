/*
 * lua_preload.c - libscalloc_lua_preload.so: with LD_PRELOAD, programs that link the shared library of Lua make their states on
 * scalloc. Nothing of malloc is replaced.
 *
 * A program that has Lua inside it, as Debian's lua5.4 has, calls its own luaL_newstate and is not reached by this.
 */
#include <dlfcn.h>

#include "lua_compat.h"
#include "scalloc/lua_alloc.h"

typedef void close_function(lua_State *L);

/* The lua_close behind this one; a program that has made a state has loaded it. */
static close_function *next_close(void) {
  close_function *next;
  void *found = dlsym(RTLD_NEXT, "lua_close");
  memcpy(&next, &found, sizeof next); /* from an object pointer to one to a function, as POSIX has it */
  return next;
}

SCALLOC_API lua_State *(luaL_newstate)(void) { return scalloc_lua_newstate(NULL); }

SCALLOC_API void(lua_close)(lua_State *L) {
  scalloc_lua_heap *heap = scalloc_lua_heap_of(L);
  next_close()(L);
  scalloc_lua_heap_destroy(heap);
}
