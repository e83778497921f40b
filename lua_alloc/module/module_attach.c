/*
 * module_attach.c - a running state changes over to scalloc, and back; memory goes back to the system.
 */
#include <errno.h>
#include <stdint.h>

#include "module.h"

/* The members of the table at index 1 that a script may set. */
static const struct {
  const char *name;
  size_t offset; /* of a size, or SIZE_MAX */
  unsigned flag;
} settings[] = {
    {"soft_limit", offsetof(scalloc_lua_config, soft_limit), 0},
    {"hard_limit", offsetof(scalloc_lua_config, hard_limit), 0},
    {"max_block", offsetof(scalloc_lua_config, max_block), 0},
    {"prealloc", offsetof(scalloc_lua_config, prealloc), 0},
    {"shared", SIZE_MAX, SCALLOC_LUA_SHARED},
    {"locked", SIZE_MAX, SCALLOC_LUA_LOCKED},
    {"stats", SIZE_MAX, SCALLOC_LUA_STATS},
    {"profile", SIZE_MAX, SCALLOC_LUA_PROFILE},
    {"guard", SIZE_MAX, SCALLOC_LUA_GUARD},
    {"zero_on_free", SIZE_MAX, SCALLOC_LUA_ZERO_ON_FREE},
    {"tag_segregate", SIZE_MAX, SCALLOC_LUA_TAG_SEGREGATE},
};

/* Takes the setting with the key at -2 and the value at -1. */
static void take_setting(lua_State *L, scalloc_lua_config *config) {
  const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
  for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
    if (strcmp(settings[i].name, key) != 0) continue;
    if (settings[i].offset == SIZE_MAX) {
      config->flags |= lua_toboolean(L, -1) ? settings[i].flag : 0;
    } else {
      lua_Number n = lua_tonumber(L, -1);
      if (lua_type(L, -1) != LUA_TNUMBER || !module_is_size(n))
        luaL_argerror(L, 1, lua_pushfstring(L, "%s: bytes expected", key));
      *(size_t *)(void *)((char *)config + settings[i].offset) = (size_t)n;
    }
    return;
  }
  luaL_argerror(L, 1, lua_pushfstring(L, "no setting '%s'", *key ? key : luaL_typename(L, -2)));
}

/* attach([settings]) -> true */
static int attach_attach(lua_State *L) {
  module_data *m = scalloc_module_data(L);
  scalloc_lua_config config = {.size = sizeof config};
  if (!lua_isnoneornil(L, 1)) {
    luaL_checktype(L, 1, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) take_setting(L, &config);
  }
  if (scalloc_module_is_sealed(L)) return scalloc_module_sealed(L);
  if (scalloc_module_heap(L) && !scalloc_module_attached(L)) return scalloc_module_no_heap(L);
  if (scalloc_module_heap(L)) return scalloc_module_fail(L, "this state is on scalloc already");
  scalloc_lua_heap *heap = m->f->adopt(L, &config);
  if (heap == NULL) return scalloc_module_fail(L, strerror(errno));
  m->armed = false;
  scalloc_module_arm(m, heap, config.hard_limit || config.soft_limit || config.max_block);
  lua_pushboolean(L, 1);
  return 1;
}

/* detach() -> true: the state is as it was; false, message: blocks are left that came from scalloc. They go when Lua drops them. */
static int attach_detach(lua_State *L) {
  module_data *m = scalloc_module_data(L);
  scalloc_lua_heap *heap = scalloc_module_heap(L);
  if (scalloc_module_is_sealed(L)) return scalloc_module_sealed(L);
  if (!heap) return scalloc_module_no_heap(L);
  lua_standing standing = m->f->standing(L);
  if (standing == LUA_STANDS_ON_OWN) return scalloc_module_fail(L, "this state was made on scalloc and stays there");
  if (standing == LUA_STANDS_CALLED) return scalloc_module_fail(L, "not within withlimit or failafter");
  scalloc_module_arm(m, heap, false);
  lua_pushboolean(L, 0);
  lua_pushliteral(L, "blocks are left");
  if (!m->f->release(L)) return 2;
  scalloc_module_end_profile(L);
  lua_pushboolean(L, 1);
  return 1;
}

/* trim([keep]) -> bytes given back to the system */
static int attach_trim(lua_State *L) {
  size_t keep = scalloc_module_opt_size(L, 1, 0);
  scalloc_lua_heap *heap = scalloc_module_heap(L);
  if (!heap) return scalloc_module_no_heap(L);
  scalloc_module_push_size(L, scalloc_module_data(L)->f->trim(heap, keep));
  return 1;
}

void scalloc_module_add_attach(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"attach", attach_attach}, {"detach", attach_detach}, {"trim", attach_trim}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 1);
}
