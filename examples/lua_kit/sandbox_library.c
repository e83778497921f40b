#include "sandbox_library.h"

#include <lauxlib.h>
#include <lualib.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "sandbox_work.h"

static sandbox_charge *charge_work;

/* Goes on with the original, which is the guard's upvalue. */
static int go_on(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

/* string.rep: even of the empty string, n times takes n steps. */
static int guard_rep(lua_State *L) {
  size_t length;
  luaL_checklstring(L, 1, &length);
  lua_Integer times = luaL_checkinteger(L, 2);
  if (times > 0) charge_work(L, (double)times * (WORK_STEP + (double)length / 64));
  return go_on(L);
}

/* Functions that go through the bytes of their arguments once. */
static int guard_text(lua_State *L) {
  for (int i = lua_gettop(L); i > 0; i--)
    if (lua_type(L, i) == LUA_TSTRING) charge_work(L, WORK_TEXT * (double)lua_rawlen(L, i));
  return go_on(L);
}

/* What a pattern may take at the worst is charged before it begins, though it may take much less. */
static int guard_with(lua_State *L, bool anchors, bool may_be_plain) {
  size_t subject, length;
  luaL_checklstring(L, 1, &subject);
  const char *pattern = luaL_checklstring(L, 2, &length);
  bool plain = may_be_plain && (lua_toboolean(L, 4) || is_plain(pattern, length));
  charge_work(L, plain ? work_of_plain_find(subject, length) : work_of_pattern(subject, pattern, length, anchors));
  return go_on(L);
}

static int guard_find(lua_State *L) { return guard_with(L, true, true); }
static int guard_match(lua_State *L) { return guard_with(L, true, false); }
static int guard_gmatch(lua_State *L) { return guard_with(L, false, false); }

/* string.gsub: each match may go through the replacement, which need not put anything out. */
static int guard_gsub(lua_State *L) {
  size_t subject, length = 0;
  double parts = 1;
  luaL_checklstring(L, 1, &subject);
  const char *with = lua_type(L, 3) == LUA_TSTRING ? lua_tolstring(L, 3, &length) : NULL;
  charge_work(L, WORK_TEXT * (double)length);
  for (size_t i = 0; with && i < length; i++) parts += with[i] == '%';
  charge_work(L, WORK_STEP * ((double)subject + 1) * (parts + (double)length / 64));
  return guard_with(L, true, false);
}

/* The elements that table.insert, remove, concat, unpack, sort and move may touch: a length may be a lie, or a border far away. */
static double elements(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  double count = (double)lua_rawlen(L, 1);
  for (int i = 1; i <= 5; i++) {
    if (lua_istable(L, i) && lua_getmetatable(L, i)) luaL_error(L, "the table has a metatable");
    if (lua_isinteger(L, i)) count += fabs((double)lua_tointeger(L, i));
  }
  return count;
}

static int guard_table(lua_State *L) {
  charge_work(L, WORK_ELEMENT * elements(L));
  return go_on(L);
}

/* table.sort: its comparisons, three times as many as there must be; what a function compares is charged as it runs. */
static int guard_sort(lua_State *L) {
  double count = elements(L), each = WORK_ELEMENT;
  charge_work(L, WORK_ELEMENT * count);
  if (lua_isnoneornil(L, 2)) each = work_of_comparison(L, 1, (lua_Integer)lua_rawlen(L, 1), charge_work);
  charge_work(L, 3 * count * log2(count + 2) * each);
  return go_on(L);
}

/* load: text alone, since bytecode is not checked. */
static int guard_load(lua_State *L) {
  size_t length;
  const char *text = luaL_checklstring(L, 1, &length);
  charge_work(L, WORK_SOURCE * (double)length);
  if (luaL_loadbufferx(L, text, length, luaL_optstring(L, 2, "=load"), "t") == LUA_OK) return 1;
  luaL_pushfail(L);
  lua_insert(L, -2);
  return 2;
}

/* setmetatable: no finalizers, in which hooks do not work. */
static int guard_setmetatable(lua_State *L) {
  if (lua_istable(L, 2)) {
    lua_pushliteral(L, "__gc");
    if (lua_rawget(L, 2) != LUA_TNIL) return luaL_error(L, "no finalizers here");
    lua_pop(L, 1);
  }
  return go_on(L);
}

/* What coroutine.wrap returns: resumes, and passes errors on without closing the coroutine. */
static int resume(lua_State *L) {
  int results, arguments = lua_gettop(L);
  lua_State *co = lua_tothread(L, lua_upvalueindex(1));
  if (lua_status(co) == LUA_OK && lua_gettop(co) == 0) return luaL_error(L, "cannot resume dead coroutine");
  if (co == L || lua_status(co) > LUA_YIELD || !lua_checkstack(co, arguments)) return luaL_error(L, "cannot resume coroutine");
  lua_xmove(L, co, arguments);
  int status = lua_resume(co, L, arguments, &results);
  bool good = status == LUA_OK || status == LUA_YIELD;
  if (!lua_checkstack(L, results + 1)) return luaL_error(L, "too many results");
  lua_xmove(co, L, good ? results : 1);
  return good ? results : lua_error(L);
}

static int new_wrap(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  lua_pushcclosure(L, resume, 1);
  return 1;
}

static int only_count(lua_State *L) {
  static const char *const options[] = {"count", NULL};
  luaL_checkoption(L, 1, "count", options);
  lua_pushnumber(L, lua_gc(L, LUA_GCCOUNT) + lua_gc(L, LUA_GCCOUNTB) / 1024.0);
  return 1;
}

typedef struct {
  const char *library, *name;
  lua_CFunction guard; /* NULL: as it is */
} entry;

static const entry allowed[] = {
    {"_G", "_G", NULL},
    {"_G", "assert", NULL},
    {"_G", "error", NULL},
    {"_G", "getmetatable", NULL},
    {"_G", "ipairs", NULL},
    {"_G", "next", NULL},
    {"_G", "pairs", NULL},
    {"_G", "pcall", NULL},
    {"_G", "rawequal", NULL},
    {"_G", "rawget", NULL},
    {"_G", "rawlen", NULL},
    {"_G", "rawset", NULL},
    {"_G", "select", NULL},
    {"_G", "tonumber", guard_text},
    {"_G", "tostring", NULL},
    {"_G", "type", NULL},
    {"_G", "load", guard_load},
    {"_G", "_VERSION", NULL},
    {"_G", "collectgarbage", only_count},
    {"_G", "setmetatable", guard_setmetatable},
    {"coroutine", "create", NULL},
    {"coroutine", "resume", NULL},
    {"coroutine", "yield", NULL},
    {"coroutine", "status", NULL},
    {"coroutine", "running", NULL},
    {"coroutine", "isyieldable", NULL},
    {"coroutine", "wrap", new_wrap},
    {"math", NULL, NULL},
    {"utf8", "char", NULL},
    {"utf8", "codepoint", guard_text},
    {"utf8", "len", guard_text},
    {"utf8", "charpattern", NULL},
    {"os", "time", NULL},
    {"os", "clock", NULL},
    {"string", "byte", NULL},
    {"string", "char", NULL},
    {"string", "format", guard_text},
    {"string", "len", NULL},
    {"string", "lower", guard_text},
    {"string", "upper", guard_text},
    {"string", "reverse", guard_text},
    {"string", "sub", NULL},
    {"string", "rep", guard_rep},
    {"string", "find", guard_find},
    {"string", "match", guard_match},
    {"string", "gmatch", guard_gmatch},
    {"string", "gsub", guard_gsub},
    {"table", "concat", guard_table},
    {"table", "insert", guard_table},
    {"table", "move", guard_table},
    {"table", "pack", NULL},
    {"table", "remove", guard_table},
    {"table", "sort", guard_sort},
    {"table", "unpack", guard_table},
};

static const entry *find(const char *library, const char *name) {
  for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++)
    if (strcmp(allowed[i].library, library) == 0 && (!allowed[i].name || strcmp(allowed[i].name, name) == 0))
      return &allowed[i];
  return NULL;
}

/* Keeps, replaces or removes every function of the library on top of the stack; the table stays the one that others refer to. */
static void restrict_library(lua_State *L, const char *library) {
  int table = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, table) != 0; lua_pop(L, 1)) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
    const entry *one = find(library, name);
    if (one && !one->guard) continue;
    lua_pushvalue(L, -2);
    if (one) {
      lua_pushvalue(L, -2);
      lua_pushcclosure(L, one->guard, 1);
    } else {
      lua_pushnil(L);
    }
    lua_rawset(L, table);
  }
}

void sandbox_restrict(lua_State *L, sandbox_charge *charge) {
  static const char *const libraries[] = {"coroutine", "math", "os", "string", "table", "utf8"};
  charge_work = charge;
  lua_pushglobaltable(L);
  int globals = lua_gettop(L);
  for (size_t i = 0; i < sizeof libraries / sizeof libraries[0]; i++) {
    lua_getfield(L, globals, libraries[i]);
    restrict_library(L, libraries[i]);
  }
  lua_pushvalue(L, globals);
  restrict_library(L, "_G"); /* takes the libraries out as well */
  for (size_t i = 0; i < sizeof libraries / sizeof libraries[0]; i++) {
    lua_pushvalue(L, globals + 1 + (int)i);
    lua_setfield(L, globals, libraries[i]);
  }
  lua_settop(L, globals - 1);
  lua_pushnil(L);
  lua_setfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
}
