/*
 * page.c - the picture as a page: what the memory is spent on, every span as a square, states and sizes of blocks.
 */
#include "report.h"

enum { SQUARE = 17, PITCH = 20, PER_ROW = 52, SQUARES = 2080 };

static const struct {
  const char *colour, *what;
} kinds[PICTURE_KINDS] = {
    [PICTURE_HOT] = {"#d2562f", "its heap allocates from it"},
    [PICTURE_FLOATING] = {"#3b82c4", "full enough: nothing refers to it but its blocks"},
    [PICTURE_REUSABLE] = {"#4c9f70", "enough blocks are free: the next to be allocated from"},
    [PICTURE_NURSERY] = {"#a362c9", "cells of 32 KB, the first memory of young Lua heaps"},
    [PICTURE_LARGE] = {"#b09a2c", "blocks above 1 MB"},
    [PICTURE_LENT] = {"#2aa5a0", "of a garbage-collected runtime, which alone knows what is live"},
    [PICTURE_FREE] = {"#8a93a3", "empty, for any size; its pages go back when it has been empty for a while"},
    [PICTURE_PURGED] = {"var(--track)", "empty and without pages: address space that costs nothing"},
};

static const char style[] =
    "<style>\n@media(min-width:800px){.tiles{grid-template-columns:repeat(4,1fr)}}\n.stack{display:flex;height:26px;border-"
    "radius:6px;overflow:hidden;background:var(--track)}.stack "
    "i{display:block}\n"
    ".legend{display:flex;flex-wrap:wrap;gap:6px 22px;margin-top:12px;font-size:13px;color:var(--soft)}.legend "
    "b{color:var(--text);"
    "font-weight:600}\n.map rect{stroke:var(--line)}.map .void{fill:var(--track)}\n"
    ".two{display:flex;height:12px;border-radius:4px;overflow:hidden;background:var(--track);min-width:180px}\n"
    ".two i{display:block;background:var(--accent)}.two "
    "u{display:block;min-width:2px;background:var(--accent-soft)}\n.s{color:var(--soft)}\n"
    "</style>\n";

static html_figure percent_figure(double percent) {
  html_figure f;
  snprintf(f.text, sizeof f.text, "%.0f %%", percent);
  return f;
}

static void put_tiles(FILE *file, const picture *p, const target *t) {
  fputs("<div class=\"tiles\">\n", file);
  html_tile(file, "live in blocks", html_bytes_or(p->all.live, "?"));
  html_tile(file, "committed", html_bytes_or(p->all.committed, "?"));
  html_tile(file, "occupancy", percent_figure(picture_occupancy(&p->all)));
  html_tile(file, "heap in memory", html_bytes_or(p->all.resident, "?"));
  html_tile(file, "process in memory", html_bytes_or(t->rss, "?"));
  html_tile(file, "its peak", html_bytes_or(t->rss_peak, "?"));
  html_tile(file, "spans ever used", html_count(p->all.spans));
  html_tile(file, "limit of the heap", t->limit ? html_bytes_or(t->limit, "?") : html_word("none"));
  fputs("</div>\n", file);
}

/* ---- what the memory is ------------------------------------------------------------------------------------------------ */

typedef struct {
  const char *name, *colour;
  size_t bytes;
} share;

static void put_shares(FILE *file, const picture *p) {
  size_t empty = p->kinds[PICTURE_FREE].committed, lent = p->kinds[PICTURE_LENT].committed,
         used = p->all.committed - empty - lent;
  const share shares[] = {
      {"live blocks", "var(--accent)", p->all.live < used ? p->all.live : used},
      {"free blocks and fresh pages of spans in use", "var(--accent-soft)", p->all.live < used ? used - p->all.live : 0},
      {"spans of a garbage-collected runtime", kinds[PICTURE_LENT].colour, lent},
      {"empty spans, not purged yet", kinds[PICTURE_FREE].colour, empty},
  };
  enum { SHARES = sizeof shares / sizeof *shares };
  fputs("<section>\n<h2>What the memory is</h2>\n<p>Committed bytes: the part of all spans that was written since it was last "
        "given back.</p>\n<div class=\"stack\">",
        file);
  for (int i = 0; i < SHARES; i++)
    fprintf(file, "<i style=\"width:%.2f%%;background:%s\"></i>",
            html_percent((double)shares[i].bytes, (double)p->all.committed), shares[i].colour);
  fputs("</div>\n<div class=\"legend\">", file);
  for (int i = 0; i < SHARES; i++) {
    if (shares[i].bytes == 0) continue;
    fputs("<span>", file);
    html_dot(file, shares[i].colour);
    fprintf(file, "%s <b>%s</b></span>", shares[i].name, html_bytes_or(shares[i].bytes, "?").text);
  }
  fprintf(file, "<span>purged: <b>%s spans</b>, no memory</span></div>\n</section>\n",
          html_count(p->kinds[PICTURE_PURGED].spans).text);
}

/* ---- the map ------------------------------------------------------------------------------------------------------------ */

/* How far the square of a span, or of a part of a run, is filled. */
static double fill_of(const picture_span *s) {
  switch (s->kind) {
  case PICTURE_HOT:
  case PICTURE_FLOATING:
  case PICTURE_REUSABLE:
  case PICTURE_NURSERY:
    return html_percent((double)s->sum.blocks, (double)s->sum.room) / 100;
  case PICTURE_PURGED:
    return 0;
  default:
    return html_percent((double)s->sum.committed, (double)(s->sum.spans << SPAN_SHIFT)) / 100;
  }
}

static void put_title(FILE *file, const picture_span *s) {
  fprintf(file, "<title>span %u", s->index);
  if (s->sum.spans > 1) fprintf(file, " to %zu", s->index + s->sum.spans - 1);
  fprintf(file, ": %s", picture_names[s->kind]);
  if (s->kind <= PICTURE_REUSABLE)
    fprintf(file, ", %zu of %zu blocks of %zu bytes live", s->sum.blocks, s->sum.room, class_size(s->class_index));
  if (s->kind == PICTURE_NURSERY) fprintf(file, ", %zu of %zu cells in use", s->sum.blocks, s->sum.room);
  if (s->kind == PICTURE_LARGE) fprintf(file, ", %s", html_bytes_or(s->sum.live, "?").text);
  fprintf(file, ", %s committed</title>", html_bytes_or(s->sum.committed, "?").text);
}

static void put_square(FILE *file, size_t at, const picture_span *s) {
  size_t x = at % PER_ROW * PITCH + 1, y = at / PER_ROW * PITCH + 1;
  double filled = fill_of(s), height = filled > 1 ? SQUARE : filled * SQUARE;
  if (filled > 0 && height < 1.5) height = 1.5;
  fprintf(file, "<g>");
  put_title(file, s);
  fprintf(file, "<rect class=\"void\" x=\"%zu\" y=\"%zu\" width=\"%d\" height=\"%d\" rx=\"2\"/>", x, y, SQUARE, SQUARE);
  if (filled > 0)
    fprintf(file, "<rect x=\"%zu\" y=\"%.1f\" width=\"%d\" height=\"%.1f\" rx=\"2\" style=\"fill:%s\"/>", x,
            (double)y + SQUARE - height, SQUARE, height, kinds[s->kind].colour);
  fputs("</g>\n", file);
}

/* A square for each span; of a run one for each of its spans; where there are too many, for every n-th span of the arena. */
static void put_map(FILE *file, const picture *p) {
  size_t each = (p->all.spans + SQUARES - 1) / SQUARES, squares = 0;
  if (each == 0) return;
  size_t rows = ((p->all.spans + each - 1) / each + PER_ROW - 1) / PER_ROW;
  fputs(
      "<section>\n<h2>Every span</h2>\n<p>In the order of their addresses; coloured by state, filled as far as the blocks are "
      "live that the span has room for. ",
      file);
  if (each > 1) fprintf(file, "There are many: shown is one of %zu. ", each);
  fprintf(file,
          "Point at one for its figures.</p>\n<svg class=\"map\" viewBox=\"0 0 %d %zu\" role=\"img\" aria-label=\"map of the "
          "spans\">\n",
          PER_ROW * PITCH + 1, rows * PITCH + 1);
  for (size_t i = 0; i < p->count; i++) {
    const picture_span *s = &p->spans[i];
    for (size_t k = 0; k < s->sum.spans; k++)
      if ((s->index - 1 + k) % each == 0) put_square(file, squares++, s);
  }
  fputs("</svg>\n<div class=\"legend\">", file);
  for (int kind = 0; kind < PICTURE_KINDS; kind++) {
    if (p->kinds[kind].spans == 0) continue;
    fputs("<span>", file);
    html_dot(file, kinds[kind].colour);
    fprintf(file, "%s <b>%s</b></span>", picture_names[kind], html_count(p->kinds[kind].spans).text);
  }
  fputs("</div>\n</section>\n", file);
}

/* ---- tables ------------------------------------------------------------------------------------------------------------- */

static void put_number(FILE *file, html_figure figure) { fprintf(file, "<td class=\"n\">%s</td>", figure.text); }

static void put_states(FILE *file, const picture *p) {
  fputs("<section>\n<h2>By state</h2>\n<table>\n<tr><th>state</th><th class=\"n\">spans</th><th class=\"n\">live</th><th "
        "class=\"n\">committed</th><th class=\"n\">in memory</th><th></th></tr>\n",
        file);
  for (int kind = 0; kind < PICTURE_KINDS; kind++) {
    const picture_sum *sum = &p->kinds[kind];
    if (sum->spans == 0) continue;
    fputs("<tr><td style=\"white-space:nowrap\">", file);
    html_dot(file, kinds[kind].colour);
    fprintf(file, "%s</td>", picture_names[kind]);
    put_number(file, html_count(sum->spans));
    put_number(file, kind == PICTURE_LENT ? html_word("?") : html_bytes_or(sum->live, "?"));
    put_number(file, html_bytes_or(sum->committed, "?"));
    put_number(file, html_bytes_or(sum->resident, "?"));
    fprintf(file, "<td class=\"s\">%s</td></tr>\n", kinds[kind].what);
  }
  fputs("</table>\n</section>\n", file);
}

/* A row of the table by size; `most` committed bytes fill the bar. */
static void put_size(FILE *file, html_figure name, const picture_class *row, size_t most) {
  const picture_sum *sum = &row->sum;
  size_t live = sum->live < sum->committed ? sum->live : sum->committed;
  put_number(file, name);
  put_number(file, html_count(sum->spans));
  for (int kind = PICTURE_HOT; kind <= PICTURE_REUSABLE; kind++)
    put_number(file, row->by_kind[kind] ? html_count(row->by_kind[kind]) : html_word(""));
  put_number(file, html_count(sum->blocks));
  put_number(file, html_bytes_or(sum->live, "?"));
  put_number(file, html_bytes_or(sum->committed, "?"));
  put_number(file, html_bytes_or(sum->resident, "?"));
  put_number(file, percent_figure(picture_occupancy(sum)));
  fprintf(file,
          "<td style=\"width:24%%\"><div class=\"two\"><i style=\"width:%.2f%%\"></i><u "
          "style=\"width:%.2f%%\"></u></div></td></tr>\n",
          html_percent((double)live, (double)most), html_percent((double)(sum->committed - live), (double)most));
}

static void put_sizes(FILE *file, const picture *p) {
  size_t most = p->kinds[PICTURE_LARGE].committed;
  for (unsigned c = 0; c < CLASSES; c++)
    if (p->classes[c].sum.committed > most) most = p->classes[c].sum.committed;
  fputs(
      "<section>\n<h2>By size of block</h2>\n<p>The dark part of a bar is live, the light part committed beside that. "
      "Occupancy is "
      "live bytes of committed ones.</p>\n<table>\n<tr><th class=\"n\">block</th><th class=\"n\">spans</th><th "
      "class=\"n\">hot</th>"
      "<th class=\"n\">floating</th><th class=\"n\">reusable</th><th class=\"n\">live blocks</th><th class=\"n\">live</th><th "
      "class=\"n\">committed</th><th class=\"n\">in memory</th><th class=\"n\">occupancy</th><th></th></tr>\n",
      file);
  for (unsigned c = 0; c < CLASSES; c++) {
    if (p->classes[c].sum.spans == 0) continue;
    fputs("<tr>", file);
    put_size(file, html_count(class_size(c)), &p->classes[c], most);
  }
  if (p->kinds[PICTURE_LARGE].spans) {
    fputs("<tr>", file);
    put_size(file, html_word("large"), &(picture_class){.sum = p->kinds[PICTURE_LARGE]}, most);
  }
  fputs("</table>\n</section>\n", file);
}

void report_page(FILE *file, const picture *p, const target *t) {
  html_begin(file, t->name);
  fprintf(file, "%s<p>Process %d%s, ", style, (int)t->pid, t->tracked ? ", on the checked build" : "");
  html_text(file, report_when(p).text);
  fputs("</p>\n", file);
  put_tiles(file, p, t);
  put_shares(file, p);
  put_map(file, p);
  put_states(file, p);
  put_sizes(file, p);
  html_end(
      file,
      "A span is 2 MB of address space for blocks of one size; memory is only what of it was written. Written by scalloc-top.");
}
