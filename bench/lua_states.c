/*
 * lua_states.c - lua-states: what the states themselves cost, whatever runs in them. One of three measurements a run:
 *
 *   --megabytes=N  a state of so many megabytes, with --finalizers=M of its objects finalized: closing it
 *   --cycles=N     making a state, opening its libraries, closing it, N times
 *   --idle=N       N states with libraries, all there at once: memory of the process for each
 *
 * Every allocator is measured with this one program; --scalloc=0 has the states on realloc and free, which a preloaded library may
 * replace.
 */
#include <fcntl.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <scalloc/lua_alloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "program.h"

static struct { long scalloc, fast, generational, megabytes, finalizers, cycles, idle; } options;

static lua_State *new_state(void) {
  lua_State *L = options.scalloc ? scalloc_lua_newstate(NULL) : luaL_newstate();
  if (L == NULL) program_fail("no memory for a state", 0);
  luaL_openlibs(L);
  if (options.generational) lua_gc(L, LUA_GCGEN, 0, 0);
  return L;
}

static void close_state(lua_State *L) {
  if (options.scalloc)
    scalloc_lua_close(L, options.fast ? SCALLOC_LUA_CLOSE_FAST : SCALLOC_LUA_CLOSE_FULL);
  else
    lua_close(L);
}

/* ---- closing ----------------------------------------------------------------------------------------------------------- */

static long finalized;

static int count_finalizer(lua_State *L) {
  (void)L;
  finalized++;
  return 0;
}

/* Records of a number, a text and a link, as many as come to the size asked for; then the objects with finalizers. */
static const char filling[] = "local bytes, finalizers, meta = ...\n"
                              "local full, last, i = bytes / 1024, false, 0\n"
                              "records = {}\n"
                              "while collectgarbage 'count' < full do\n"
                              "  for _ = 1, 100 do\n"
                              "    i = i + 1\n"
                              "    last = { id = i, name = 'record ' .. i, last }\n"
                              "    records[i] = last\n"
                              "  end\n"
                              "end\n"
                              "finalized = {}\n"
                              "for i = 1, finalizers do finalized[i] = setmetatable({ i }, meta) end\n";

static void fill(lua_State *L) {
  if (luaL_loadstring(L, filling) != LUA_OK) program_fail(lua_tostring(L, -1), 0);
  lua_pushinteger(L, (lua_Integer)options.megabytes << 20);
  lua_pushinteger(L, options.finalizers);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, count_finalizer);
  lua_setfield(L, -2, "__gc");
  if (lua_pcall(L, 3, 0, 0) != LUA_OK) program_fail(lua_tostring(L, -1), 0);
}

/* A small state is closed first, so that what the first close of a process sets up is not in the figure. */
static void measure_close(void) {
  close_state(new_state());
  lua_State *L = new_state();
  fill(L);
  lua_gc(L, LUA_GCCOLLECT);
  if (options.generational) lua_gc(L, LUA_GCGEN, 0, 0); /* after much growth it would be incremental for a while */
  finalized = 0;
  double begin = program_now();
  close_state(L);
  double closed = program_now();
  if (options.scalloc) scalloc_purge();
  double purged = program_now();
  if (finalized != options.finalizers) program_fail("finalizers were lost", 0);
  report_number("seconds", closed - begin);
  report_number("purge_seconds", purged - closed);
}

/* ---- making and closing ------------------------------------------------------------------------------------------------ */

static void measure_cycles(void) {
  for (int i = 0; i < 100; i++) close_state(new_state());
  double begin = program_now();
  for (long i = 0; i < options.cycles; i++) close_state(new_state());
  report_number("seconds", (program_now() - begin) / (double)options.cycles);
}

/* ---- idle states --------------------------------------------------------------------------------------------------------- */

/* The number of KB behind a key in a file of /proc. No stdio: its buffers would be part of what is measured. */
static size_t proc_bytes(const char *path, const char *key) {
  static char text[1 << 14];
  size_t length = 0;
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) program_fail(path, 0);
  for (ssize_t got; length < sizeof text - 1 && (got = read(file, text + length, sizeof text - 1 - length)) > 0;)
    length += (size_t)got;
  close(file);
  text[length] = 0;
  const char *at = strstr(text, key);
  if (at == NULL) program_fail(key, 0);
  return strtoul(at + strlen(key), NULL, 10) * 1024;
}

static size_t resident(void) { return proc_bytes("/proc/self/smaps_rollup", "\nRss:"); }
static size_t page_tables(void) { return proc_bytes("/proc/self/status", "\nVmPTE:"); }

static void measure_idle(void) {
  lua_State **states = calloc((size_t)options.idle, sizeof *states);
  if (states == NULL) program_fail("no memory", 0);
  memset(states, 1, (size_t)options.idle * sizeof *states); /* its pages are there before the first look */
  close_state(new_state());
  size_t rss = resident(), tables = page_tables();
  for (long i = 0; i < options.idle; i++) states[i] = new_state();
  report_number("rss_bytes", (double)(resident() - rss) / (double)options.idle);
  report_number("table_bytes", (double)(page_tables() - tables) / (double)options.idle);
  for (long i = 0; i < options.idle; i++) close_state(states[i]);
  free(states);
}

int main(int argc, char **argv) {
  const program_option known[] = {
      {"scalloc", &options.scalloc, 0, 1, "1: states on heaps of scalloc"},
      {"fast", &options.fast, 0, 1, "1: closed with SCALLOC_LUA_CLOSE_FAST"},
      {"generational", &options.generational, 0, 1, "1: the collector's mode"},
      {"megabytes", &options.megabytes, 0, 4096, "size of a state to be closed"},
      {"finalizers", &options.finalizers, 0, 1000000, "objects in it that have a finalizer"},
      {"cycles", &options.cycles, 0, 1000000, "states to be made and closed"},
      {"idle", &options.idle, 0, 100000, "states to be there at once"},
      {NULL, NULL, 0, 0, NULL},
  };
  program_options(argc, argv, "Measures what Lua states cost: --megabytes, --cycles or --idle.", known);
  report_begin("lua-states");
  report_text("alloc", options.scalloc ? "scalloc" : "libc");
  if (options.megabytes > 0) measure_close();
  if (options.cycles > 0) measure_cycles();
  if (options.idle > 0) measure_idle();
  report_end();
  return 0;
}
