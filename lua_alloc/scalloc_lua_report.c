/*
 * scalloc_lua_report.c - what the program scalloc-lua tells at its end: --mem-stats, and when --heap-map is written.
 *
 * Both need the heap as it is when the script has ended and the state has not yet been closed, and there are three ways to get
 * there: main closes, os.exit(code, true) closes, os.exit(code) does not close. The first two are caught by a to-be-closed
 * variable on the stack of the main thread, which lua_close closes before it does anything else; the third by the handler of
 * atexit, which also writes the figures.
 */
#include "scalloc_lua.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static struct {
  report_wanted wanted;
  scalloc_lua_heap *heap; /* NULL once the figures below have been taken: it may be gone */
  size_t used, peak;
  char *heap_json;
  double taken_at;
  bool closed; /* lua_close came after taken_at */
} stats;

static double seconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* The JSON of a heap, or of the whole process for NULL, in memory from malloc; NULL: there was none. */
static char *stats_json(scalloc_lua_heap *heap) {
  size_t length = heap ? scalloc_lua_stats_json(heap, NULL, 0) : scalloc_stats_json(NULL, 0);
  size_t size = length + 256; /* figures may have more digits when they are taken again */
  char *json = malloc(size);
  if (!json) return NULL;
  if (heap)
    scalloc_lua_stats_json(heap, json, size);
  else
    scalloc_stats_json(json, size);
  return json;
}

static void stats_take(void) {
  if (!stats.heap) return;
  const char *map = stats.wanted.map;
  if (map && !map_write(map, stats.wanted.title))
    fprintf(stderr, "%s: %s: %s\n", interp_name ? interp_name : "scalloc-lua", map, strerror(errno));
  stats.used = scalloc_lua_used(stats.heap);
  stats.peak = scalloc_lua_peak(stats.heap, false);
  stats.heap_json = stats_json(stats.heap);
  stats.heap = NULL;
  stats.taken_at = seconds_now();
}

/* The integer at `key` of the object at `section` of our own JSON; -1 if it is not there. */
static long long stats_figure(const char *json, const char *section, const char *key) {
  char quoted[32];
  long long figure;
  snprintf(quoted, sizeof(quoted), "\"%s\"", section);
  const char *at = json ? strstr(json, quoted) : NULL;
  snprintf(quoted, sizeof(quoted), "\"%s\"", key);
  at = at ? strstr(at, quoted) : NULL;
  return at && sscanf(at + strlen(quoted), " : %lld", &figure) == 1 ? figure : -1;
}

/* A line "name:  n kB" of /proc/self/status in bytes; 0 if it is not there. */
static size_t process_bytes(const char *name) {
  char line[256];
  size_t kilobytes = 0;
  FILE *status = fopen("/proc/self/status", "r");
  if (!status) return 0;
  while (fgets(line, sizeof(line), status))
    if (strncmp(line, name, strlen(name)) == 0 && sscanf(line + strlen(name), ": %zu", &kilobytes) == 1) break;
  fclose(status);
  return kilobytes * 1024;
}

static void show_spans(const char *whose, const char *json) {
  static const char *const states[] = {"hot", "floating", "reusable", "pooled", "large"};
  fprintf(stderr, "%-24s", whose);
  for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
    long long count = stats_figure(json, "spans", states[i]);
    if (!json)
      fprintf(stderr, "%10s", states[i]);
    else if (count < 0)
      fprintf(stderr, "%10s", "-");
    else
      fprintf(stderr, "%10lld", count);
  }
  fputc('\n', stderr);
}

static void show_bytes(const char *what, size_t bytes) { fprintf(stderr, "%-24s%20zu bytes\n", what, bytes); }

/* The handler of atexit. */
static void report(void) {
  double close_seconds = stats.closed ? seconds_now() - stats.taken_at : 0;
  stats_take();
  if (!stats.wanted.stats) return;
  char *process_json = stats_json(NULL);
  size_t peak_rss = process_bytes("VmHWM"), page_tables = process_bytes("VmPTE");
  if (stats.wanted.stats == STATS_JSON) {
    fprintf(stderr, "{\"lua\":%s,\"process\":%s,", stats.heap_json ? stats.heap_json : "null",
            process_json ? process_json : "null");
    fprintf(stderr, "\"peak_rss_bytes\":%zu,\"page_table_bytes\":%zu,\"close_seconds\":", peak_rss, page_tables);
    fprintf(stderr, stats.closed ? "%.6f}\n" : "null}\n", close_seconds);
  } else {
    show_bytes("Lua, used at the end", stats.used);
    show_bytes("Lua, peak", stats.peak);
    show_bytes("process, peak resident", peak_rss);
    show_bytes("process, page tables", page_tables);
    if (stats.closed)
      fprintf(stderr, "%-24s%20.6f seconds\n", "close", close_seconds);
    else
      fprintf(stderr, "%-24s%20s\n", "close", "not closed");
    show_spans("spans", NULL);
    show_spans("  Lua, at the end", stats.heap_json);
    show_spans("  process", process_json);
  }
  free(process_json);
  free(stats.heap_json);
}

/* The __close of the end marker. */
static int mark_end(lua_State *L) {
  (void)L;
  stats.closed = true;
  stats_take();
  return 0;
}

static int push_end_marker(lua_State *L) {
  lua_newuserdatauv(L, 0, 0);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, mark_end);
  lua_setfield(L, -2, "__close");
  lua_setmetatable(L, -2);
  return 1;
}

static int start(lua_State *L) {
  if (stats.wanted.map) map_start(L, stats.heap);
  return push_end_marker(L);
}

void report_start(lua_State *L, const report_wanted *wanted) {
  stats.wanted = *wanted;
  stats.heap = scalloc_lua_heap_of(L);
  lua_pushcfunction(L, start);
  if (interp_report(L, lua_pcall(L, 0, 1, 0)) == LUA_OK) lua_toclose(L, -1);
  atexit(report);
}
