/*
 * fast.c - a FAST close is fast, gives everything back, and falls back to a full one where it must. With a negative control:
 * a sentinel that is not the first to be marked loses finalizers.
 */
#include "lua_close.h"

#include <pthread.h>

enum { BIG_OBJECTS = 420000, BIG_FINALIZERS = 5000 }; /* about 60 MB */

static int finalized;

static int count_finalizer(lua_State *L) {
  (void)L;
  finalized++;
  return 0;
}

static lua_State *big_state(bool generational) {
  lua_State *L = new_state(FAST);
  lua_register(L, "count", count_finalizer);
  lua_pushinteger(L, BIG_OBJECTS);
  lua_setglobal(L, "objects");
  lua_pushinteger(L, BIG_FINALIZERS);
  lua_setglobal(L, "finalizers");
  if (generational) lua_gc(L, LUA_GCGEN, 0, 0);
  run(L, "local mt = {__gc = count}\n"
         "t = {} for i = 1, objects do t[i] = {i, tostring(i)} end\n"
         "f = {} for i = 1, finalizers do f[i] = setmetatable({}, mt) end");
  CHECK_INT(scalloc_lua_used(scalloc_lua_heap_of(L)), >, 58 * MB);
  return L;
}

/* The shortest of three closes. */
static double seconds_of_close(way how, bool generational) {
  double shortest = 1e9;
  for (int i = 0; i < 3; i++) {
    lua_State *L = big_state(generational);
    finalized = 0;
    double begin = now();
    close_state(L, how);
    double seconds = now() - begin;
    CHECK_INT(finalized, ==, BIG_FINALIZERS);
    if (seconds < shortest) shortest = seconds;
  }
  return shortest;
}

/* The finalizers themselves take 0.5 ms of the 60 MB state's close. Instrumented builds pay for each byte that goes. */
static void a_fast_close_does_not_visit_objects(void) {
  double full = seconds_of_close(FULL, false), fast = seconds_of_close(FAST, false),
         generational = seconds_of_close(FAST, true);
  printf("FULL %.2f ms, FAST %.2f ms, FAST in generational mode %.2f ms\n", full * 1e3, fast * 1e3, generational * 1e3);
  CHECK(fast < full / 4);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  if (!TEST_TRACKED) CHECK(fast < 2e-3);
#endif
}

static void a_thousand_closes_leave_nothing(void) {
  stats before = stats_now();
  long rss = 0;
  for (int i = 0; i < 1100; i++) {
    lua_State *L = new_state(FAST);
    run(L, "t = {} for i = 1, 200 do t[i] = setmetatable({}, {__gc = function() t[i] = ('x'):rep(i) end}) end");
    close_state(L, FAST);
    if (i == 100) rss = rss_kb();
  }
  CHECK_INT(rss_kb(), <, rss + 1024);
  check_heap();
  check_all_returned(before);
}

/* ---- where and by whom -------------------------------------------------------------------------------------------------- */

static void *close_in_thread(void *L) { return close_state(L, FAST), NULL; }

/* Another thread, a small stack, and a coroutine instead of the main thread. */
static void any_thread_closes(void) {
  pthread_attr_t small;
  CHECK(pthread_attr_init(&small) == 0 && pthread_attr_setstacksize(&small, 128 * KB) == 0);
  for (int i = 0; i < 20; i++) {
    lua_State *L = new_state(FAST), *co = lua_newthread(L);
    pthread_t thread;
    notes_length = 0;
    run(co, "kept = object(1)");
    CHECK(pthread_create(&thread, &small, close_in_thread, i % 2 ? co : L) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(strcmp(notes, "userdata 1\n") == 0);
  }
  pthread_attr_destroy(&small);
  check_heap();
}

/* ---- an allocator in front of ours --------------------------------------------------------------------------------------- */

static struct {
  lua_Alloc allocate;
  void *ud;
  size_t frees;
} front;

static void *counting(void *ud, void *block, size_t osize, size_t nsize) {
  (void)ud;
  if (block != NULL && nsize == 0) front.frees++;
  return front.allocate(front.ud, block, osize, nsize);
}

static int put_in_front(lua_State *L) {
  front.allocate = lua_getallocf(L, &front.ud);
  lua_setallocf(L, counting, NULL);
  return 0;
}

/* One that comes in a finalizer sees every free: the close must not leave before. */
static void a_close_past_another_allocator_is_full(void) {
  stats before = stats_now();
  lua_State *L = new_state(FAST);
  lua_register(L, "put_in_front", put_in_front);
  run(L, "t = {} for i = 1, 1000 do t[i] = {} end\n"
         "setmetatable(t, {__gc = put_in_front})");
  front.frees = 0;
  close_state(L, FAST);
  CHECK_INT(front.frees, >, 1000);
  check_heap();
  check_all_returned(before);
}

/* ---- control -------------------------------------------------------------------------------------------------------------- */

bool scalloc_private_lua_close_mark(lua_State *L, scalloc_lua_heap *heap);

/* How many of ten finalizers a fast close calls, when each makes Lua free something. */
static int finalizers_called(bool late_sentinel) {
  lua_State *L = new_state(late_sentinel ? HOSTED : FAST);
  lua_register(L, "count", count_finalizer);
  run(L,
      "t = {} for i = 1, 10 do\n"
      "  t[i] = setmetatable({}, {__gc = function() count() local grows = {} for j = 1, 10 do grows['k' .. j] = j end end})\n"
      "end");
  if (late_sentinel) CHECK(scalloc_private_lua_close_mark(L, scalloc_lua_heap_of(L)));
  finalized = 0;
  close_state(L, FAST);
  return finalized;
}

static void the_sentinel_must_be_first(void) {
  CHECK_INT(finalizers_called(false), ==, 10);
  CHECK_INT(finalizers_called(true), <, 10);
}

int main(void) {
  close_state(new_state(FAST), FAST); /* the first one measures */
  a_fast_close_does_not_visit_objects();
  a_thousand_closes_leave_nothing();
  any_thread_closes();
  a_close_past_another_allocator_is_full();
  the_sentinel_must_be_first();
  return 0;
}
