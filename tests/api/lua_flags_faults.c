/* lua_flags_faults.c - a guarded heap ends the process at a fault, and the full close of a counted one tells of leaks. */
#include "lua_flags.h"
#include <signal.h>

/* ---- STATS ------------------------------------------------------------------------------------------------------------------- */

static void child_leak(void) {
  scalloc_lua_config config = {.size = sizeof config, .flags = SCALLOC_LUA_STATS, .name = "leaky"};
  lua_State *L = scalloc_lua_newstate(&config);
  CHECK(L != NULL);
  void *ud;
  lua_Alloc f = lua_getallocf(L, &ud);
  CHECK(f(ud, NULL, 7, 100) != NULL && f(ud, NULL, 0, 23) != NULL);
  scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FULL);
}

static void child_no_leak(void) {
  scalloc_lua_config config = {.size = sizeof config, .flags = SCALLOC_LUA_STATS | SCALLOC_LUA_GUARD};
  lua_State *L = scalloc_lua_newstate(&config);
  CHECK(L != NULL && scalloc_lua_openlibs(L) == LUA_OK && luaL_dostring(L, workload) == LUA_OK);
  scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FULL);
}

static void a_full_close_tells_of_leaks(void) {
  child told = run_self_ok("leak", NULL, 0);
  CHECK(strstr(told.err, "scalloc: Lua heap leaky: 2 blocks, 123 bytes were leaked: 1 of type 0 1 of type 7\n") == told.err);
  CHECK(run_self_ok("no leak", NULL, 0).err[0] == 0);
}

/* ---- GUARD -------------------------------------------------------------------------------------------------------------------- */

static scalloc_lua_heap *guarded(void) { return new_heap(SCALLOC_LUA_GUARD, 0); }

static void child_overflow(void) {
  scalloc_lua_heap *heap = guarded();
  char *block = grow(heap, NULL, 7, 50);
  block[50] = 0;
  release(heap, block, 50);
}
static void child_overflow_resized(void) {
  scalloc_lua_heap *heap = guarded();
  char *block = grow(heap, NULL, 7, 64);
  memset(block, 'x', 72);
  grow(heap, block, 64, 100);
}
static void child_double_free(void) {
  scalloc_lua_heap *heap = guarded();
  void *block = grow(heap, NULL, 7, 50);
  release(heap, block, 50);
  release(heap, block, 50);
}
static void child_wrong_size(void) {
  scalloc_lua_heap *heap = guarded();
  release(heap, grow(heap, NULL, 7, 50), 49);
}
static void child_foreign(void) {
  scalloc_lua_heap *heap = guarded(), *other = guarded();
  release(heap, grow(other, NULL, 7, 50), 50);
}
static void child_stack(void) {
  long local[4] = {0};
  release(guarded(), local, 8);
}
static void child_late_write(void) {
  scalloc_lua_heap *heap = guarded();
  char *block = grow(heap, NULL, 7, 50);
  release(heap, block, 50);
  block[49] = 'x';
  for (int i = 0; i < 100; i++) release(heap, grow(heap, NULL, 5, 56), 56);
}
static void child_not_shared(void) { scalloc_lua_alloc_shared(new_heap(0, 0), NULL, 0, 8); }

static const struct {
  const char *mode;
  void (*run)(void);
  const char *line;
} faults[] = {
    {"overflow", child_overflow, "scalloc: overflow behind "},
    {"overflow resized", child_overflow_resized, "scalloc: overflow behind "},
    {"double free", child_double_free, "scalloc: double free of "},
    {"wrong size", child_wrong_size, "scalloc: wrong size of "},
    {"foreign", child_foreign, "scalloc: invalid pointer "},
    {"stack", child_stack, "scalloc: invalid pointer "},
    {"late write", child_late_write, "scalloc: write after free to "},
    {"not shared", child_not_shared, "scalloc: heap "},
};

static void faults_end_the_process(void) {
  for (size_t i = 0; i < LENGTH(faults); i++) {
    child end = run_self(faults[i].mode, NULL, 0);
    bool told = strncmp(end.err, faults[i].line, strlen(faults[i].line)) == 0;
    if (end.exited || end.code != SIGABRT || !told)
      test_fail(__FILE__, __LINE__, "'%s' %s %d and said: %s", faults[i].mode, end.exited ? "exited" : "signal", end.code,
                end.err);
  }
}

static void the_check_sees_faults_too(void) {
  scalloc_lua_heap *heap = guarded();
  char why[200], *block = grow(heap, NULL, 7, 1000);
  check_heap();
  char was = block[1000];
  block[1000] = 0;
  CHECK(!scalloc_check(why, sizeof why) && strstr(why, "bytes behind a block were written"));
  block[1000] = was;
  check_heap();
  release(heap, block, 1000);
  was = block[500];
  block[500] = 1;
  CHECK(!scalloc_check(why, sizeof why) && strstr(why, "freed block that was written"));
  block[500] = was;
  check_heap();
  scalloc_lua_heap_destroy(heap);
  check_heap();
}

bool faults_child(const char *mode) {
  for (size_t i = 0; i < LENGTH(faults); i++)
    if (strcmp(mode, faults[i].mode) == 0) return faults[i].run(), true;
  if (strcmp(mode, "leak") == 0) return child_leak(), true;
  if (strcmp(mode, "no leak") == 0) return child_no_leak(), true;
  return false;
}

void faults_run(void) {
  a_full_close_tells_of_leaks();
  faults_end_the_process();
  the_check_sees_faults_too();
}
