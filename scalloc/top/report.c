/*
 * report.c - the picture as text for a terminal.
 */
#include "report.h"

#include <stdlib.h>
#include <string.h>

enum { BAR_LEAST = 5, BAR_MOST = 20, LINE = 256, FIXED_LINES = 9 };

html_figure report_when(const picture *p) {
  html_figure f = html_word("");
  struct tm local;
  if (localtime_r(&p->time, &local)) strftime(f.text, sizeof f.text, p->at_end ? "at its end, %F %T" : "on %F at %T", &local);
  return f;
}

/* ---- text ------------------------------------------------------------------------------------------------------------- */

static void put_line(FILE *file, const char *line, report_room room) {
  int most = room.columns > 0 && room.columns < LINE ? (int)room.columns : LINE;
  if ((size_t)most < strlen(line))
    while (most > 0 && ((unsigned char)line[most] & 0xc0) == 0x80) most--; /* no part of a character */
  fprintf(file, "%.*s\n", most, line);
}

/* How full, as a bar of fixed width. Nothing else on its line is other than ASCII, so columns are bytes without it. */
static void put_row(FILE *file, const char *name, const picture_class *row, const char *mixed, report_room room) {
  char line[LINE];
  double full = picture_occupancy(&row->sum);
  int n = 0;
  if (mixed)
    n = snprintf(line, sizeof line, "%10s %6zu %s ", name, row->sum.spans, mixed);
  else
    n = snprintf(line, sizeof line, "%10s %6zu %5zu %5zu %5zu ", name, row->sum.spans, row->by_kind[PICTURE_HOT],
                 row->by_kind[PICTURE_FLOATING], row->by_kind[PICTURE_REUSABLE]);
  n += snprintf(line + n, sizeof line - (size_t)n, "%11zu %8s %9s %8s", row->sum.blocks, html_bytes((double)row->sum.live).text,
                html_bytes((double)row->sum.committed).text, html_bytes_or(row->sum.resident, "-").text);
  if (row->sum.live > 0 || row->sum.blocks > 0) n += snprintf(line + n, sizeof line - (size_t)n, " %4.0f %% ", full);
  bool bar = (row->sum.live > 0 || row->sum.blocks > 0) && (room.columns == 0 || room.columns >= (unsigned)n + BAR_LEAST);
  if (!bar) {
    put_line(file, line, room);
    return;
  }
  fputs(line, file);
  int length = room.columns == 0 || room.columns > (unsigned)n + BAR_MOST ? BAR_MOST : (int)room.columns - n;
  for (int i = 0; i < length; i++) {
    bool filled = full >= 100.0 * (i + 0.5) / length;
    fputs(room.bars ? (filled ? "\xe2\x96\x88" : "\xe2\x96\x91") : filled ? "#" : ".", file);
  }
  fputc('\n', file);
}

static void put_head(FILE *file, const picture *p, const target *t, report_room room) {
  char line[LINE];
  if (p->file) fprintf(file, "%s: kept %s\n", p->file, report_when(p).text);
  snprintf(line, sizeof line, "process %d  %s%s", (int)t->pid, t->name, t->tracked ? "  (checked build)" : "");
  put_line(file, line, room);
  snprintf(line, sizeof line, "live %s   committed %s   resident %s   occupancy %.0f %%", html_bytes((double)p->all.live).text,
           html_bytes((double)p->all.committed).text, html_bytes_or(p->all.resident, "-").text, picture_occupancy(&p->all));
  put_line(file, line, room);
  snprintf(line, sizeof line, "process: resident %s, peak %s, page tables %s; limit of the heap %s",
           html_bytes((double)t->rss).text, html_bytes((double)t->rss_peak).text, html_bytes((double)t->page_tables).text,
           t->limit ? html_bytes((double)t->limit).text : "none");
  put_line(file, line, room);
  int n = snprintf(line, sizeof line, "spans of 2 MB: %zu ever used:", p->all.spans), first = n;
  for (int kind = 0; kind < PICTURE_KINDS; kind++)
    if (p->kinds[kind].spans)
      n += snprintf(line + n, sizeof line - (size_t)n, "%s %s %zu", n > first ? "," : "", picture_names[kind],
                    p->kinds[kind].spans);
  put_line(file, line, room);
  fputc('\n', file);
  put_line(file, "     block  spans   hot float reuse live blocks     live committed resident occupancy", room);
}

/* Committed bytes from which on a class is shown, so that at most `most` are. */
static size_t least_shown(const picture *p, size_t most) {
  size_t least = 0;
  for (;;) {
    size_t shown = 0, next = SIZE_MAX;
    for (unsigned c = 0; c < CLASSES; c++) {
      if (p->classes[c].sum.spans == 0 || p->classes[c].sum.committed < least) continue;
      shown++;
      if (p->classes[c].sum.committed < next) next = p->classes[c].sum.committed;
    }
    if (shown <= most) return least;
    least = next + 1;
  }
}

void report_text(FILE *file, const picture *p, const target *t, report_room room) {
  static const char none[] = "    -     -     -";
  size_t left_out = 0, left_bytes = 0, others = 0;
  for (int kind = PICTURE_NURSERY; kind < PICTURE_KINDS; kind++) others += p->kinds[kind].spans != 0;
  size_t room_for = room.rows == 0 ? CLASSES : room.rows > FIXED_LINES + others ? room.rows - FIXED_LINES - others : 1;
  size_t least = least_shown(p, room_for);
  put_head(file, p, t, room);
  for (unsigned c = 0; c < CLASSES; c++) {
    const picture_class *row = &p->classes[c];
    char name[16];
    if (row->sum.spans == 0) continue;
    if (row->sum.committed < least) {
      left_out++;
      left_bytes += row->sum.committed;
      continue;
    }
    snprintf(name, sizeof name, "%zu", class_size(c));
    put_row(file, name, row, NULL, room);
  }
  for (int kind = PICTURE_NURSERY; kind < PICTURE_KINDS; kind++)
    if (p->kinds[kind].spans) put_row(file, picture_names[kind], &(picture_class){.sum = p->kinds[kind]}, none, room);
  if (left_out) {
    char line[LINE];
    snprintf(line, sizeof line, "  and %zu classes with %s committed", left_out, html_bytes((double)left_bytes).text);
    put_line(file, line, room);
  }
}
