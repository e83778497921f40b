/*
 * lua_idle.c - what idle states cost: resident memory and page tables of 10,000 states with their libraries, on heaps of their
 * own and on malloc, each in a process of its own; and that all of it comes back.
 */
#include "../test.h"

#include <lauxlib.h>
#include <lualib.h>
#include <scalloc/lua_alloc.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STATES = 10000 };
static lua_State *states[STATES];

static long kib_in(const char *path, const char *key) {
  char line[256];
  long kib = -1;
  FILE *file = fopen(path, "r");
  while (file && fgets(line, sizeof line, file))
    if (strncmp(line, key, strlen(key)) == 0) kib = atol(line + strlen(key));
  if (file) fclose(file);
  CHECK_INT(kib, >=, 0);
  return kib;
}

static long memory_now(void) { return kib_in("/proc/self/smaps_rollup", "Rss:") + kib_in("/proc/self/status", "VmPTE:"); }

static void open_all(bool on_scalloc) {
  for (int i = 0; i < STATES; i++) {
    CHECK((states[i] = on_scalloc ? scalloc_lua_newstate(NULL) : luaL_newstate()) != NULL);
    luaL_openlibs(states[i]);
  }
}

/* KiB that the states cost, measured in a child. */
static long cost(bool on_scalloc) {
  int ends[2];
  long kib = 0;
  CHECK(pipe(ends) == 0);
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    memset(states, 1, sizeof states);
    long before = memory_now();
    open_all(on_scalloc);
    kib = memory_now() - before;
    CHECK(write(ends[1], &kib, sizeof kib) == sizeof kib);
    if (!on_scalloc) _exit(0);
    for (int i = 0; i < STATES; i++) scalloc_lua_close(states[i], SCALLOC_LUA_CLOSE_FULL);
    check_heap();
    scalloc_purge();
    CHECK_INT(memory_now() - before, <=, 1024);
    _exit(0);
  }
  CHECK(read(ends[0], &kib, sizeof kib) == sizeof kib);
  int status;
  CHECK(waitpid(pid, &status, 0) == pid && status == 0);
  return kib;
}

int main(void) {
#if TEST_TRACKED || defined(__SANITIZE_THREAD__) || !defined(__OPTIMIZE__)
  printf("skipped: memory is measured in plain, optimised builds\n");
  return 0;
#endif
  long on_scalloc = cost(true), on_malloc = cost(false);
  printf("%d idle states: %ld KiB on scalloc, %ld on malloc\n", STATES, on_scalloc, on_malloc);
  CHECK_INT(on_scalloc, <=, on_malloc);
  return 0;
}
