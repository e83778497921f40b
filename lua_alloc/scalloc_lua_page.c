/*
 * scalloc_lua_page.c - draws the heap map: one HTML file, no script, nothing loaded from elsewhere, light and dark.
 */
#include "scalloc_lua_map.h"

#include <lua.h>
#include <string.h>

enum { HOLDERS = 30, SQUARES = 64, CHART_WIDTH = 960, CHART_HEIGHT = 260, CHART_LEFT = 76, CHART_BOTTOM = 30, CHART_TOP = 10 };

static const char style[] =
    ":root{color-scheme:light dark;--bg:#fbfbfa;--card:#fff;--line:#dcdcd8;--text:#1c1d1f;--soft:#63656b;--accent:#2563a8;"
    "--accent-soft:#a9c8ea;--track:#ecebe7}\n"
    "@media(prefers-color-scheme:dark){:root{--bg:#17181b;--card:#1f2125;--line:#363940;--text:#e9e9e6;--soft:#a3a6ad;"
    "--accent:#7db4f0;--accent-soft:#31506f;--track:#2b2e34}}\n"
    "*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--text);font:15px/1.5 system-ui,sans-serif}\n"
    "main{max-width:1080px;margin:0 auto;padding:28px 24px 56px}h1{font-size:26px;margin:0;overflow-wrap:anywhere}\n"
    "h2{font-size:18px;margin:0 0 2px}p{margin:0 0 14px;color:var(--soft)}section{background:var(--card);border:1px solid "
    "var(--line);border-radius:10px;padding:18px 20px;margin-top:20px;overflow-x:auto}\n"
    ".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin-top:18px}\n"
    ".tile{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 16px}.tile b{display:block;"
    "font-size:21px;font-variant-numeric:tabular-nums}.tile span{color:var(--soft);font-size:13px}\n"
    "table{border-collapse:collapse;width:100%}th{text-align:left;font-weight:600;color:var(--soft);font-size:13px;"
    "border-bottom:1px solid var(--line);padding:4px 12px 6px 0;white-space:nowrap}\n"
    "td{padding:5px 12px 5px 0;border-bottom:1px solid var(--line);vertical-align:middle}tr:last-child td{border-bottom:0}\n"
    "td:first-child,th:first-child{padding-left:2px}.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\n"
    ".bar{background:var(--track);border-radius:4px;height:12px;min-width:110px}.bar i{display:block;height:12px;"
    "border-radius:4px;background:var(--accent)}\n"
    ".dot{display:inline-block;width:10px;height:10px;border-radius:3px;margin-right:8px}\n"
    ".squares{display:flex;flex-wrap:wrap;gap:2px;min-width:300px;max-width:420px}.squares i{width:14px;height:14px;"
    "border-radius:2px;border:1px solid var(--line);background:linear-gradient(to top,var(--accent) var(--f),var(--track) "
    "var(--f))}.squares em{font-style:normal;font-size:12px;color:var(--soft);margin-left:4px}\n"
    "svg{display:block;width:100%;min-width:640px;height:auto}svg "
    "text{fill:var(--soft);font-size:12px}.grid{stroke:var(--line)}"
    ".peak{fill:var(--accent-soft)}.used{fill:none;stroke:var(--accent);stroke-width:2;stroke-linejoin:round}\n"
    ".key{display:flex;gap:20px;font-size:13px;color:var(--soft);margin:8px 0 0}.key "
    "i{display:inline-block;width:18px;height:10px;"
    "border-radius:2px;margin-right:6px}\n"
    "footer{margin-top:24px;color:var(--soft);font-size:13px}\n";

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

static void put_text(FILE *file, const char *text) {
  for (; *text; text++) {
    switch (*text) {
    case '<':
      fputs("&lt;", file);
      break;
    case '>':
      fputs("&gt;", file);
      break;
    case '&':
      fputs("&amp;", file);
      break;
    case '"':
      fputs("&quot;", file);
      break;
    default:
      fputc(*text, file);
    }
  }
}

typedef struct {
  char text[32];
} figure;

/* "12.3 MB"; a KB is 1024 bytes. */
static figure bytes_figure(double bytes) {
  static const char *const units[] = {"B", "KB", "MB", "GB", "TB"};
  figure f;
  size_t unit = 0;
  for (; (bytes >= 1000 || bytes <= -1000) && unit < 4; unit++) bytes /= 1024;
  snprintf(f.text, sizeof f.text, unit == 0 || bytes >= 100 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
  return f;
}

/* "1,234,567" */
static figure count_figure(unsigned long long count) {
  char digits[24];
  figure f;
  size_t length = (size_t)snprintf(digits, sizeof digits, "%llu", count), at = 0;
  for (size_t i = 0; i < length; i++) {
    if (i > 0 && (length - i) % 3 == 0) f.text[at++] = ',';
    f.text[at++] = digits[i];
  }
  f.text[at] = '\0';
  return f;
}

static double percent(double part, double whole) { return whole > 0 ? 100 * part / whole : 0; }

static void put_tile(FILE *file, const char *name, figure value) {
  fprintf(file, "<div class=\"tile\"><span>%s</span><b>%s</b></div>\n", name, value.text);
}

static void put_bar(FILE *file, double share, const char *colour) {
  fprintf(file, "<td><div class=\"bar\"><i style=\"width:%.1f%%", share);
  if (colour) fprintf(file, ";background:%s", colour);
  fputs("\"></i></div></td>", file);
}

/* ---- the sections -------------------------------------------------------------------------------------------------------------- */

static void put_head(FILE *file, const map_data *map) {
  fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
        "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>Heap map: ",
        file);
  put_text(file, map->title);
  fprintf(file, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<main>\n<h1>Heap map of ", style);
  put_text(file, map->title);
  fprintf(file, "</h1>\n<p>%s on scalloc, at the end of the program, before the state was closed</p>\n", map->version);
  fputs("<div class=\"tiles\">\n", file);
  put_tile(file, "in use at the end", bytes_figure((double)map->stats.used));
  put_tile(file, "peak", bytes_figure((double)map->stats.peak));
  put_tile(file, "committed pages", bytes_figure((double)map->stats.committed));
  put_tile(file, "live blocks", count_figure(map->stats.blocks));
  put_tile(file, "garbage collections", count_figure(map->collections));
  put_tile(file, "growths refused", count_figure(map->stats.refusals));
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
    fprintf(file, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n", CHART_LEFT - 8, y + 4, bytes_figure(bytes).text);
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
    put_bar(file, percent(sums[next].bytes, all), types[next].colour);
    fprintf(file,
            "<td class=\"n\">%s</td><td class=\"n\">%.1f %%</td><td class=\"n\">%s</td><td "
            "style=\"color:var(--soft)\">%s</td></tr>\n",
            bytes_figure(sums[next].bytes).text, percent(sums[next].bytes, all), count_figure(sums[next].blocks).text,
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
            count_figure(row.size).text, types[type].colour, types[type].name);
    put_bar(file, percent(bytes, all), types[type].colour);
    fprintf(file, "<td class=\"n\">%s</td><td class=\"n\">%.1f %%</td><td class=\"n\">%s</td></tr>\n", bytes_figure(bytes).text,
            percent(bytes, all), count_figure((unsigned long long)row.blocks).text);
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
  double share = percent(live_bytes, committed);
  fprintf(file, "<tr><td class=\"n\">%s</td><td class=\"n\">%s</td><td class=\"n\">%s</td><td class=\"n\">%s</td>",
          spans[begin].block ? count_figure(spans[begin].block).text : "large", count_figure(end - begin).text,
          count_figure(live).text, bytes_figure(live_bytes).text);
  fprintf(file, "<td class=\"n\">%s</td>", bytes_figure(committed).text);
  put_bar(file, share > 100 ? 100 : share, NULL);
  fprintf(file, "<td class=\"n\">%.0f %%</td><td><div class=\"squares\">", share);
  for (size_t i = begin; i < end && i < begin + SQUARES; i++) {
    double full = percent((double)spans[i].live, (double)spans[i].room);
    fprintf(file, "<i style=\"--f:%.0f%%\" title=\"%s of %s blocks live, ", full, count_figure(spans[i].live).text,
            count_figure(spans[i].room).text);
    fprintf(file, "%s committed\"></i>", bytes_figure((double)spans[i].committed).text);
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
  fputs("<footer>Written by scalloc-lua --heap-map. A KB is 1024 bytes.</footer>\n</main>\n</body>\n</html>\n", file);
}
