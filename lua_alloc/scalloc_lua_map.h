/*
 * scalloc_lua_map.h - what the heap map shows, between who collects it (scalloc_lua_map.c) and who draws it (scalloc_lua_page.c).
 */
#ifndef SCALLOC_LUA_MAP_H
#define SCALLOC_LUA_MAP_H

#include "lua_rows.h"
#include "lua_spans.h"

#include <stdio.h>

typedef struct {
  double seconds; /* since the beginning */
  size_t used;    /* bytes then */
  size_t peak;    /* the most since the point before */
} map_point;

typedef struct {
  const char *title;
  const char *version; /* of Lua */
  scalloc_lua_stats stats;
  const map_point *points;
  size_t point_count;
  unsigned long long collections;
  const lua_row *rows; /* most bytes first */
  size_t row_count;
  const lua_span *spans; /* by size of block, large ones last, the fullest first */
  size_t span_count;
} map_data;

void page_write(FILE *file, const map_data *map);

#endif
