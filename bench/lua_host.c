/*
 * lua_host.c - lua-host: one interpreter of Lua 5.4 that runs a script on one allocator of three and measures it.
 *
 * All comparisons are made with this one program, so that both sides run the same Lua, compiled once, with the same
 * collector mode, and differ in nothing but where the state was made: luaL_newstate (realloc and free, which a preloaded
 * allocator may replace), scalloc_lua_newstate, or lua_newstate on what does as little as it can (lua_floor.h). The run of the script and the close of the state are timed separately;
 * the close matters, because it is where an allocator that destroys whole heaps can save work.
 *
 * The order is fixed: state, libraries, collector mode, `arg` | run | counters of Lua, of scalloc and of the kernel | close |
 * the kernel's counters again | report. A script that leaves through os.exit leaves no report.
 */
#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <scalloc/lua_alloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lua_floor.h"

enum { SCRIPT_FAILED = 1, BAD_USE = 2, CHECK_FAILED = 4 };

static const char usage_line[] = "usage: lua-host [--alloc=libc|scalloc|floor] [--gc=incremental|generational] [--report=FILE] "
                                 "[--check] SCRIPT [ARGS...] | --help\n";
static const char help_text[] =
    "Runs a Lua 5.4 script on one allocator of three and measures it.\n"
    "  --alloc=libc|scalloc|floor       whose memory the state lives in (default libc)\n"
    "  --gc=incremental|generational    the collector's mode (default incremental)\n"
    "  --report=FILE                    writes one JSON object about the run\n"
    "  --check                          after closing the state, holds scalloc to its invariants\n"
    "The report: alloc, gc, script; run_seconds, run_cpu_seconds, close_seconds, close_cpu_seconds; peak_rss_bytes (VmHWM) "
    "and\n"
    "page_table_bytes (VmPTE) before the close, closed_peak_rss_bytes and closed_page_table_bytes after it; lua_bytes\n"
    "(collectgarbage \"count\" before the close); stats (scalloc_stats_json before the close; null on others).\n"
    "Exit status: 0 done; 1 the script failed or the report could not be written; 2 bad use; 4 the check failed.\n";

typedef struct options {
  bool scalloc, floor, generational, check;
  const char *report;
  int script; /* its place in argv */
} options;

typedef struct seconds {
  double wall, cpu;
} seconds;

typedef struct memory {
  size_t peak_rss, page_tables; /* bytes; page tables as they are now */
} memory;

typedef struct measurement {
  seconds run, close;
  memory open, closed; /* just before the close, and just after it */
  size_t lua_bytes;
  char *stats; /* JSON */
} measurement;

/* ---- the command line ------------------------------------------------------------------------------------------------ */

/* The rest of a word that begins with `name`, or NULL. */
static const char *after(const char *word, const char *name) {
  size_t length = strlen(name);
  return strncmp(word, name, length) == 0 ? word + length : NULL;
}

/* Sets *second to whether `word` is the second of the two; false if it is neither. */
static bool one_of(const char *word, const char *first, const char *other, bool *second) {
  *second = strcmp(word, other) == 0;
  return *second || strcmp(word, first) == 0;
}

static bool option_read(options *o, const char *word) {
  const char *value;
  if ((value = after(word, "--alloc=")) != NULL) {
    o->floor = strcmp(value, "floor") == 0;
    o->scalloc = strcmp(value, "scalloc") == 0;
    return o->floor || o->scalloc || strcmp(value, "libc") == 0;
  }
  if ((value = after(word, "--gc=")) != NULL) return one_of(value, "incremental", "generational", &o->generational);
  if ((value = after(word, "--report=")) != NULL) {
    o->report = value;
    return *value != '\0';
  }
  if (strcmp(word, "--check") != 0) return false;
  o->check = true;
  return true;
}

/* Reads the words before the script. Ends the program on --help and on bad use. */
static options options_read(int argc, char **argv) {
  options o = {0};
  int i = 1;
  for (; i < argc && argv[i][0] == '-'; i++) {
    if (strcmp(argv[i], "--help") == 0) {
      printf("%s%s", usage_line, help_text);
      exit(0);
    }
    if (!option_read(&o, argv[i])) {
      fprintf(stderr, "lua-host: bad option '%s'; %s", argv[i], usage_line);
      exit(BAD_USE);
    }
  }
  if (i == argc) {
    fprintf(stderr, "lua-host: no script; %s", usage_line);
    exit(BAD_USE);
  }
  o.script = i;
  return o;
}

/* ---- the script ------------------------------------------------------------------------------------------------------ */

/* Message handler: the error with a traceback, as lua5.4 gives it. */
static int traceback(lua_State *L) {
  const char *message = lua_tostring(L, 1);
  if (message == NULL) {
    if (luaL_callmeta(L, 1, "__tostring") && lua_type(L, -1) == LUA_TSTRING) return 1;
    message = lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
  }
  luaL_traceback(L, L, message, 1);
  return 1;
}

/* Everything before the run that can raise. Arguments: argc, argv, the options. */
static int prepare(lua_State *L) {
  int argc = (int)lua_tointeger(L, 1);
  char **argv = lua_touserdata(L, 2);
  const options *o = lua_touserdata(L, 3);
  luaL_openlibs(L);
  if (o->generational) lua_gc(L, LUA_GCGEN, 0, 0);
  lua_createtable(L, argc - o->script - 1, o->script + 1);
  for (int i = 0; i < argc; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i - o->script);
  }
  lua_setglobal(L, "arg");
  return 0;
}

/* Loads and runs; arguments of the command line are the chunk's `...`. */
static int run(lua_State *L, int argc, char **argv, const options *o) {
  lua_pushcfunction(L, traceback);
  int status = luaL_loadfile(L, argv[o->script]);
  if (status != LUA_OK) return status;
  if (!lua_checkstack(L, argc - o->script)) {
    lua_pushliteral(L, "too many arguments");
    return LUA_ERRRUN;
  }
  for (int i = o->script + 1; i < argc; i++) lua_pushstring(L, argv[i]);
  return lua_pcall(L, argc - o->script - 1, 0, -(argc - o->script - 1) - 2);
}

static void complain(lua_State *L) {
  const char *message = lua_tostring(L, -1);
  fprintf(stderr, "lua-host: %s\n", message != NULL ? message : "(error object is not a string)");
}

/* ---- measuring ------------------------------------------------------------------------------------------------------- */

static double clock_seconds(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static seconds seconds_now(void) { return (seconds){clock_seconds(CLOCK_MONOTONIC), clock_seconds(CLOCK_PROCESS_CPUTIME_ID)}; }

static seconds seconds_since(seconds start) {
  seconds now = seconds_now();
  return (seconds){now.wall - start.wall, now.cpu - start.cpu};
}

/* What the kernel says; zeros where there is no /proc. */
static memory memory_now(void) {
  memory now = {0};
  char line[256];
  FILE *status = fopen("/proc/self/status", "r");
  if (status == NULL) return now;
  while (fgets(line, sizeof line, status) != NULL) {
    const char *value;
    if ((value = after(line, "VmHWM:")) != NULL) now.peak_rss = strtoul(value, NULL, 10) * 1024;
    if ((value = after(line, "VmPTE:")) != NULL) now.page_tables = strtoul(value, NULL, 10) * 1024;
  }
  fclose(status);
  return now;
}

/* The counters of scalloc as a string of malloc's; "null" for libc and if there is no memory. */
static char *stats_now(bool scalloc) {
  size_t size = scalloc ? scalloc_stats_json(NULL, 0) + 64 : 5; /* counters may have more digits the second time */
  char *stats = malloc(size);
  if (stats == NULL) return NULL;
  if (!scalloc || scalloc_stats_json(stats, size) >= size) strcpy(stats, "null");
  return stats;
}

static void write_json_string(FILE *out, const char *text) {
  putc('"', out);
  for (; *text != '\0'; text++) {
    unsigned char c = (unsigned char)*text;
    if (c == '"' || c == '\\') putc('\\', out);
    if (c < 0x20)
      fprintf(out, "\\u%04x", c);
    else
      putc(c, out);
  }
  putc('"', out);
}

static void write_report(FILE *out, const options *o, const char *script, const measurement *m) {
  fprintf(out, "{\"alloc\":\"%s\",\"gc\":\"%s\",\"script\":",
          o->scalloc ? "scalloc"
          : o->floor ? "floor"
                     : "libc",
          o->generational ? "generational" : "incremental");
  write_json_string(out, script);
  fprintf(out, ",\"run_seconds\":%.6f,\"run_cpu_seconds\":%.6f", m->run.wall, m->run.cpu);
  fprintf(out, ",\"close_seconds\":%.6f,\"close_cpu_seconds\":%.6f", m->close.wall, m->close.cpu);
  fprintf(out, ",\"peak_rss_bytes\":%zu,\"page_table_bytes\":%zu", m->open.peak_rss, m->open.page_tables);
  fprintf(out, ",\"closed_peak_rss_bytes\":%zu,\"closed_page_table_bytes\":%zu", m->closed.peak_rss, m->closed.page_tables);
  fprintf(out, ",\"lua_bytes\":%zu,\"stats\":%s}\n", m->lua_bytes, m->stats != NULL ? m->stats : "null");
}

static bool report(const options *o, const char *script, const measurement *m) {
  FILE *out = fopen(o->report, "w");
  if (out != NULL) {
    write_report(out, o, script, m);
    if (fclose(out) == 0) return true;
  }
  fprintf(stderr, "lua-host: cannot write %s: %s\n", o->report, strerror(errno));
  return false;
}

/* ---- the whole ------------------------------------------------------------------------------------------------------- */

static lua_State *open_state(int argc, char **argv, options *o) {
  lua_State *L = o->scalloc ? scalloc_lua_newstate(NULL) : o->floor ? lua_newstate(lua_floor, NULL) : luaL_newstate();
  if (L == NULL) {
    fprintf(stderr, "lua-host: no memory for a state\n");
    exit(SCRIPT_FAILED);
  }
  lua_pushcfunction(L, prepare);
  lua_pushinteger(L, argc);
  lua_pushlightuserdata(L, argv);
  lua_pushlightuserdata(L, o);
  if (lua_pcall(L, 3, 0, 0) != LUA_OK) {
    complain(L);
    exit(SCRIPT_FAILED);
  }
  return L;
}

static void close_state(lua_State *L, const options *o) {
  if (o->scalloc)
    scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FULL);
  else
    lua_close(L);
}

/* Runs and closes; false: the script failed. */
static bool measure(lua_State *L, int argc, char **argv, const options *o, measurement *m) {
  seconds start = seconds_now();
  int status = run(L, argc, argv, o);
  m->run = seconds_since(start);
  if (status != LUA_OK) complain(L);
  m->lua_bytes = (size_t)lua_gc(L, LUA_GCCOUNT) * 1024 + (size_t)lua_gc(L, LUA_GCCOUNTB);
  m->stats = stats_now(o->scalloc);
  m->open = memory_now();
  start = seconds_now();
  close_state(L, o);
  m->close = seconds_since(start);
  m->closed = memory_now();
  return status == LUA_OK;
}

int main(int argc, char **argv) {
  options o = options_read(argc, argv);
  measurement m = {0};
  char why[256] = "";
  bool good = measure(open_state(argc, argv, &o), argc, argv, &o, &m);
  if (good && o.report != NULL) good = report(&o, argv[o.script], &m);
  free(m.stats);
  if (o.check && !scalloc_check(why, sizeof why)) {
    fprintf(stderr, "lua-host: scalloc_check: %s\n", why);
    return CHECK_FAILED;
  }
  return good ? 0 : SCRIPT_FAILED;
}
