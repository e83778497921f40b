/* Running states that change over to a heap, whatever they ran on before, and back. */
#include "../test.h"
#include <lauxlib.h>
#include <lualib.h>
#include <scalloc/lua_alloc.h>

/* ---- an allocator of others, which knows every block it has ------------------------------------------------------------------ */

typedef struct {
  size_t blocks, bytes;
  bool gone;
} ledger;

static void *counted_alloc(void *ud, void *block, size_t osize, size_t nsize) {
  ledger *l = ud;
  size_t *head = block ? (size_t *)block - 2 : NULL;
  CHECK(!l->gone);
  if (head) CHECK_INT(*head, ==, osize); /* a block of another allocator would not say so */
  if (nsize == 0) {
    if (head) l->blocks--, l->bytes -= osize;
    free(head);
    return NULL;
  }
  size_t *moved = realloc(head, nsize + 16);
  CHECK(moved != NULL);
  l->blocks += head == NULL;
  l->bytes += nsize - (head ? osize : 0);
  *moved = nsize;
  return moved + 2;
}

static lua_State *counted_state(ledger *l) {
  lua_State *L = lua_newstate(counted_alloc, l);
  CHECK(L != NULL);
  luaL_openlibs(L);
  return L;
}

static const char before_script[] = "old = {} for i = 1, 3000 do old[i] = {i, ('o'):rep(i % 100)} end\n"
                                    "grow_me = {} for i = 1, 100 do grow_me[i] = i end\n"
                                    "log = setmetatable({}, {__gc = function() closed = true end})";
static const char after_script[] = "for i = 1, 3000 do assert(old[i][1] == i and #old[i][2] == i % 100) end\n"
                                   "for i = 101, 5000 do grow_me[i] = {i} end\n"
                                   "for i = 1, 100 do assert(grow_me[i] == i) end\n"
                                   "for i = 1, 3000, 2 do old[i] = nil end\n"
                                   "for i = 1, 20000 do local t = {tostring(i), function() return i end} end\n"
                                   "for i = 2, 3000, 2 do assert(old[i][1] == i) end\n"
                                   "collectgarbage()";

static void run(lua_State *L, const char *script) {
  if (luaL_dostring(L, script) != LUA_OK) test_fail(__FILE__, __LINE__, "%s", lua_tostring(L, -1));
}

static size_t counted(lua_State *L) { return (size_t)lua_gc(L, LUA_GCCOUNT) * 1024 + (size_t)lua_gc(L, LUA_GCCOUNTB); }

static scalloc_lua_heap *adopt(lua_State *L, unsigned flags) {
  scalloc_lua_config config = {.size = sizeof config, .flags = flags};
  scalloc_lua_heap *heap = scalloc_lua_adopt(L, &config);
  CHECK(heap != NULL && scalloc_lua_heap_of(L) == heap);
  return heap;
}

static void a_foreign_state_changes_over(unsigned flags, scalloc_lua_close_mode mode) {
  stats before = stats_now();
  ledger l = {0};
  lua_State *L = counted_state(&l);
  run(L, before_script);
  size_t old = l.bytes;
  scalloc_lua_heap *heap = adopt(L, flags);
  CHECK_INT(scalloc_lua_used(heap), ==, counted(L));
  run(L, after_script);
  CHECK_INT(l.bytes, <, old); /* half of the old ones are gone */
  CHECK_INT(scalloc_lua_leaks(heap), >, 4000);
  CHECK_INT(scalloc_lua_used(heap), ==, counted(L));
  check_heap();
  errno = 0;
  CHECK(scalloc_lua_adopt(L, NULL) == NULL && errno == EINVAL); /* once only */
  scalloc_lua_close(L, mode);
  if (mode != SCALLOC_LUA_CLOSE_DISCARD) CHECK_INT(l.blocks, ==, 0);
  check_all_returned(before);
}

/* Growth counts against a limit by what it adds, also when a block comes over. */
static void limits_hold_for_adopted_states(void) {
  ledger l = {0};
  lua_State *L = counted_state(&l);
  run(L, before_script);
  scalloc_lua_heap *heap = adopt(L, 0);
  scalloc_lua_limit(heap, 0, scalloc_lua_used(heap) + 200000);
  scalloc_lua_arm(heap);
  for (int i = 0; i < 5; i++) {
    CHECK(luaL_loadstring(L, "local t = {} for i = 1, 1e6 do t[i] = {} end") == LUA_OK);
    CHECK_INT(lua_pcall(L, 0, 0, 0), ==, LUA_ERRMEM);
    lua_settop(L, 0);
  }
  CHECK_INT(scalloc_lua_peak(heap, false), <=, scalloc_lua_used(heap) + 1000000);
  void *ud, *block = counted_alloc(&l, NULL, 0, 1000000); /* as if it were the state's */
  lua_Alloc f = lua_getallocf(L, &ud);
  size_t used = scalloc_lua_used(heap);
  CHECK(f(ud, block, 1000000, 5000000) == NULL); /* refused, and nothing has changed */
  CHECK_INT(scalloc_lua_used(heap), ==, used);
  CHECK((block = f(ud, block, 1000000, 10)) != NULL); /* never refused */
  CHECK(f(ud, block, 10, 0) == NULL);
  scalloc_lua_disarm(heap);
  scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FULL);
  CHECK_INT(l.blocks, ==, 0);
}

static void a_state_goes_back(void) {
  stats before = stats_now();
  ledger l = {0};
  lua_State *L = counted_state(&l);
  CHECK(!scalloc_lua_release(L)); /* not adopted */
  run(L, before_script);
  adopt(L, 0);
  CHECK(scalloc_lua_release(L)); /* before a block was made: at once */
  CHECK(scalloc_lua_heap_of(L) == NULL);
  check_all_returned(before);
  adopt(L, SCALLOC_LUA_STATS);
  run(L, "fresh = {} for i = 1, 1000 do fresh[i] = {i, tostring(i)} end");
  CHECK(!scalloc_lua_release(L));
  scalloc_lua_heap *heap = scalloc_lua_heap_of(L);
  size_t left = scalloc_lua_leaks(heap);
  CHECK_INT(left, >, 1000);
  run(L, "for i = 1, 1000 do assert(fresh[i][1] == i); fresh[i][3] = {} end for i = 1001, 3000 do fresh[i] = {} end");
  CHECK_INT(scalloc_lua_leaks(heap), <, left); /* arrays have gone back as they grew; nothing new has come */
  CHECK(!scalloc_lua_release(L));
  run(L, after_script);
  lua_close(L); /* the plain close works, and frees all that the state has */
  CHECK_INT(l.blocks, ==, 0);
  CHECK_INT(scalloc_lua_leaks(heap), ==, 0);
  scalloc_lua_heap_destroy(heap);
  L = counted_state(&l);
  adopt(L, 0);
  run(L, "fresh = {} for i = 1, 1000 do fresh[i] = {i} end");
  CHECK(!scalloc_lua_release(L));
  run(L, "fresh = nil; collectgarbage(); collectgarbage()");
  for (int i = 0; i < 10 && !scalloc_lua_release(L); i++) /* interned strings and the like: until they are freed or move */
    run(L, "collectgarbage()");
  scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FULL);
  CHECK_INT(l.blocks, ==, 0);
  check_all_returned(before);
}

static void states_on_our_heaps_change_over_too(void) {
  stats before = stats_now();
  for (int mode = SCALLOC_LUA_CLOSE_FULL; mode <= SCALLOC_LUA_CLOSE_DISCARD; mode++) {
    lua_State *L = scalloc_lua_newstate(NULL), *plain = lua_newstate(scalloc_lua_alloc, NULL);
    CHECK(L != NULL && plain != NULL && scalloc_lua_openlibs(L) == LUA_OK && scalloc_lua_openlibs(plain) == LUA_OK);
    scalloc_lua_heap *first = scalloc_lua_heap_of(L);
    run(L, before_script);
    run(plain, before_script);
    scalloc_lua_heap *second = adopt(L, SCALLOC_LUA_TAG_SEGREGATE);
    adopt(plain, 0);
    CHECK(second != first);
    run(L, after_script);
    run(plain, after_script);
    CHECK_INT(scalloc_lua_used(second), ==, counted(L));
    check_heap();
    scalloc_lua_close(L, (scalloc_lua_close_mode)mode); /* and its first heap */
    scalloc_lua_close(plain, SCALLOC_LUA_CLOSE_FULL);
  }
  check_all_returned(before);
}

static int release_inside(lua_State *L) {
  CHECK(!scalloc_lua_release(L)); /* the call that is open has the heap's budget to put back */
  return 0;
}

static void a_call_with_a_budget_keeps_its_heap(void) {
  stats before = stats_now();
  static const size_t budgets[] = {4000, SIZE_MAX};
  ledger l = {0};
  lua_State *L = counted_state(&l);
  scalloc_lua_heap *heap = adopt(L, 0);
  for (size_t i = 0; i < LENGTH(budgets); i++) {
    lua_pushcfunction(L, release_inside);
    CHECK_INT(scalloc_lua_pcall(L, 0, 0, 0, budgets[i]), ==, LUA_OK);
    CHECK(scalloc_lua_heap_of(L) == heap);
  }
  CHECK(scalloc_lua_release(L));
  lua_close(L);
  CHECK_INT(l.blocks, ==, 0);
  check_all_returned(before);
}

/* The host adopts the state while a script profiles it: the profile is of the heap before, and ends. */
static void a_profile_ends_with_its_heap(void) {
  scalloc_lua_config config = {.size = sizeof config, .flags = SCALLOC_LUA_STATS};
  for (unsigned flags = 0; flags <= SCALLOC_LUA_STATS; flags += SCALLOC_LUA_STATS) {
    lua_State *L = scalloc_lua_newstate(&config);
    CHECK(L != NULL && scalloc_lua_openlibs(L) == LUA_OK);
    luaL_requiref(L, "scalloc", luaopen_scalloc, 1);
    run(L, "profile = assert(scalloc.profile())");
    adopt(L, flags);
    run(L, "local t = {} for i = 1, 100 do t[i] = {i} end\n"
           "local result, message = profile:stop() assert(result == nil and message:find 'has left the heap')");
    run(L, "assert(not debug.gethook() and select(2, profile:stop()) == 'stopped already')");
    scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FULL);
  }
}

static void there_may_be_no_memory(void) {
  ledger l = {0};
  lua_State *L = counted_state(&l);
  scalloc_lua_config bad = {.size = sizeof bad, .flags = 1u << 30};
  CHECK(scalloc_lua_adopt(L, &bad) == NULL && scalloc_lua_heap_of(L) == NULL);
  run(L, before_script);
  lua_close(L);
  CHECK_INT(l.blocks, ==, 0);
}

int main(void) {
  static const unsigned sets[] = {0, SCALLOC_LUA_STATS | SCALLOC_LUA_GUARD, SCALLOC_LUA_TAG_SEGREGATE, SCALLOC_LUA_SHARED,
                                  SCALLOC_LUA_ZERO_ON_FREE};
  scalloc_free(scalloc_malloc(1));
  for (size_t i = 0; i < LENGTH(sets); i++) {
    a_foreign_state_changes_over(sets[i], SCALLOC_LUA_CLOSE_FULL);
    a_foreign_state_changes_over(sets[i], SCALLOC_LUA_CLOSE_FAST);
  }
  limits_hold_for_adopted_states();
  a_state_goes_back();
  states_on_our_heaps_change_over_too();
  a_call_with_a_budget_keeps_its_heap();
  a_profile_ends_with_its_heap();
  there_may_be_no_memory();
  return 0;
}
