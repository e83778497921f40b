/*
 * Each growth of a life of a state fails once: making it, the libraries, loading, tables, coroutines, patterns, dumps. Whatever
 * failed, the heap is sound, the state goes on and closes, and nothing is left. And Lua under a shim that holds both sides to the
 * contract of lua_Alloc.
 */
#include "../test.h"
#include <lauxlib.h>
#include <lualib.h>
#include <scalloc/lua_alloc.h>
#include <signal.h>

static scalloc_lua_heap *new_heap(unsigned flags) {
  scalloc_lua_config config = {.size = sizeof config, .flags = flags};
  scalloc_lua_heap *heap = scalloc_lua_heap_new(&config);
  CHECK(heap != NULL);
  return heap;
}

static unsigned long long refusals_of(scalloc_lua_heap *heap) {
  scalloc_lua_stats s = {.size = sizeof s};
  CHECK(scalloc_lua_stats_read(heap, &s));
  return s.refusals;
}

static void check_empty(scalloc_lua_heap *heap) {
  CHECK_INT(scalloc_lua_used(heap), ==, 0);
  CHECK_INT(scalloc_lua_leaks(heap), ==, 0);
}

static void a_state_is_made_or_not(unsigned flags) {
  long n = 0;
  for (bool made = false; !made; n++) {
    scalloc_lua_heap *heap = new_heap(flags);
    scalloc_lua_fail_after(heap, n);
    lua_State *L = lua_newstate(scalloc_lua_alloc, heap);
    if ((made = L != NULL)) {
      scalloc_lua_fail_after(heap, -1);
      lua_close(L);
    }
    check_empty(heap);
    check_heap();
    scalloc_lua_heap_destroy(heap);
  }
  CHECK_INT(n, >, 20); /* it takes some fifty */
}

static int libraries(lua_State *L) {
  luaL_openlibs(L);
  return 0;
}

static int script(lua_State *L) { /* upvalue: its text */
  if (luaL_loadstring(L, lua_tostring(L, lua_upvalueindex(1))) != LUA_OK) return lua_error(L);
  lua_call(L, 0, 0);
  return 0;
}

static const char *const scripts[] = {
    "local function f(a, ...) local t = {a, ...} return function(x) a = x return #t end end return f(1, 2, 3)(4)",
    "local t = {} for i = 1, 300 do t[i] = i; t['k' .. i] = {i} end for i = 1, 300 do t[i] = nil end",
    "local cs = {} for i = 1, 20 do cs[i] = coroutine.wrap(function(a) while true do a = coroutine.yield(a + i) end end)\n"
    "assert(cs[i](1) == 1 + i) end for i = 1, 20 do assert(cs[i](2) == 2 + i) end",
    "local function deep(n) if n > 0 then return 1 + deep(n - 1) end return 0 end assert(deep(500) == 500)",
    "local s = ('abc %d '):rep(200):gsub('%w+', function(w) return w:upper() .. '!' end) assert(#s > 1000)",
    "local f = load(string.dump(function(a) local b <const> = 'k' return a, b, {a, b} end)) assert(f(7) == 7)",
    "local t = {} for i = 1, 100 do t[#t + 1] = ('%d,%s'):format(i, ('x'):rep(i)) end assert(#table.concat(t, ';') > 5000)",
    "setmetatable({}, {__gc = function() x = 1 end}) collectgarbage() local p = table.pack(table.unpack({1, 2, 3}, 1, 200))\n"
    "assert(p.n == 200 and select('#', ('x'):byte(1, -1)) == 1)",
};

/* Runs a function with failures from the nth growth on; returns whether it met none. */
static bool try(unsigned flags, const char *text, long n) {
  scalloc_lua_config config = {.size = sizeof config, .flags = flags};
  lua_State *L = scalloc_lua_newstate(&config);
  CHECK(L != NULL);
  scalloc_lua_heap *heap = scalloc_lua_heap_of(L);
  if (text) luaL_openlibs(L);
  if (text) lua_pushstring(L, text);
  lua_pushcclosure(L, text ? script : libraries, text != NULL);
  unsigned long long before = refusals_of(heap);
  scalloc_lua_fail_after(heap, n);
  int status = lua_pcall(L, 0, 0, 0);
  scalloc_lua_fail_after(heap, -1);
  bool refused = refusals_of(heap) != before;
  CHECK(status == LUA_OK || (refused && (status == LUA_ERRMEM || status == LUA_ERRRUN)));
  lua_settop(L, 0);
  check_heap();
  CHECK(luaL_dostring(L, "local t = {} for i = 1, 50 do t[i] = {i, 'n' .. i} end return #t") == LUA_OK); /* usable */
  CHECK_INT(lua_tointeger(L, -1), ==, 50);
  lua_settop(L, 0);
  lua_gc(L, LUA_GCCOLLECT);
  size_t counted = (size_t)lua_gc(L, LUA_GCCOUNT) * 1024 + (size_t)lua_gc(L, LUA_GCCOUNTB);
  CHECK_INT(scalloc_lua_used(heap), ==, counted);
  scalloc_lua_close(L, n % 2 ? SCALLOC_LUA_CLOSE_FULL : SCALLOC_LUA_CLOSE_FAST);
  return !refused;
}

static void each_growth_may_fail(unsigned flags, long step) {
  stats before = stats_now();
  for (size_t i = 0; i <= LENGTH(scripts); i++) {
    long n = 0;
    while (!try(flags, i ? scripts[i - 1] : NULL, n)) n += n < 50 ? 1 : step;
    CHECK_INT(n, >, 15);
  }
  check_all_returned(before);
}

/* A state that is made by us, published, marked for FAST: each of its growths fails, and nothing is left in its heap. */
static void newstate_leaves_nothing(unsigned flags) {
  stats before = stats_now();
  long n = 0;
  for (bool made = false; !made; n++) {
    scalloc_lua_heap *heap = new_heap(flags);
    scalloc_lua_fail_after(heap, n);
    lua_State *L = scalloc_lua_newstate_in(heap);
    scalloc_lua_fail_after(heap, -1);
    made = L != NULL;
    if (made) {
      luaL_openlibs(L);
      scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FAST);
    } else {
      check_empty(heap);
      scalloc_lua_heap_destroy(heap);
    }
    check_heap();
  }
  CHECK_INT(n, >, 50); /* those of lua_newstate, and some of ours */
  check_all_returned(before);
}

/* The process has no memory at all. */
static void newstate_may_find_no_memory(void) {
  run_self_ok("no memory", (char *[]){(char *)(uintptr_t) "SCALLOC_LIMIT_BYTES=1", NULL}, 0);
}

/* ---- free ---------------------------------------------------------------------------------------------------------------------- */

static void give_to_free(void) {
  setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
  scalloc_free(scalloc_lua_alloc(new_heap(0), NULL, 5, 56));
}

/* A block of a state's heap is none of free's; on a heap with flags, and in the checked build, free does not notice. */
static void free_takes_no_block_of_lua(void) {
  if (TEST_TRACKED) return;
  child result = run_self("free", (char *[]){NULL}, 0);
  CHECK(!result.exited && result.code == SIGABRT);
  CHECK(strncmp(result.err, "scalloc: invalid pointer ", 25) == 0 && strstr(result.err, "belongs to a Lua heap"));
}

/* ---- the shim ------------------------------------------------------------------------------------------------------------------- */

enum { ENTRIES = 1 << 18 };

typedef struct {
  scalloc_lua_heap *heap;
  size_t live, moved;
  struct {
    uintptr_t block; /* 0 = free, 1 = was used */
    size_t size;
  } entries[ENTRIES];
} shim;

static size_t find_entry(shim *s, const void *block) {
  size_t i = mix((uintptr_t)block) % ENTRIES;
  while (s->entries[i].block != (uintptr_t)block && s->entries[i].block != 0) i = (i + 1) % ENTRIES;
  return i;
}

static void enter(shim *s, void *block, size_t size) {
  CHECK_INT((uintptr_t)block % (size % 16 == 0 ? 16 : 8), ==, 0);
  size_t i = find_entry(s, block);
  CHECK(s->entries[i].block == 0); /* nobody else has it */
  CHECK(++s->live < ENTRIES / 2);
  s->entries[i].block = (uintptr_t)block;
  s->entries[i].size = size;
}

/* Linear probing: those behind move up. */
static void leave(shim *s, const void *block, size_t size) {
  size_t i = find_entry(s, block);
  CHECK(s->entries[i].block == (uintptr_t)block);
  CHECK_INT(s->entries[i].size, ==, size); /* osize is what was asked for last */
  s->live--;
  for (size_t k = (i + 1) % ENTRIES; s->entries[k].block != 0; k = (k + 1) % ENTRIES) {
    size_t home = mix(s->entries[k].block) % ENTRIES;
    if ((k - home) % ENTRIES < (k - i) % ENTRIES) continue;
    s->entries[i] = s->entries[k];
    i = k;
  }
  s->entries[i].block = 0;
}

static void *shim_alloc(void *ud, void *block, size_t osize, size_t nsize) {
  shim *s = ud;
  if (block == NULL) {
    CHECK(osize == 0 || (osize >= LUA_TSTRING && osize <= LUA_TTHREAD + 2)); /* a tag */
    void *fresh = scalloc_lua_alloc(s->heap, NULL, osize, nsize);
    CHECK((fresh == NULL) == (nsize == 0));
    if (fresh) enter(s, fresh, nsize);
    return fresh;
  }
  leave(s, block, osize);
  if (nsize == 0) {
    CHECK(scalloc_lua_alloc(s->heap, block, osize, 0) == NULL);
    return NULL;
  }
  void *moved = NULL;
  if (s->moved++ % 2) { /* every second one moves in any case */
    CHECK((moved = scalloc_lua_alloc(s->heap, NULL, 0, nsize)) != NULL);
    memcpy(moved, block, osize < nsize ? osize : nsize);
    CHECK(scalloc_lua_alloc(s->heap, block, osize, 0) == NULL);
  } else {
    CHECK((moved = scalloc_lua_alloc(s->heap, block, osize, nsize)) != NULL);
  }
  enter(s, moved, nsize);
  return moved;
}

static void both_sides_keep_the_contract(unsigned flags) {
  static shim s;
  memset(&s, 0, sizeof s);
  s.heap = new_heap(flags);
  lua_State *L = lua_newstate(shim_alloc, &s);
  CHECK(L != NULL);
  luaL_openlibs(L);
  for (int round = 0; round < 3; round++) {
    for (size_t i = 0; i < LENGTH(scripts); i++) CHECK(luaL_dostring(L, scripts[i]) == LUA_OK);
    CHECK(luaL_dostring(L, "local t = {} for i = 1, 20000 do t[i] = {tostring(i), i} end") == LUA_OK);
    lua_settop(L, 0);
    CHECK_INT(scalloc_lua_walk(s.heap, NULL, NULL), ==, s.live);
  }
  lua_close(L);
  CHECK_INT(s.live, ==, 0);
  check_empty(s.heap);
  scalloc_lua_heap_destroy(s.heap);
}

int main(int argc, char **argv) {
  static const unsigned sets[] = {0, SCALLOC_LUA_STATS | SCALLOC_LUA_GUARD | SCALLOC_LUA_ZERO_ON_FREE, SCALLOC_LUA_SHARED,
                                  SCALLOC_LUA_TAG_SEGREGATE};
  if (argc > 1 && strcmp(argv[1], "free") == 0) return give_to_free(), 0;
  if (argc > 1) return strcmp(argv[1], "no memory") != 0 || scalloc_lua_newstate(NULL) != NULL;
  without_quarantine();
  scalloc_free(scalloc_malloc(1));
  for (size_t i = 0; i < LENGTH(sets); i++) {
    a_state_is_made_or_not(sets[i]);
    each_growth_may_fail(sets[i], i ? 37 : 1);
    both_sides_keep_the_contract(sets[i]);
    newstate_leaves_nothing(sets[i]);
  }
  newstate_may_find_no_memory();
  free_takes_no_block_of_lua();
  return 0;
}
