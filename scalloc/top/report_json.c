/*
 * report_json.c - the picture as JSON: sums for whoever reads it, and every span, of which snapshot.c makes the picture again.
 */
#include "report.h"
#include "snapshot.h"

static void put_resident(FILE *file, size_t bytes) {
  if (bytes == SIZE_MAX)
    fputs("\"resident\":null", file);
  else
    fprintf(file, "\"resident\":%zu", bytes);
}

static void put_sum(FILE *file, const picture_sum *sum) {
  fprintf(file, "\"spans\":%zu,\"blocks\":%zu,\"room\":%zu,\"live\":%zu,\"committed\":%zu,", sum->spans, sum->blocks, sum->room,
          sum->live, sum->committed);
  put_resident(file, sum->resident);
}

static void put_string(FILE *file, const char *text) {
  fputc('"', file);
  for (; *text; text++) {
    if (*text == '"' || *text == '\\') fputc('\\', file);
    fputc(*text, file); /* UTF-8 without control characters: target_clean_name */
  }
  fputc('"', file);
}

/* A span, or a run of them, behind the one before. */
static void put_span(FILE *file, const picture_span *one, bool first) {
  fprintf(file, "%s{\"state\":\"%s\",", first ? "" : ",", picture_names[one->kind]);
  if (one->kind <= PICTURE_REUSABLE) fprintf(file, "\"block\":%zu,", class_size(one->class_index));
  put_sum(file, &one->sum);
  fputc('}', file);
}

void report_json(FILE *file, const picture *p, const target *t) {
  fprintf(file, "{\"pid\":%d,\"format\":%d,\"time\":%lld,\"at_end\":%s,\"name\":", (int)t->pid, SNAPSHOT_FORMAT,
          (long long)p->time, p->at_end ? "true" : "false");
  put_string(file, t->name);
  fprintf(file,
          ",\"checked\":%s,\"arena\":{\"reserved_bytes\":%zu,\"spans_opened\":%zu,\"limit\":%zu},"
          "\"process\":{\"resident\":%zu,\"peak\":%zu,\"page_tables\":%zu},\"heap\":{",
          t->tracked ? "true" : "false", (size_t)t->arena.spans << SPAN_SHIFT, p->all.spans, t->limit, t->rss, t->rss_peak,
          t->page_tables);
  put_sum(file, &p->all);
  fputs("},\"states\":{", file);
  for (int kind = 0; kind < PICTURE_KINDS; kind++) {
    fprintf(file, "%s\"%s\":{", kind ? "," : "", picture_names[kind]);
    put_sum(file, &p->kinds[kind]);
    fputc('}', file);
  }
  fputs("},\"classes\":[", file);
  bool first = true;
  for (unsigned c = 0; c < CLASSES; c++) {
    const picture_class *row = &p->classes[c];
    if (row->sum.spans == 0) continue;
    fprintf(file, "%s{\"block\":%zu,\"hot\":%zu,\"floating\":%zu,\"reusable\":%zu,", first ? "" : ",", class_size(c),
            row->by_kind[PICTURE_HOT], row->by_kind[PICTURE_FLOATING], row->by_kind[PICTURE_REUSABLE]);
    put_sum(file, &row->sum);
    fputc('}', file);
    first = false;
  }
  fputs("],\"map\":[", file);
  for (size_t i = 0; i < p->count; i++) put_span(file, &p->spans[i], i == 0);
  fputs("]}\n", file);
}
