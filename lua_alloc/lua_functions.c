/*
 * lua_functions.c - the table of this copy, and its place in the registry of a state.
 */
#include "lua_functions.h"

#include <stdint.h>

#include "lua_extra.h"
#include "lua_spans.h"

static const char registry_key[] = "scalloc.functions";

/* As scalloc_lua_adopt; the host need not know of it. */
static scalloc_lua_heap *adopt_until_close(lua_State *L, const scalloc_lua_config *config) {
  scalloc_lua_heap *lua_heap = scalloc_lua_adopt(L, config);
  if (lua_heap == NULL) return NULL;
#if LUA_VERSION_NUM >= 502
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  lua_adopted_ends_with(lua_heap, lua_tothread(L, -1));
#else
  if (lua_pushthread(L)) lua_adopted_ends_with(lua_heap, L); /* a coroutine does not know the main thread */
#endif
  lua_pop(L, 1);
  return lua_heap;
}

static lua_standing standing(lua_State *L) {
  void *ud;
  if (lua_getallocf(L, &ud) != lua_adopted_alloc) return scalloc_lua_heap_of(L) ? LUA_STANDS_ON_OWN : LUA_STANDS_NOWHERE;
  const lua_extra *e = lua_heap_account(lua_heap_core(ud))->extra;
  return e->released ? LUA_STANDS_RELEASED : e->calls ? LUA_STANDS_CALLED : LUA_STANDS_ADOPTED;
}

static const lua_functions functions = {
    .magic = "scalloc",
    .version = LUA_FUNCTIONS_VERSION,
    .heap_of = scalloc_lua_heap_of,
    .adopt = adopt_until_close,
    .standing = standing,
    .release = scalloc_lua_release,
    .trim = scalloc_lua_trim,
    .pcall = scalloc_lua_pcall,
    .pcall_failing = lua_pcall_failing,
    .arm = scalloc_lua_arm,
    .disarm = scalloc_lua_disarm,
    .limit = scalloc_lua_limit,
    .fail_after = scalloc_lua_fail_after,
    .used = scalloc_lua_used,
    .peak = scalloc_lua_peak,
    .stats_read = scalloc_lua_stats_read,
    .walk = scalloc_lua_walk,
    .births = scalloc_lua_spans_births,
    .handed_out = scalloc_lua_spans_handed_out,
    .check = scalloc_check,
};

static int publish(lua_State *L) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)&functions);
  lua_setfield(L, LUA_REGISTRYINDEX, registry_key);
  return 0;
}

bool scalloc_lua_functions_publish(lua_State *L) {
  int status = compat_cpcall(L, publish, NULL);
  if (status != LUA_OK) lua_pop(L, 1);
  return status == LUA_OK;
}

const lua_functions *scalloc_lua_functions_of(lua_State *L) {
  const lua_functions *found = &functions;
  if (compat_getfield(L, LUA_REGISTRYINDEX, registry_key) == LUA_TLIGHTUSERDATA) found = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (memcmp(found->magic, functions.magic, sizeof functions.magic) != 0 || found->version != LUA_FUNCTIONS_VERSION)
    luaL_error(L, "the scalloc of this state is of another version than the module");
  return found;
}
