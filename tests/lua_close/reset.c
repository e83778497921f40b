/*
 * reset.c - heaps that are emptied and used again: with every kind of heap, by every way to close, nothing is left of the state
 * before, and the memory is used again.
 */
#include "lua_close.h"

#define WITH(flags_, prealloc_)                                                                                                \
  { .size = sizeof(scalloc_lua_config), .flags = (flags_), .prealloc = (prealloc_) }

static const scalloc_lua_config kinds[] = {
    WITH(0, 0),
    WITH(SCALLOC_LUA_SHARED, 0),
    WITH(SCALLOC_LUA_STATS, 0),
    WITH(SCALLOC_LUA_GUARD | SCALLOC_LUA_PROFILE, 0),
    WITH(SCALLOC_LUA_ZERO_ON_FREE, 0),
    WITH(SCALLOC_LUA_TAG_SEGREGATE | SCALLOC_LUA_STATS, 0),
    WITH(0, 4 * MB),
    WITH(SCALLOC_LUA_GUARD, 4 * MB),
    WITH(SCALLOC_LUA_ZERO_ON_FREE | SCALLOC_LUA_SHARED, 1 * MB), /* more than the pool: both kinds of memory */
};

static const char workload[] = "kept = {}\n"
                               "for i = 1, 3000 do kept[i] = {i, name = 'n' .. i, f = function() return i end} end\n"
                               "for i = 1, 3000, 3 do kept[i] = nil end\n"
                               "collectgarbage()\n"
                               "large = ('x'):rep(1200000)\n"
                               "object = setmetatable({}, {__gc = function() note('finalizer') end})\n";

static void populate(lua_State *L) {
  CHECK(L != NULL && scalloc_lua_openlibs(L) == LUA_OK);
  lua_register(L, "note", note);
  run(L, workload);
  notes_length = 0;
  notes[0] = 0;
}

static void check_is_empty(scalloc_lua_heap *heap) {
  CHECK_INT(scalloc_lua_used(heap), ==, 0);
  CHECK_INT(scalloc_lua_leaks(heap), ==, 0);
  CHECK_INT(scalloc_lua_walk(heap, NULL, NULL), ==, 0);
  check_heap();
}

static void a_heap_serves_state_after_state(const scalloc_lua_config *kind) {
  stats before = stats_now();
  scalloc_lua_heap *heap = scalloc_lua_heap_new(kind);
  CHECK(heap != NULL);
  long long opened = 0;
  for (int round = 0; round < 12; round++) {
    lua_State *L = scalloc_lua_newstate_in(heap);
    populate(L);
    CHECK(scalloc_lua_heap_of(L) == heap);
    int mode = round % 4;
    if (mode == 3)
      CHECK(scalloc_lua_heap_reset(heap));
    else
      CHECK(scalloc_lua_close_keep(L, (scalloc_lua_close_mode)mode) == heap);
    CHECK(strcmp(notes, mode < SCALLOC_LUA_CLOSE_DISCARD ? "finalizer\n" : "") == 0);
    check_is_empty(heap);
    if (round == 4) opened = stats_now().opened;
  }
  CHECK_INT(stats_now().opened, ==, opened);
  scalloc_lua_heap_destroy(heap);
  check_all_returned(before);
}

/* ---- what stays and what does not ------------------------------------------------------------------------------------------ */

static void limits_stay_and_are_disarmed(void) {
  scalloc_lua_config config = {.size = sizeof config, .hard_limit = 2 * MB};
  scalloc_lua_heap *heap = scalloc_lua_heap_new(&config);
  for (int round = 0; round < 3; round++) {
    lua_State *L = scalloc_lua_newstate_in(heap);
    populate(L);
    run(L, "more = ('y'):rep(3000000)"); /* disarmed */
    run(L, "more = nil collectgarbage()");
    scalloc_lua_arm(heap);
    CHECK_INT(luaL_dostring(L, "more = ('y'):rep(3000000)"), !=, LUA_OK);
    CHECK(scalloc_lua_close_keep(L, SCALLOC_LUA_CLOSE_FAST) == heap); /* with a refusal that nobody has asked again about */
    CHECK_INT(scalloc_lua_peak(heap, false), >=, 4200000);
  }
  scalloc_lua_heap_destroy(heap);
}

static void a_group_gets_its_bytes_back(void) {
  scalloc_lua_group *group = scalloc_lua_group_new(16 * MB);
  for (size_t i = 0; i < LENGTH(kinds); i++) {
    scalloc_lua_config config = kinds[i];
    config.group = group;
    scalloc_lua_heap *heap = scalloc_lua_heap_new(&config);
    for (int mode = SCALLOC_LUA_CLOSE_FULL; mode <= SCALLOC_LUA_CLOSE_DISCARD; mode++) {
      lua_State *L = scalloc_lua_newstate_in(heap);
      populate(L);
      CHECK_INT(scalloc_lua_group_used(group), >, MB);
      CHECK(scalloc_lua_close_keep(L, (scalloc_lua_close_mode)mode) == heap);
      CHECK_INT(scalloc_lua_group_used(group), ==, 0);
    }
    scalloc_lua_heap_destroy(heap);
    lua_State *L = scalloc_lua_newstate(&config);
    populate(L);
    scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FAST);
    CHECK_INT(scalloc_lua_group_used(group), ==, 0);
  }
  scalloc_lua_group_free(group);
}

static void what_a_pool_gave_out_it_has_again(void) {
  scalloc_lua_config config = {.size = sizeof config, .flags = SCALLOC_LUA_LOCKED, .prealloc = 256 * KB};
  scalloc_lua_heap *heap = scalloc_lua_heap_new(&config);
  if (heap == NULL && (errno == EPERM || errno == ENOMEM)) return; /* RLIMIT_MEMLOCK */
  for (int round = 0; round < 5; round++) {
    lua_State *L = scalloc_lua_newstate_in(heap);
    CHECK(L != NULL && scalloc_lua_openlibs(L) == LUA_OK);
    CHECK_INT(luaL_dostring(L, "t = {} for i = 1, 1e6 do t[i] = {i} end"), !=, LUA_OK); /* full */
    CHECK(scalloc_lua_close_keep(L, SCALLOC_LUA_CLOSE_FAST) == heap);
    void *most = scalloc_lua_alloc(heap, NULL, 0, 240 * KB); /* one piece again */
    CHECK(most != NULL);
    scalloc_lua_alloc(heap, most, 240 * KB, 0);
  }
  scalloc_lua_heap_destroy(heap);
}

/* ---- when it cannot be ------------------------------------------------------------------------------------------------------- */

static void it_is_refused_where_it_would_do_harm(void) {
  lua_State *L = new_state(FAST);
  scalloc_lua_heap *heap = scalloc_lua_heap_of(L);
  CHECK(scalloc_lua_newstate_in(heap) == NULL && errno == EBUSY);
  scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FAST);
  L = luaL_newstate();
  CHECK(scalloc_lua_close_keep(L, SCALLOC_LUA_CLOSE_FULL) == NULL); /* not on scalloc */
  L = luaL_newstate();
  heap = scalloc_lua_adopt(L, NULL);
  CHECK(heap != NULL && !scalloc_lua_heap_reset(heap) && errno == EBUSY);
  CHECK(scalloc_lua_close_keep(L, SCALLOC_LUA_CLOSE_FAST) == NULL);
}

/* What a request has met stays counted; failures on purpose end with it. */
static void counts_stay(void) {
  scalloc_lua_config config = {.size = sizeof config, .hard_limit = 2000000};
  scalloc_lua_heap *heap = scalloc_lua_heap_new(&config);
  for (unsigned long long request = 1; request <= 3; request++) {
    scalloc_lua_stats s = {.size = sizeof s};
    lua_State *L = scalloc_lua_newstate_in(heap);
    CHECK(L != NULL && scalloc_lua_openlibs(L) == LUA_OK);
    scalloc_lua_arm(heap);
    CHECK(luaL_loadstring(L, "return ('y'):rep(3000000)") == LUA_OK);
    CHECK(lua_pcall(L, 0, 0, 0) != LUA_OK);
    CHECK(scalloc_lua_stats_read(heap, &s));
    CHECK_INT(s.failures, ==, request);
    CHECK(scalloc_lua_close_keep(L, request == 2 ? SCALLOC_LUA_CLOSE_DISCARD : SCALLOC_LUA_CLOSE_FAST) == heap);
    CHECK(scalloc_lua_stats_read(heap, &s));
    CHECK_INT(s.failures, ==, request); /* DISCARD: nothing has been asked for since */
  }
  scalloc_lua_fail_after(heap, 0);
  CHECK(scalloc_lua_heap_reset(heap));
  CHECK(scalloc_lua_alloc(heap, NULL, 0, 100) != NULL);
  scalloc_lua_heap_destroy(heap);
}

int main(void) {
  close_state(new_state(FAST), FAST);
  for (size_t i = 0; i < LENGTH(kinds); i++) a_heap_serves_state_after_state(&kinds[i]);
  limits_stay_and_are_disarmed();
  a_group_gets_its_bytes_back();
  what_a_pool_gave_out_it_has_again();
  it_is_refused_where_it_would_do_harm();
  counts_stay();
  return 0;
}
