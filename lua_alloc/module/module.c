/*
 * module.c - luaopen_scalloc: what a script can ask of the allocator under it.
 *
 * The module must never be unloaded while a state may still call its allocator: lua_close unloads C modules before it frees the
 * last objects. So it pins itself when it is loaded.
 */
#include "module.h"

#include <dlfcn.h>
#include <stdint.h>

static const char sealed_key[] = "scalloc.sealed";

/* ---- shared with the other files ---------------------------------------------------------------------------------------- */

module_data *scalloc_module_data(lua_State *L) { return lua_touserdata(L, lua_upvalueindex(1)); }

scalloc_lua_heap *scalloc_module_heap(lua_State *L) { return scalloc_module_data(L)->f->heap_of(L); }

static bool is_released(lua_State *L) { return scalloc_module_data(L)->f->standing(L) == LUA_STANDS_RELEASED; }

scalloc_lua_heap *scalloc_module_attached(lua_State *L) { return is_released(L) ? NULL : scalloc_module_heap(L); }

int scalloc_module_fail(lua_State *L, const char *message) {
  luaL_pushfail(L);
  lua_pushstring(L, message);
  return 2;
}

int scalloc_module_no_heap(lua_State *L) {
  return scalloc_module_fail(L, is_released(L) ? "this state is released from scalloc: blocks are left, detach() ends them"
                                               : "this state is not on scalloc (scalloc.attach puts it there)");
}

bool scalloc_module_is_sealed(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, sealed_key);
  bool sealed = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return sealed;
}

int scalloc_module_sealed(lua_State *L) { return scalloc_module_fail(L, "sealed"); }

void scalloc_module_push_size(lua_State *L, size_t size) {
#if LUA_VERSION_NUM >= 503
  lua_pushinteger(L, (lua_Integer)size);
#else
  lua_pushnumber(L, (lua_Number)size);
#endif
}

size_t scalloc_module_opt_size(lua_State *L, int argument, size_t otherwise) {
  if (lua_isnoneornil(L, argument)) return otherwise;
  lua_Number n = luaL_checknumber(L, argument);
  luaL_argcheck(L, module_is_size(n), argument, "bytes expected: a number from 0 on");
  return (size_t)n;
}

void scalloc_module_push_table(lua_State *L, int argument) {
  if (lua_isnoneornil(L, argument)) {
    lua_newtable(L);
  } else {
    luaL_checktype(L, argument, LUA_TTABLE);
    lua_pushvalue(L, argument);
  }
}

void scalloc_module_new_type(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction end) {
  if (luaL_newmetatable(L, name)) {
    lua_pushcfunction(L, end);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, end);
    lua_setfield(L, -2, "__close");
    lua_pushboolean(L, 0); /* what getmetatable tells: nobody calls __gc by hand */
    lua_setfield(L, -2, "__metatable");
    lua_newtable(L);
    for (; methods && methods->name; methods++) {
      lua_pushcfunction(L, methods->func);
      lua_setfield(L, -2, methods->name);
    }
    lua_setfield(L, -2, "__index");
  }
  lua_pop(L, 1);
}

const char *scalloc_module_tag_name(int tag) {
  switch (tag) {
  case 0:
    return "other";
  case LUA_TSTRING:
    return "string";
  case LUA_TTABLE:
    return "table";
  case LUA_TFUNCTION:
    return "function";
  case LUA_TUSERDATA:
    return "userdata";
  case LUA_TTHREAD:
    return "thread";
#if LUA_VERSION_NUM >= 504
  case 9:
    return "upvalue";
  case 10:
    return "prototype";
#elif LUA_VERSION_NUM >= 502
  case 9:
    return "prototype";
#endif
  default:
    return "unknown";
  }
}

/* ---- limits ---------------------------------------------------------------------------------------------------------------- */

void scalloc_module_arm(module_data *m, scalloc_lua_heap *heap, bool armed) {
  if (armed && !m->armed) m->f->arm(heap);
  if (!armed && m->armed) m->f->disarm(heap);
  m->armed = armed;
}

/* limit([hard[, soft]]) -> hard, soft before; 0 = none, as is one that is not given beside the other */
static int module_limit(lua_State *L) {
  module_data *m = scalloc_module_data(L);
  scalloc_lua_heap *heap = scalloc_module_attached(L);
  scalloc_lua_stats stats = {.size = sizeof stats};
  size_t hard = scalloc_module_opt_size(L, 1, 0), soft = scalloc_module_opt_size(L, 2, 0);
  bool asked_only = lua_gettop(L) == 0;
  if (!heap) return scalloc_module_no_heap(L);
  if (!asked_only && scalloc_module_is_sealed(L)) return scalloc_module_sealed(L);
  m->f->stats_read(heap, &stats);
  if (hard && hard < stats.used) {
    char message[64];
    snprintf(message, sizeof message, "%zu bytes are in use", stats.used);
    return scalloc_module_fail(L, message);
  }
  if (!asked_only) {
    m->f->limit(heap, soft, hard);
    scalloc_module_arm(m, heap, hard || soft || stats.max_block);
  }
  scalloc_module_push_size(L, stats.hard_limit);
  scalloc_module_push_size(L, stats.soft_limit);
  return 2;
}

/* withlimit(bytes, f, ...) -> true, results of f(...) | false, message */
static int module_withlimit(lua_State *L) {
  luaL_checkany(L, 1);
  luaL_checkany(L, 2);
  size_t budget = scalloc_module_opt_size(L, 1, 0);
  if (!scalloc_module_attached(L)) return scalloc_module_no_heap(L);
  int status = scalloc_module_data(L)->f->pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 0, budget);
  lua_pushboolean(L, status == LUA_OK);
  lua_replace(L, 1);
  return lua_gettop(L);
}

/* active() -> boolean */
static int module_active(lua_State *L) {
  lua_pushboolean(L, scalloc_module_attached(L) != NULL);
  return 1;
}

/* seal() -> true. What is limited stays so, for as long as the state lives. */
static int module_seal(lua_State *L) {
  lua_pushboolean(L, 1);
  lua_setfield(L, LUA_REGISTRYINDEX, sealed_key);
  lua_pushboolean(L, 1);
  return 1;
}

/* ---- faults --------------------------------------------------------------------------------------------------------- */

/*
 * failafter(growths, f, ...) -> true, results of f(...) | false, message
 * failafter([growths]) -> true; stays until it is called without growths, for which there may be too little memory
 */
static int module_failafter(lua_State *L) {
  const lua_functions *f = scalloc_module_data(L)->f;
  lua_Integer growths = luaL_optinteger(L, 1, -1);
  scalloc_lua_heap *heap = scalloc_module_attached(L);
  if (!heap) return scalloc_module_no_heap(L);
  if (scalloc_module_is_sealed(L)) return scalloc_module_sealed(L);
  if (lua_gettop(L) <= 1) {
    lua_pushboolean(L, 1);
    f->fail_after(heap, (long)growths);
    return 1;
  }
  int status = f->pcall_failing(L, lua_gettop(L) - 2, LUA_MULTRET, (long)growths);
  lua_pushboolean(L, status == LUA_OK);
  lua_replace(L, 1);
  return lua_gettop(L);
}

/* check() -> true | fail, what is wrong */
static int module_check(lua_State *L) {
  char why[512];
  if (scalloc_module_is_sealed(L)) return scalloc_module_sealed(L); /* it takes time, and concerns other threads */
  if (!scalloc_module_data(L)->f->check(why, sizeof why)) return scalloc_module_fail(L, why);
  lua_pushboolean(L, 1);
  return 1;
}

/* ---- opening ------------------------------------------------------------------------------------------------------------------- */

static const luaL_Reg functions[] = {
    {"active", module_active},
    {"limit", module_limit},
    {"withlimit", module_withlimit},
    {"seal", module_seal},
    {"failafter", module_failafter},
    {"check", module_check},
    {NULL, NULL},
};

/* Keeps the object that this code lies in loaded until the process ends. */
static void pin(void) {
  Dl_info self;
  if (dladdr((const void *)(uintptr_t)pin, &self) && self.dli_fname)
    dlopen(self.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

/* Pushes the data of this copy, the same each time. */
static void push_data(lua_State *L) {
  static const char key = 0;
  lua_pushlightuserdata(L, (void *)(uintptr_t)&key);
  lua_rawget(L, LUA_REGISTRYINDEX);
  if (lua_isuserdata(L, -1)) return;
  lua_pop(L, 1);
  lua_pushlightuserdata(L, (void *)(uintptr_t)&key);
  module_data *m = lua_newuserdatauv(L, sizeof *m, 0);
  *m = (module_data){.f = scalloc_lua_functions_of(L)};
  lua_pushvalue(L, -1);
  lua_insert(L, -3);
  lua_rawset(L, LUA_REGISTRYINDEX);
}

SCALLOC_API int luaopen_scalloc(lua_State *L) {
  luaL_checkversion(L);
  pin();
  push_data(L);
  lua_newtable(L);
  lua_pushvalue(L, -2);
  luaL_setfuncs(L, functions, 1);
  lua_pushvalue(L, -2);
  scalloc_module_add_attach(L);
  lua_pushvalue(L, -2);
  scalloc_module_add_figures(L);
  lua_pushvalue(L, -2);
  scalloc_module_add_blocks(L);
  lua_pushvalue(L, -2);
  scalloc_module_add_profile(L);
  lua_pushliteral(L, "scalloc " MODULE_VERSION);
  lua_setfield(L, -2, "_VERSION");
  return 1;
}
