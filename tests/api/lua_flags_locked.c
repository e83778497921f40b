/* lua_flags_locked.c - heaps whose memory is one piece, locked or not. */
#include "lua_flags.h"

/* Sanitizers make mlock do nothing. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { MLOCK_LOCKS = 0 };
#else
enum { MLOCK_LOCKS = 1 };
#endif

static void a_locked_heap_never_grows(void) {
  stats before = stats_now();
  long locked = proc_kb("/proc/self/status", "\nVmLck:");
  scalloc_lua_config config = {.size = sizeof config, .flags = SCALLOC_LUA_LOCKED, .prealloc = 2 * MB};
  lua_State *L = scalloc_lua_newstate(&config);
  CHECK(L != NULL && scalloc_lua_openlibs(L) == LUA_OK);
  if (MLOCK_LOCKS) CHECK_INT(proc_kb("/proc/self/status", "\nVmLck:") - locked, >=, 2048);
  stats made = stats_now();
  CHECK(luaL_dostring(L, workload) == LUA_OK);
  lua_settop(L, 0);
  CHECK(luaL_loadstring(L, "local t = {} for i = 1, 1e7 do t[i] = {i} end") == LUA_OK);
  CHECK_INT(lua_pcall(L, 0, 0, 0), ==, LUA_ERRMEM);
  lua_settop(L, 0);
  CHECK(luaL_dostring(L, workload) == LUA_OK);
  stats full = stats_now();
  CHECK_INT(full.committed, ==, made.committed);
  CHECK_INT(full.opened, ==, made.opened);
  CHECK_INT(scalloc_lua_peak(scalloc_lua_heap_of(L), false), <=, 2 * MB);
  CHECK_INT(scalloc_lua_peak(scalloc_lua_heap_of(L), false), >, MB);
  check_heap();
  scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FULL);
  CHECK_INT(proc_kb("/proc/self/status", "\nVmLck:"), ==, locked);
  check_all_returned(before);
}

/* Whoever runs this may be privileged: the child gives that up. */
static void child_may_not_lock(void) {
  CHECK(setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){0, 0}) == 0);
  if (geteuid() == 0) CHECK(setuid(65534) == 0);
  scalloc_lua_config config = {.size = sizeof config, .flags = SCALLOC_LUA_LOCKED, .prealloc = MB};
  stats before = stats_now();
  errno = 0;
  CHECK(scalloc_lua_heap_new(&config) == NULL && (errno == EPERM || errno == ENOMEM));
  check_all_returned(before);
}

static void a_pool_that_is_full_is_followed_by_spans(void) {
  scalloc_lua_heap *heap = new_heap(0, 64 * KB);
  void *blocks[4000];
  CHECK_INT(stats_of(heap).pool_bytes, >=, 64 * KB);
  for (size_t i = 0; i < LENGTH(blocks); i++) CHECK((blocks[i] = grow(heap, NULL, 5, 56)) != NULL);
  CHECK_INT(scalloc_lua_leaks(heap), ==, LENGTH(blocks));
  CHECK_INT(stats_of(heap).hot, >, 0);
  for (size_t i = 0; i < LENGTH(blocks); i++) release(heap, blocks[i], 56);
  CHECK_INT(scalloc_lua_leaks(heap), ==, 0);
  CHECK((blocks[0] = grow(heap, NULL, 5, 60 * KB)) != NULL); /* its pieces have been merged */
  check_heap();
  scalloc_lua_heap_destroy(heap);
}

bool locked_possible(void) {
  scalloc_lua_config config = {.size = sizeof config, .flags = SCALLOC_LUA_LOCKED, .prealloc = 2 * MB};
  scalloc_lua_heap *heap = scalloc_lua_heap_new(&config);
  scalloc_lua_heap_destroy(heap);
  return heap != NULL;
}

bool locked_child(const char *mode) {
  if (strcmp(mode, "may not lock") != 0) return false;
  child_may_not_lock();
  return true;
}

void locked_run(bool may_lock) {
  if (may_lock) a_locked_heap_never_grows();
  if (MLOCK_LOCKS) run_self_ok("may not lock", NULL, 0);
  a_pool_that_is_full_is_followed_by_spans();
}
