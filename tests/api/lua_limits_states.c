/* lua_limits_states.c - Lua within limits: errors that can be survived, finalizers, budgets of calls. */
#include "lua_limits.h"

static lua_State *new_state(size_t hard) {
  scalloc_lua_config config = {.size = sizeof config, .hard_limit = hard};
  lua_State *L = scalloc_lua_newstate(&config);
  CHECK(L != NULL && scalloc_lua_openlibs(L) == LUA_OK);
  return L;
}

static int run(lua_State *L, const char *script) {
  CHECK(luaL_loadstring(L, script) == LUA_OK);
  return lua_pcall(L, 0, 0, 0);
}

static void a_script_cannot_forge_a_failure(void) {
  lua_State *L = new_state(2 * MB);
  scalloc_lua_heap *heap = scalloc_lua_heap_of(L);
  scalloc_lua_arm(heap);
  int forged = run(L, "error('not enough memory', 0)");
  CHECK(forged == LUA_ERRMEM || forged == LUA_ERRRUN); /* 5.4 takes it for a real one */
  CHECK_INT(stats_of(heap).failures, ==, 0);
  lua_settop(L, 0);
  CHECK(run(L, "local t = {} for i = 1, 1e7 do t[i] = {i} end") == LUA_ERRMEM);
  CHECK_INT(stats_of(heap).failures, ==, 1);
  CHECK_INT(stats_of(heap).emergencies, >=, 1);
  CHECK_INT(scalloc_lua_peak(heap, false), <=, 2 * MB);
  lua_settop(L, 0);
  CHECK(run(L, "local t = {} for i = 1, 1000 do t[i] = {i} end") == LUA_OK); /* usable as before */
  scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FULL);
}

static int run_with(lua_State *L, size_t limit) {
  static const char script[] = "local live = {} for i = 1, 200 do live[i] = {i, tostring(i)} end\n"
                               "for i = 1, 2000 do live[i % 200 + 1] = {i, tostring(i)} end";
  scalloc_lua_heap *heap = scalloc_lua_heap_of(L);
  scalloc_lua_limit(heap, 0, limit);
  scalloc_lua_peak(heap, true);
  size_t began = scalloc_lua_used(heap);
  int status = luaL_loadstring(L, script);
  if (status == LUA_OK) status = lua_pcall(L, 0, 0, 0);
  CHECK(status == LUA_OK || status == LUA_ERRMEM);
  CHECK_INT(scalloc_lua_peak(heap, false), <=, limit > began ? limit : began);
  lua_settop(L, 0);
  lua_gc(L, LUA_GCCOLLECT);
  return status;
}

/* No limit is a crash: byte by byte above the live set, in steps, and byte by byte where the program first can live. */
static void every_limit_near_the_live_set_is_survived(void) {
  lua_State *L = new_state(0);
  scalloc_lua_heap *heap = scalloc_lua_heap_of(L);
  lua_gc(L, LUA_GCCOLLECT);
  scalloc_lua_arm(heap);
  size_t base = scalloc_lua_used(heap), enough = 0;
  bool failed = false;
  for (size_t i = 0; i < 40000; i += i < 200 ? 1 : 97) {
    bool good = run_with(L, base + i) == LUA_OK;
    if (good && enough == 0) enough = i;
    failed = failed || !good;
  }
  CHECK(enough > 0 && failed);
  failed = false;
  for (size_t i = enough - 150; i < enough + 50; i++) failed = run_with(L, base + i) != LUA_OK || failed;
  CHECK(failed && run_with(L, base + 100000) == LUA_OK);
  scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FULL);
  check_heap();
}

/* ---- finalizers at the close ----------------------------------------------------------------------------------------------- */

static int finalized, refused;

static int note_end(lua_State *L) {
  finalized++;
  int status = luaL_loadstring(L, "local t = {} for k = 1, 1e7 do t[k] = {k} end");
  if (status == LUA_OK) status = lua_pcall(L, 0, 0, 0);
  refused += status == LUA_ERRMEM;
  return 0;
}

/* Armed, they are refused, one after the other, and the close goes on to its end; the limit holds to the last of them. */
static void finalizers_stay_within_the_limit(void) {
  stats before = stats_now();
  for (int mode = SCALLOC_LUA_CLOSE_FULL; mode <= SCALLOC_LUA_CLOSE_FAST; mode++) {
    lua_State *L = new_state(2 * MB);
    lua_register(L, "note_end", note_end);
    scalloc_lua_arm(scalloc_lua_heap_of(L));
    CHECK(luaL_dostring(L, "x = {} for i = 1, 5 do x[i] = setmetatable({}, {__gc = note_end}) end\n"
                           "for i = 6, 10 do x[i] = setmetatable({}, {__gc = function() note_end() error {} end}) end") == 0);
    finalized = refused = 0;
    scalloc_lua_close(L, (scalloc_lua_close_mode)mode);
    CHECK_INT(finalized, ==, 10);
    CHECK_INT(refused, ==, 10);
    check_heap();
  }
  check_all_returned(before);
}

/* ---- budgets ------------------------------------------------------------------------------------------------------------- */

static int inner(lua_State *L) { /* budget, size: 0 = got it */
  lua_Integer budget = luaL_checkinteger(L, 1), size = luaL_checkinteger(L, 2);
  lua_getglobal(L, "string");
  lua_getfield(L, -1, "rep");
  lua_pushliteral(L, "x");
  lua_pushinteger(L, size);
  int status = scalloc_lua_pcall(L, 2, 0, 0, (size_t)budget);
  lua_settop(L, 0);
  lua_pushinteger(L, status);
  return 1;
}

static void budgets_nest(void) {
  lua_State *L = new_state(0);
  lua_register(L, "inner", inner);
  CHECK(luaL_dostring(L, "function f(budget, size) first, second = inner(budget, size), inner(1e9, 5e6) end") == 0);
  static const struct {
    size_t outer;
    lua_Integer budget, size;
    int first, second;
  } cases[] = {{20000000, 1000, 100000, LUA_ERRMEM, LUA_OK}, /* the inner one is narrower, and ends with its call */
               {1000000, 1000, 500, LUA_OK, LUA_ERRMEM},     /* a wide inner budget does not widen the outer one */
               {SIZE_MAX, 10000000, 2000000, LUA_OK, LUA_OK}};
  scalloc_lua_heap *heap = scalloc_lua_heap_of(L);
  for (size_t i = 0; i < LENGTH(cases); i++) {
    lua_gc(L, LUA_GCCOLLECT);
    scalloc_lua_peak(heap, true);
    size_t before = scalloc_lua_used(heap);
    lua_getglobal(L, "f");
    lua_pushinteger(L, cases[i].budget);
    lua_pushinteger(L, cases[i].size);
    CHECK_INT(scalloc_lua_pcall(L, 2, 0, 0, cases[i].outer), ==, LUA_OK);
    if (cases[i].outer != SIZE_MAX) CHECK_INT(scalloc_lua_peak(heap, false), <=, before + cases[i].outer);
    lua_getglobal(L, "first");
    lua_getglobal(L, "second");
    CHECK_INT(lua_tointeger(L, -2), ==, cases[i].first);
    CHECK_INT(lua_tointeger(L, -1), ==, cases[i].second);
    lua_settop(L, 0);
  }
  CHECK(luaL_dostring(L, "return #string.rep('x', 5000000)") == LUA_OK); /* nothing of a budget is left */
  lua_settop(L, 0);
  CHECK(luaL_loadstring(L, "local t = {} while true do t[#t + 1] = {} end") == LUA_OK);
  CHECK_INT(scalloc_lua_pcall(L, 0, 0, 0, 100000), ==, LUA_ERRMEM);
  scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FULL);
  lua_State *foreign = luaL_newstate();
  CHECK(luaL_loadstring(foreign, "return 1") == LUA_OK);
  CHECK_INT(scalloc_lua_pcall(foreign, 0, 1, 0, 0), ==, LUA_OK); /* no heap of ours, no budget */
  lua_close(foreign);
}

void states_within_limits(void) {
  a_script_cannot_forge_a_failure();
  every_limit_near_the_live_set_is_survived();
  finalizers_stay_within_the_limit();
  budgets_nest();
}
