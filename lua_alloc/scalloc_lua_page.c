/*
 * scalloc_lua_page.c - draws the heap map (html.h).
 */
#include "html.h"
#include "scalloc_lua_map.h"

#include <lua.h>
#include <string.h>

enum { HOLDERS = 30, SQUARES = 64, CHART_WIDTH = 960, CHART_HEIGHT = 260, CHART_LEFT = 76, CHART_BOTTOM = 30, CHART_TOP = 10 };

/* What a type is called on the page, and its colour, which is legible on light and on dark ground. */
static const struct {
  int tag;
  const char *name, *what, *colour;
} types[] = {
    {LUA_TTABLE, "table", "the fixed part of each table", "#3b82c4"},
    {LUA_TSTRING, "string", "texts, each with a head of 24 bytes", "#d9822b"},
    {0, "parts and buffers", "arrays and hash parts of tables, stacks, code, buffers", "#7c8798"},
    {LUA_TFUNCTION, "function", "closures", "#4c9f70"},
    {LUA_TUSERDATA, "userdata", "objects of C libraries", "#a362c9"},
    {LUA_TTHREAD, "thread", "coroutines, without their stacks", "#c94f6d"},
    {9, "upvalue", "local variables that closures share", "#2aa5a0"},
    {10, "prototype", "compiled functions, without their code", "#b09a2c"},
    {-1, "not known", "made before types were noted", "#9a9a9a"},
};
enum { TYPES = sizeof(types) / sizeof(types[0]) };

static size_t type_of(int tag) {
  for (size_t i = 0; i < TYPES; i++)
    if (types[i].tag == tag) return i;
  return TYPES - 1;
}

/* ---- writing ---------------------------------------------------------------------------------------------------------------- */

static void put_bar(FILE *file, double share, const char *colour) {
  fprintf(file, "<td><div class=\"bar\"><i style=\"width:%.1f%%", share);
  if (colour) fprintf(file, ";background:%s", colour);
  fputs("\"></i></div></td>", file);
}

/* ---- the sections -------------------------------------------------------------------------------------------------------------- */

static void put_head(FILE *file, const map_data *map) {
  html_begin(file, map->title);
  fprintf(file, "<p>%s on scalloc, at the end of the program, before the state was closed</p>\n", map->version);
  fputs("<div class=\"tiles\">\n", file);
  html_tile(file, "in use at the end", html_bytes((double)map->stats.used));
  html_tile(file, "peak", html_bytes((double)map->stats.peak));
  html_tile(file, "committed pages", html_bytes((double)map->stats.committed));
  html_tile(file, "live blocks", html_count(map->stats.blocks));
  html_tile(file, "garbage collections", html_count(map->collections));
  html_tile(file, "growths refused", html_count(map->stats.refusals));
  fputs("</div>\n", file);
}

/* A round number that divides `most` into at least four steps. */
static double round_step(double most) {
  double step = 1;
  if (most <= 0) return 1;
  while (step * 5 > most) step /= 10;
  while (step * 50 <= most) step *= 10;
  return most / step >= 20 ? step * 5 : most / step >= 10 ? step * 2 : step;
}

typedef struct {
  double seconds, bytes; /* at the right and at the top */
} chart;

static double chart_x(chart c, double seconds) { return CHART_LEFT + seconds / c.seconds * (CHART_WIDTH - CHART_LEFT - 10); }

static double chart_y(chart c, double bytes) {
  return CHART_HEIGHT - CHART_BOTTOM - bytes / c.bytes * (CHART_HEIGHT - CHART_BOTTOM - CHART_TOP);
}

static void put_grid(FILE *file, chart c) {
  double unit = c.bytes >= 1024 * 1024 ? 1024 * 1024 : 1024, step = round_step(c.bytes / unit) * unit;
  for (int i = 0; i * step <= c.bytes * 1.0001; i++) {
    double bytes = i * step, y = chart_y(c, bytes);
    fprintf(file, "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>", CHART_LEFT, CHART_WIDTH - 10, y, y);
    fprintf(file, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", CHART_LEFT - 8, y + 4, html_bytes(bytes).text);
  }
  step = round_step(c.seconds);
  for (int i = 0; i * step <= c.seconds * 1.0001; i++)
    fprintf(file, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g s</text>\n", chart_x(c, i * step), CHART_HEIGHT - 8,
            i * step);
}

static void put_chart(FILE *file, const map_data *map) {
  chart c = {map->points[map->point_count - 1].seconds, (double)map->stats.peak * 1.05};
  if (c.seconds < 1e-6) c.seconds = 1e-6;
  fputs("<section>\n<h2>Memory over time</h2>\n<p>Bytes that Lua had in use, noted at each garbage collection.</p>\n", file);
  fprintf(file,
          "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"bytes in use over time\">\n<path class=\"peak\" d=\"M%.1f %.1f",
          CHART_WIDTH, CHART_HEIGHT, chart_x(c, 0), chart_y(c, 0));
  double from = 0;
  for (size_t i = 0; i < map->point_count; i++) {
    double y = chart_y(c, (double)map->points[i].peak), to = map->points[i].seconds;
    fprintf(file, "L%.1f %.1fL%.1f %.1f", chart_x(c, from), y, chart_x(c, to), y);
    from = to;
  }
  fprintf(file, "L%.1f %.1fZ\"/>\n", chart_x(c, from), chart_y(c, 0));
  put_grid(file, c);
  fputs("<polyline class=\"used\" points=\"", file);
  for (size_t i = 0; i < map->point_count; i++)
    fprintf(file, "%.1f,%.1f ", chart_x(c, map->points[i].seconds), chart_y(c, (double)map->points[i].used));
  fputs(
      "\"/>\n</svg>\n<div class=\"key\"><span><i style=\"background:var(--accent-soft)\"></i>most in use since the collection "
      "before</span><span><i style=\"background:var(--accent)\"></i>in use after a collection</span></div>\n</section>\n",
      file);
}

typedef struct {
  double bytes;
  unsigned long long blocks;
} type_sum;

static void put_types(FILE *file, const map_data *map) {
  type_sum sums[TYPES] = {{0, 0}};
  double all = 0;
  for (size_t i = 0; i < map->row_count; i++) {
    type_sum *sum = &sums[type_of(map->rows[i].tag)];
    sum->bytes += (double)lua_row_bytes(map->rows[i]);
    sum->blocks += (unsigned long long)map->rows[i].blocks;
    all += (double)lua_row_bytes(map->rows[i]);
  }
  fputs("<section>\n<h2>Bytes by type</h2>\n<p>What Lua asked the memory for.</p>\n<table>\n<tr><th>type</th><th></th><th "
        "class=\"n\">bytes</th><th class=\"n\">share</th><th class=\"n\">blocks</th><th></th></tr>\n",
        file);
  for (size_t done = 0; done < TYPES; done++) { /* the largest next */
    size_t next = 0;
    for (size_t i = 1; i < TYPES; i++)
      if (sums[i].bytes > sums[next].bytes) next = i;
    if (sums[next].blocks == 0) break;
    fprintf(file, "<tr><td style=\"white-space:nowrap\"><i class=\"dot\" style=\"background:%s\"></i>%s</td>",
            types[next].colour, types[next].name);
    put_bar(file, html_percent(sums[next].bytes, all), types[next].colour);
    fprintf(file,
            "<td class=\"n\">%s</td><td class=\"n\">%.1f %%</td><td class=\"n\">%s</td><td "
            "style=\"color:var(--soft)\">%s</td></tr>\n",
            html_bytes(sums[next].bytes).text, html_percent(sums[next].bytes, all), html_count(sums[next].blocks).text,
            types[next].what);
    sums[next] = (type_sum){0, 0};
  }
  fputs("</table>\n</section>\n", file);
}

static void put_holders(FILE *file, const map_data *map) {
  double all = 0;
  for (size_t i = 0; i < map->row_count; i++) all += (double)lua_row_bytes(map->rows[i]);
  fprintf(
      file,
      "<section>\n<h2>Largest holders</h2>\n<p>Blocks of one size and type together; the first %d of %zu kinds.</p>\n<table>\n"
      "<tr><th class=\"n\">block size</th><th>type</th><th></th><th class=\"n\">bytes</th><th class=\"n\">share</th><th "
      "class=\"n\">blocks</th></tr>\n",
      map->row_count < HOLDERS ? (int)map->row_count : HOLDERS, map->row_count);
  for (size_t i = 0; i < map->row_count && i < HOLDERS; i++) {
    lua_row row = map->rows[i];
    double bytes = (double)lua_row_bytes(row);
    size_t type = type_of(row.tag);
    fprintf(file,
            "<tr><td class=\"n\">%s</td><td style=\"white-space:nowrap\"><i class=\"dot\" style=\"background:%s\"></i>%s</td>",
            html_count(row.size).text, types[type].colour, types[type].name);
    put_bar(file, html_percent(bytes, all), types[type].colour);
    fprintf(file, "<td class=\"n\">%s</td><td class=\"n\">%.1f %%</td><td class=\"n\">%s</td></tr>\n", html_bytes(bytes).text,
            html_percent(bytes, all), html_count((unsigned long long)row.blocks).text);
  }
  fputs("</table>\n</section>\n", file);
}

/* The spans from `begin` to `end`, all of one size of block. */
static void put_class(FILE *file, const lua_span *spans, size_t begin, size_t end) {
  size_t live = 0;
  double live_bytes = 0, committed = 0;
  for (size_t i = begin; i < end; i++) {
    live += spans[i].live;
    live_bytes += (double)spans[i].live_bytes;
    committed += (double)spans[i].committed;
  }
  double share = html_percent(live_bytes, committed);
  fprintf(file, "<tr><td class=\"n\">%s</td><td class=\"n\">%s</td><td class=\"n\">%s</td><td class=\"n\">%s</td>",
          spans[begin].block ? html_count(spans[begin].block).text : "large", html_count(end - begin).text,
          html_count(live).text, html_bytes(live_bytes).text);
  fprintf(file, "<td class=\"n\">%s</td>", html_bytes(committed).text);
  put_bar(file, share > 100 ? 100 : share, NULL);
  fprintf(file, "<td class=\"n\">%.0f %%</td><td><div class=\"squares\">", share);
  for (size_t i = begin; i < end && i < begin + SQUARES; i++) {
    double full = html_percent((double)spans[i].live, (double)spans[i].room);
    fprintf(file, "<i style=\"--f:%.0f%%\" title=\"%s of %s blocks live, ", full, html_count(spans[i].live).text,
            html_count(spans[i].room).text);
    fprintf(file, "%s committed\"></i>", html_bytes((double)spans[i].committed).text);
  }
  if (end - begin > SQUARES) fprintf(file, "<em>and %zu more</em>", end - begin - SQUARES);
  fputs("</div></td></tr>\n", file);
}

static void put_spans(FILE *file, const map_data *map) {
  fputs("<section>\n<h2>Spans by size of block</h2>\n<p>Each span holds blocks of one size; a square is a span, filled as far "
        "as its blocks are live. Occupancy is live bytes of committed ones. For this page every block holds 8 bytes more than "
        "else, for its type and size.</p>\n<table>\n<tr><th class=\"n\">block size</th><th "
        "class=\"n\">spans</th><th class=\"n\">live blocks</th><th class=\"n\">live</th><th class=\"n\">committed</th><th "
        "colspan=\"2\">occupancy</th><th>each span</th></tr>\n",
        file);
  for (size_t begin = 0, end; begin < map->span_count; begin = end) {
    for (end = begin + 1; end < map->span_count && map->spans[end].block == map->spans[begin].block;) end++;
    put_class(file, map->spans, begin, end);
  }
  fputs("</table>\n</section>\n", file);
}

void page_write(FILE *file, const map_data *map) {
  put_head(file, map);
  put_chart(file, map);
  put_types(file, map);
  put_holders(file, map);
  put_spans(file, map);
  html_end(file, "Written by scalloc-lua --heap-map.");
}
