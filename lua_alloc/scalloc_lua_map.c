/*
 * scalloc_lua_map.c - --heap-map: collects what the page shows.
 *
 * How much was in use is noted once in each cycle of the garbage collector, by the finalizer of an object that is always garbage:
 * it makes its successor. A cycle that an emergency forces calls no finalizers, so its point comes a little later. When there are
 * too many points every second one goes, and from then on only so many cycles later the next is noted.
 *
 * Everything is kept in memory of the C library, since it is counted while the heap is walked.
 */
#include "scalloc_lua_map.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <time.h>

#include "scalloc_lua.h"

enum { POINTS = 1024 };

static struct {
  scalloc_lua_heap *heap;
  struct timespec begun;
  map_point points[POINTS];
  size_t count;
  size_t peak;     /* the most there has been */
  size_t interval; /* cycles to one point */
  size_t passed;   /* cycles since the last point */
  size_t high;     /* the most since the last point */
  unsigned long long collections;
} map;

static double seconds_since_begin(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)(now.tv_sec - map.begun.tv_sec) + (double)(now.tv_nsec - map.begun.tv_nsec) * 1e-9;
}

/* Keeps every second point, with the peak of the one before it. */
static void thin_out(void) {
  for (size_t i = 0; i < POINTS / 2; i++) {
    size_t before = map.points[2 * i].peak;
    map.points[i] = map.points[2 * i + 1];
    if (before > map.points[i].peak) map.points[i].peak = before;
  }
  map.count = POINTS / 2;
  map.interval *= 2;
}

static void note_peak(void) {
  size_t peak = scalloc_lua_peak(map.heap, true);
  if (peak > map.high) map.high = peak;
  if (peak > map.peak) map.peak = peak;
}

static void add_point(void) {
  if (map.count == POINTS) thin_out();
  map.points[map.count++] = (map_point){seconds_since_begin(), scalloc_lua_used(map.heap), map.high};
  map.high = 0;
  map.passed = 0;
}

static void push_sentinel(lua_State *L, int metatable) {
  metatable = lua_absindex(L, metatable);
  lua_newuserdatauv(L, 0, 0);
  lua_pushvalue(L, metatable);
  lua_setmetatable(L, -2);
}

static int on_collection(lua_State *L) {
  if (!map.heap) return 0; /* the end: no successor */
  map.collections++;
  note_peak();
  if (++map.passed >= map.interval) add_point();
  lua_getmetatable(L, 1);
  push_sentinel(L, -1);
  return 0;
}

void map_start(lua_State *L, scalloc_lua_heap *heap) {
  clock_gettime(CLOCK_MONOTONIC, &map.begun);
  map.heap = heap;
  map.interval = 1;
  note_peak();
  add_point();
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, on_collection);
  lua_setfield(L, -2, "__gc");
  push_sentinel(L, -1);
  lua_pop(L, 2);
}

/* ---- at the end -------------------------------------------------------------------------------------------------------------- */

typedef struct {
  lua_span *spans;
  size_t count, room;
  bool short_of_memory;
} span_list;

static void list_span(void *userdata, const lua_span *span) {
  span_list *list = userdata;
  if (list->count == list->room) {
    size_t room = list->room ? 2 * list->room : 256;
    lua_span *spans = realloc(list->spans, room * sizeof *spans);
    if (!spans) {
      list->short_of_memory = true;
      return;
    }
    list->spans = spans;
    list->room = room;
  }
  list->spans[list->count++] = *span;
}

static int by_class(const void *a, const void *b) {
  const lua_span *left = a, *right = b;
  size_t left_size = left->block - 1, right_size = right->block - 1; /* 0 becomes the largest */
  if (left_size != right_size) return left_size < right_size ? -1 : 1;
  return (left->live_bytes < right->live_bytes) - (left->live_bytes > right->live_bytes);
}

static bool write_page(const map_data *shown, const char *file_name) {
  FILE *file = fopen(file_name, "w");
  if (!file) return false;
  page_write(file, shown);
  bool written = !ferror(file);
  return fclose(file) == 0 && written;
}

bool map_write(const char *file_name, const char *title) {
  scalloc_lua_heap *heap = map.heap;
  lua_rows rows = {NULL, 0, 0, false};
  span_list spans = {NULL, 0, 0, false};
  map_data shown = {.title = title, .version = LUA_RELEASE, .points = map.points, .collections = map.collections};
  note_peak();
  add_point();
  map.heap = NULL;
  scalloc_lua_spans_peak(heap, map.peak);
  shown.point_count = map.count;
  shown.stats.size = sizeof shown.stats;
  scalloc_lua_stats_read(heap, &shown.stats);
  scalloc_lua_walk(heap, scalloc_lua_rows_count, &rows);
  scalloc_lua_spans_each(heap, list_span, &spans);
  lua_row *sorted = malloc((rows.count + 1) * sizeof *sorted);
  bool written = sorted && !rows.short_of_memory && !spans.short_of_memory;
  if (written) {
    shown.rows = sorted;
    shown.row_count = scalloc_lua_rows_sorted(&rows, sorted);
    if (spans.count) qsort(spans.spans, spans.count, sizeof *spans.spans, by_class);
    shown.spans = spans.spans;
    shown.span_count = spans.count;
    written = write_page(&shown, file_name);
  } else {
    errno = ENOMEM;
  }
  int saved = errno;
  free(sorted);
  free(spans.spans);
  scalloc_lua_rows_clear(&rows);
  errno = saved;
  return written;
}
