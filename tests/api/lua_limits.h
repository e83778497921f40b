/* lua_limits.h - what the parts of the test of limits share, and the part about states. */
#ifndef LUA_LIMITS_H
#define LUA_LIMITS_H

#include "../test.h"
#include <lauxlib.h>
#include <lualib.h>
#include <scalloc/lua_alloc.h>

static inline scalloc_lua_stats stats_of(scalloc_lua_heap *heap) {
  scalloc_lua_stats s = {.size = sizeof s};
  CHECK(scalloc_lua_stats_read(heap, &s));
  return s;
}

/* lua_limits_states.c */
void states_within_limits(void);

#endif
