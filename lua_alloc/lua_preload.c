/*
 * lua_preload.c - libscalloc_lua_preload.so: with LD_PRELOAD, programs that link the shared library of Lua make their states on
 * scalloc. Nothing of malloc is replaced.
 *
 * It comes into every program that such a host starts, most of which have no Lua. So it needs nothing of Lua itself, and loads
 * libscalloc_lua.so, which does, from beside itself when the first state is made. Where that cannot be (another version of Lua, or
 * a Lua that only a part of the program sees) the program's own Lua does what it would have done.
 *
 * A program that has Lua inside it, as Debian's lua5.4 has, calls its own luaL_newstate and is not reached by this.
 */
#include "lua_preload.h"

#include <dlfcn.h>
#include <lauxlib.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const lua_preloaded *kit; /* NULL: there is none */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static bool is_our_lua(void) {
  lua_Number (*version)(lua_State *);
  void *found = dlsym(RTLD_DEFAULT, "lua_version");
  memcpy(&version, &found, sizeof version); /* from an object pointer to one to a function, as POSIX has it */
  return found != NULL && version(NULL) == LUA_VERSION_NUM;
}

static void load_kit(void) {
  Dl_info self;
  char path[4096];
  if (!dladdr((const void *)(uintptr_t)load_kit, &self) || self.dli_fname == NULL) return;
  const char *slash = strrchr(self.dli_fname, '/');
  int folder = slash ? (int)(slash + 1 - self.dli_fname) : 0;
  int length = snprintf(path, sizeof path, "%.*s%s", folder, self.dli_fname, SCALLOC_LUA_LIBRARY);
  void *library = length > 0 && (size_t)length < sizeof path ? dlopen(path, RTLD_NOW) : NULL;
  if (library && is_our_lua()) kit = dlsym(library, LUA_PRELOADED_KIT);
}

/* The function that is behind the one here, or that the caller would have found without us. */
static void *function_behind(const char *name, const void *caller) {
  Dl_info info;
  void *found = dlsym(RTLD_NEXT, name), *object;
  if (found != NULL || !dladdr(caller, &info) || info.dli_fname == NULL) return found;
  object = dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
  return object ? dlsym(object, name) : NULL;
}

SCALLOC_API lua_State *(luaL_newstate)(void) {
  pthread_once(&once, load_kit);
  if (kit) return kit->newstate();
  lua_State *(*behind)(void);
  void *found = function_behind("luaL_newstate", __builtin_return_address(0));
  memcpy(&behind, &found, sizeof behind);
  return found ? behind() : NULL;
}

SCALLOC_API void(lua_close)(lua_State *L) {
  void (*behind)(lua_State *);
  scalloc_lua_heap *heap = kit ? kit->heap_of(L) : NULL; /* before the state is gone */
  void *found = function_behind("lua_close", __builtin_return_address(0));
  if (found == NULL) return;
  memcpy(&behind, &found, sizeof behind);
  behind(L);
  if (heap) kit->destroy(heap);
}
