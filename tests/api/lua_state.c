/* Lua states on heaps of their own: made, run, closed in each mode, handed between threads, out of memory. */
#include "../test.h"
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <scalloc/lua_alloc.h>

static int notes[64]; /* what note(n) of the scripts said, in order */
static size_t note_count;

static int note(lua_State *L) {
  CHECK(note_count < LENGTH(notes));
  notes[note_count++] = (int)luaL_checkinteger(L, 1);
  return 0;
}

static lua_State *new_state(void) {
  lua_State *L = scalloc_lua_newstate(NULL);
  CHECK(L != NULL);
  luaL_openlibs(L);
  lua_register(L, "note", note);
  return L;
}

static void run(lua_State *L, const char *script) {
  if (luaL_dostring(L, script) != LUA_OK) test_fail(__FILE__, __LINE__, "script failed: %s", lua_tostring(L, -1));
}

static lua_Integer run_integer(lua_State *L, const char *script) {
  run(L, script);
  lua_Integer result = luaL_checkinteger(L, -1);
  lua_settop(L, 0);
  return result;
}

static const char workload[] = "local sum, live = 0, {}\n"
                               "for i = 1, 20000 do\n"
                               "  local t = {i, name = 'n' .. i, f = function() return i end}\n"
                               "  live[i % 500 + 1] = t\n"
                               "  sum = sum + #(t.name:rep(3)) + t.f()\n"
                               "end\n"
                               "return sum";
enum { WORKLOAD_SUM = 200010000 + 3 * (9 * 2 + 90 * 3 + 900 * 4 + 9000 * 5 + 10001 * 6) };

/* ---- whose heap ------------------------------------------------------------------------------------------------------ */

static void a_state_knows_its_heap(void) {
  lua_State *L = new_state(), *other = new_state(), *plain = luaL_newstate();
  CHECK(scalloc_lua_heap_of(L) != NULL);
  CHECK(scalloc_lua_heap_of(L) != scalloc_lua_heap_of(other));
  CHECK(scalloc_lua_heap_of(lua_newthread(L)) == scalloc_lua_heap_of(L));
  CHECK(scalloc_lua_heap_of(plain) == NULL);
  lua_close(plain);
  scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FULL);
  CHECK_INT(run_integer(other, workload), ==, WORKLOAD_SUM);
  scalloc_lua_close(other, SCALLOC_LUA_CLOSE_FULL);
}

static void used_is_what_lua_counts(void) {
  lua_State *L = new_state();
  scalloc_lua_heap *heap = scalloc_lua_heap_of(L);
  CHECK_INT(run_integer(L, workload), ==, WORKLOAD_SUM);
  for (int i = 0; i < 3; i++) {
    size_t counted = (size_t)lua_gc(L, LUA_GCCOUNT) * 1024 + (size_t)lua_gc(L, LUA_GCCOUNTB);
    CHECK_INT(scalloc_lua_used(heap), ==, counted);
    CHECK_INT(scalloc_lua_peak(heap, false), >=, counted);
    lua_gc(L, LUA_GCCOLLECT);
    if (i == 0) run(L, "big = string.rep('x', 3000000)");
  }
  CHECK_INT(scalloc_lua_used(heap), >, 3000000);
  scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FULL);
}

static void all_functions_of_a_luaL_newstate_host_work(void) {
  lua_State *L = new_state();
  lua_pushinteger(L, 42);
  lua_setglobal(L, "answer");
  CHECK_INT(run_integer(L, "return answer"), ==, 42);
  CHECK(lua_atpanic(L, NULL) != NULL);
  run(L, "warn('warnings are off'); local ok, message = pcall(error, {code = 7}); assert(not ok and message.code == 7)");
  run(L, "local co = coroutine.wrap(function(a) local b = coroutine.yield(a + 1); return b * 2 end)\n"
         "assert(co(1) == 2 and co(21) == 42)");
  scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FULL);
}

/* ---- closing --------------------------------------------------------------------------------------------------------- */

static const char finalizers[] = "live = {}\n"
                                 "for i = 1, 10 do\n"
                                 "  live[i] = setmetatable({i, text = ('t'):rep(i)}, {__gc = function(t)\n"
                                 "    assert(#t.text == t[1] and live[t[1]] == t)\n" /* the others are still there */
                                 "    note(t[1])\n"
                                 "    if t[1] == 5 then error('a finalizer may fail') end\n"
                                 "  end})\n"
                                 "end\n"
                                 "file = assert(io.open(file_name, 'w'))\n"
                                 "file:write('buffered')\n"
                                 "for i = 1, 30000 do live[10 + i] = {tostring(i)} end";

static long size_of_file(const char *name) {
  FILE *file = fopen(name, "r");
  CHECK(file && fseek(file, 0, SEEK_END) == 0);
  long size = ftell(file);
  fclose(file);
  return size;
}

static void a_close_runs_what_its_mode_says(scalloc_lua_close_mode mode) {
  char name[] = "/tmp/scalloc-test-XXXXXX";
  stats before = stats_now();
  int file = mkstemp(name);
  CHECK(file >= 0 && close(file) == 0);
  lua_State *L = new_state();
  lua_pushstring(L, name);
  lua_setglobal(L, "file_name");
  run(L, finalizers);
  CHECK_INT(size_of_file(name), ==, 0);
  note_count = 0;
  scalloc_lua_close(L, mode);
  bool runs = mode != SCALLOC_LUA_CLOSE_DISCARD;
  CHECK_INT(note_count, ==, runs ? 10 : 0);
  for (size_t i = 0; i < note_count; i++) CHECK_INT(notes[i], ==, 10 - i); /* the last one marked goes first */
  CHECK_INT(size_of_file(name), ==, runs ? 8 : 0);
  unlink(name);
  check_all_returned(before);
}

/* A to-be-closed value pending in the main thread is closed before the first finalizer runs. */
static void pending_variables_are_closed(scalloc_lua_close_mode mode) {
  lua_State *L = new_state();
  run(L, "keep = setmetatable({}, {__gc = function() note(2) end})\n"
         "return setmetatable({}, {__close = function() note(1) end})");
  lua_toclose(L, -1);
  note_count = 0;
  scalloc_lua_close(L, mode);
  CHECK_INT(note_count, ==, mode == SCALLOC_LUA_CLOSE_DISCARD ? 0 : 2);
  for (size_t i = 0; i < note_count; i++) CHECK_INT(notes[i], ==, i + 1);
}

/* ---- many, and across threads ---------------------------------------------------------------------------------------- */

enum { STATES = 100 };
static lua_State *states[STATES];

static void a_hundred_states_live_side_by_side(void) {
  static const char step[] = "n = (n or 0) + 1; t = t or {}; for i = 1, 300 do t[#t + 1] = {n, i} end; return #t";
  stats before = stats_now();
  for (int i = 0; i < STATES; i++) states[i] = new_state();
  for (int round = 1; round <= 5; round++)
    for (int i = 0; i < STATES; i++) CHECK_INT(run_integer(states[i], step), ==, 300 * round);
  check_heap();
  for (int i = 0; i < STATES; i++) {
    int k = i * 37 % STATES; /* not in the order they were made */
    scalloc_lua_close(states[k], (scalloc_lua_close_mode)(i % 3));
    if (i == STATES / 2) check_heap();
  }
  check_all_returned(before);
}

static pthread_mutex_t locks[STATES];

/* Any thread runs any state, one at a time; then the states are closed in yet other threads. */
static void *run_any_state(void *argument) {
  rng random = {(uintptr_t)argument};
  for (int i = 0; i < 150; i++) {
    size_t k = rng_below(&random, 10);
    pthread_mutex_lock(&locks[k]);
    run(states[k], "t = {}; for i = 1, 2000 do t[i] = 'v' .. i end; runs = (runs or 0) + 1");
    pthread_mutex_unlock(&locks[k]);
  }
  return NULL;
}

static void *close_state(void *argument) { return scalloc_lua_close(argument, SCALLOC_LUA_CLOSE_FULL), NULL; }

static void states_may_be_handed_between_threads(void) {
  stats before = stats_now();
  pthread_t threads[10];
  for (size_t i = 0; i < 10; i++) states[i] = new_state(), CHECK(pthread_mutex_init(&locks[i], NULL) == 0);
  for (size_t i = 0; i < 4; i++) CHECK(pthread_create(&threads[i], NULL, run_any_state, (void *)(i + 1)) == 0);
  for (size_t i = 0; i < 4; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  lua_Integer runs = 0;
  for (size_t i = 0; i < 10; i++) runs += run_integer(states[i], "return runs or 0");
  CHECK_INT(runs, ==, 4 * 150);
  check_heap();
  for (size_t i = 0; i < 10; i++) CHECK(pthread_create(&threads[i], NULL, close_state, states[i]) == 0);
  for (size_t i = 0; i < 10; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  check_all_returned(before);
}

static void the_plain_function_serves_states_too(void) {
  stats before = stats_now();
  lua_State *L = lua_newstate(scalloc_lua_alloc, NULL);
  CHECK(L && scalloc_lua_heap_of(L) == NULL);
  luaL_openlibs(L);
  CHECK_INT(run_integer(L, workload), ==, WORKLOAD_SUM);
  lua_close(L);
  scalloc_lua_heap *heap = scalloc_lua_heap_new(NULL);
  CHECK(L = lua_newstate(scalloc_lua_alloc, heap));
  CHECK(scalloc_lua_heap_of(L) == heap);
  luaL_openlibs(L);
  CHECK_INT(run_integer(L, workload), ==, WORKLOAD_SUM);
  lua_close(L);
  CHECK_INT(scalloc_lua_used(heap), ==, 0);
  scalloc_lua_heap_destroy(heap);
  check_all_returned(before);
}

/* ---- out of memory: in a process of its own, with SCALLOC_LIMIT_BYTES -------------------------------------------------- */

static void child_out_of_memory(void) {
  static const char *const hungry[] = {
      "local t = {}; for i = 1, 1e9 do t[i] = {i} end", "local s = 'x'; while true do s = s .. s end",
      "return string.rep('y', 1000000000)", "local t = {}; for i = 1, 1e9 do t[i] = ('z'):rep(100) .. i end",
      "local t = {}; for i = 1, 1e9 do t[i] = coroutine.create(print); table.concat({i, i}) end"};
  lua_State *L = new_state();
  for (int round = 0; round < 2; round++)
    for (size_t i = 0; i < LENGTH(hungry); i++) {
      int status = luaL_dostring(L, hungry[i]);
      CHECK_INT(status, !=, LUA_OK);
      if (strcmp(lua_tostring(L, -1), "not enough memory") != 0)
        test_fail(__FILE__, __LINE__, "script %zu: %s", i, lua_tostring(L, -1));
      lua_settop(L, 0);
      CHECK_INT(run_integer(L, workload), ==, WORKLOAD_SUM);
      check_heap();
    }
  lua_gc(L, LUA_GCCOLLECT);
  CHECK_INT(scalloc_lua_used(scalloc_lua_heap_of(L)), <, MB);
  scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FULL);
  check_heap();
}

int main(int argc, char **argv) {
  if (argc > 1) return child_out_of_memory(), strcmp(argv[1], "oom") != 0;
  scalloc_free(scalloc_malloc(1));
  scalloc_lua_close(new_state(), SCALLOC_LUA_CLOSE_FULL);
  a_state_knows_its_heap();
  used_is_what_lua_counts();
  all_functions_of_a_luaL_newstate_host_work();
  for (int mode = SCALLOC_LUA_CLOSE_FULL; mode <= SCALLOC_LUA_CLOSE_DISCARD; mode++) {
    a_close_runs_what_its_mode_says((scalloc_lua_close_mode)mode);
    pending_variables_are_closed((scalloc_lua_close_mode)mode);
  }
  a_hundred_states_live_side_by_side();
  states_may_be_handed_between_threads();
  the_plain_function_serves_states_too();
  run_self_ok("oom", (char *[]){(char *)(uintptr_t) "SCALLOC_LIMIT_BYTES=67108864", NULL}, 0);
  return 0;
}
