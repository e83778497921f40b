/* States of one Lua, whichever this is compiled for: made, run, counted, refused memory at every growth, closed, all returned. */
#include "../test.h"
#include "lua_compat.h"
#include <scalloc/lua_alloc.h>

static const char workload[] = "local sum, live = 0, {}\n"
                               "for i = 1, 20000 do\n"
                               "  local t = {i, name = 'n' .. i, f = function() return i end}\n"
                               "  live[i % 500 + 1] = t\n"
                               "  sum = sum + #(t.name:rep(3)) + t.f()\n"
                               "  if i % 100 == 0 then coroutine.wrap(function(a) coroutine.yield(a) end)(t) end\n"
                               "end\n"
                               "return sum";
enum { WORKLOAD_SUM = 200010000 + 3 * (9 * 2 + 90 * 3 + 900 * 4 + 9000 * 5 + 10001 * 6) };

static int finalized;

static int note(lua_State *L) {
  (void)L;
  finalized++;
  return 0;
}

static void run(lua_State *L, const char *script) {
  if (luaL_loadstring(L, script) || lua_pcall(L, 0, LUA_MULTRET, 0))
    test_fail(__FILE__, __LINE__, "script failed: %s", lua_tostring(L, -1));
}

static lua_State *new_state(void) {
  lua_State *L = scalloc_lua_newstate(NULL);
  CHECK(L != NULL);
  luaL_openlibs(L);
  lua_register(L, "note", note);
  return L;
}

static void run_workload(lua_State *L) {
  run(L, workload);
  CHECK_INT(lua_tointeger(L, -1), ==, WORKLOAD_SUM);
  lua_settop(L, 0);
}

/* LuaJIT leaves its machine code and traces out of "count", not out of its allocator's. */
static void used_is_what_lua_counts(lua_State *L) {
  lua_gc(L, LUA_GCCOLLECT, 0);
  size_t counted = (size_t)lua_gc(L, LUA_GCCOUNT, 0) * 1024 + (size_t)lua_gc(L, LUA_GCCOUNTB, 0);
  CHECK_INT(scalloc_lua_used(scalloc_lua_heap_of(L)), >=, counted);
  CHECK_INT(scalloc_lua_used(scalloc_lua_heap_of(L)), <, counted + counted / 10);
}

/* Finalizers as every version has them: of userdata. */
static void mark_for_finalizer(lua_State *L) {
  lua_newuserdatauv(L, 16, 0);
  CHECK_INT((uintptr_t)lua_touserdata(L, -1) % 8, ==, 0);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, note);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_setglobal(L, "kept");
}

static void a_close_runs_finalizers(scalloc_lua_close_mode mode, int expected) {
  stats before = stats_now();
  lua_State *L = new_state();
  mark_for_finalizer(L);
  run_workload(L);
  finalized = 0;
  scalloc_lua_close(L, mode);
  CHECK_INT(finalized, ==, expected);
  check_all_returned(before);
}

/* ---- the order of finalizers, and that FAST leaves the objects alone ---------------------------------------------------- */

#ifndef FAST_CLOSE /* LuaJIT's close is always a full one */
#define FAST_CLOSE 1
#endif
enum { OBJECTS = 60, BIG = 200000 };
static int order[OBJECTS];
static size_t ordered;

static int note_order(lua_State *L) {
  CHECK(ordered < OBJECTS);
  order[ordered++] = *(int *)lua_touserdata(L, 1);
  lua_createtable(L, 100, 0);
  return *(int *)lua_touserdata(L, 1) % 7 == 0 ? luaL_error(L, "a finalizer may fail") : 0;
}

static void fill_with_finalizers(lua_State *L) {
  lua_createtable(L, OBJECTS, 0);
  for (int i = 0; i < OBJECTS; i++) {
    *(int *)lua_newuserdatauv(L, sizeof(int), 0) = i;
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, note_order);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_rawseti(L, -2, i + 1);
  }
  lua_setglobal(L, "objects");
}

static void finalizers_keep_their_order(scalloc_lua_close_mode mode) {
  int expected[OBJECTS];
  lua_State *plain = luaL_newstate(), *L = new_state();
  fill_with_finalizers(plain);
  fill_with_finalizers(L);
  ordered = 0;
  lua_close(plain);
  CHECK_INT(ordered, ==, OBJECTS);
  memcpy(expected, order, sizeof order);
  ordered = 0;
  scalloc_lua_close(L, mode);
  CHECK_INT(ordered, ==, OBJECTS);
  CHECK(memcmp(expected, order, OBJECTS * sizeof order[0]) == 0);
}

static double seconds_of_close(scalloc_lua_close_mode mode) {
  double shortest = 1e9;
  for (int i = 0; i < 3; i++) {
    lua_State *L = new_state();
    lua_pushinteger(L, BIG);
    lua_setglobal(L, "n");
    run(L, "t = {} for i = 1, n do t[i] = {i} end");
    double begin = now();
    scalloc_lua_close(L, mode);
    if (now() - begin < shortest) shortest = now() - begin;
  }
  return shortest;
}

static void fast_is_fast(void) {
  if (FAST_CLOSE) CHECK(seconds_of_close(SCALLOC_LUA_CLOSE_FAST) < seconds_of_close(SCALLOC_LUA_CLOSE_FULL) / 4);
}

/* ---- refusals ------------------------------------------------------------------------------------------------------------ */

/*
 * Growths beyond the n-th are refused; a state made with so little is NULL or works. LuaJIT 2.1's lua_newstate crashes when one of
 * its growths 1 to 6 is refused, on any allocator: there the test begins with 7.
 */
#ifndef FIRST_REFUSED
#define FIRST_REFUSED 0
#endif
typedef struct {
  long growths;
  scalloc_lua_heap *heap;
} meter;

static void *metered(void *ud, void *block, size_t osize, size_t nsize) {
  meter *m = ud;
  bool growth = nsize != 0 && (block == NULL || nsize > osize);
  if (growth && m->growths-- <= 0) return NULL;
  void *result = scalloc_lua_alloc(m->heap, block, osize, nsize);
  CHECK(growth || nsize == 0 || result != NULL); /* a shrink does not fail, and 5.1 to 5.3 rely on it */
  if (result != NULL && LUA_VERSION_NUM < 502 && block == NULL) CHECK_INT(osize, ==, 0);
  return result;
}

static int openlibs_and_work(lua_State *L) {
  luaL_openlibs(L);
  if (luaL_loadstring(L, "local t = {} for i = 1, 50 do t[i] = {('x'):rep(i)} end return #t")) lua_error(L);
  lua_call(L, 0, 0);
  return 0;
}

static void every_growth_may_be_refused(void) {
  long refused = 0;
  for (long growths = FIRST_REFUSED;; growths += growths < 400 ? 1 : 7) {
    meter m = {growths, scalloc_lua_heap_new(NULL)};
    lua_State *L = compat_newstate(metered, &m);
    int status = L ? compat_cpcall(L, openlibs_and_work, NULL) : LUA_ERRMEM;
    if (status != LUA_OK) refused++;
    if (status != LUA_OK && L) CHECK(strstr(lua_tostring(L, -1), "not enough memory"));
    m.growths = 1000000;
    if (L) {
      CHECK(lua_checkstack(L, 20));
      run(L, "return 1");
      lua_close(L);
    }
    CHECK_INT(scalloc_lua_used(m.heap), ==, 0);
    scalloc_lua_heap_destroy(m.heap);
    if (status == LUA_OK) break;
  }
  CHECK_INT(refused, >, 50);
  check_heap();
}

int main(void) {
  scalloc_lua_close(new_state(), SCALLOC_LUA_CLOSE_FULL);
  lua_State *L = new_state();
  CHECK(scalloc_lua_heap_of(L) != NULL);
  CHECK((uintptr_t)L < (uintptr_t)1 << 47); /* LuaJIT and light userdata hold 47 bits */
  run_workload(L);
  used_is_what_lua_counts(L);
  scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FULL);
  a_close_runs_finalizers(SCALLOC_LUA_CLOSE_FULL, 1);
  a_close_runs_finalizers(SCALLOC_LUA_CLOSE_FAST, 1);
  a_close_runs_finalizers(SCALLOC_LUA_CLOSE_DISCARD, 0);
  finalizers_keep_their_order(SCALLOC_LUA_CLOSE_FULL);
  finalizers_keep_their_order(SCALLOC_LUA_CLOSE_FAST);
  fast_is_fast();
  every_growth_may_be_refused();
  return 0;
}
