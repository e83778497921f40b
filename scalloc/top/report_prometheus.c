/*
 * report_prometheus.c - the picture in the text format of Prometheus. Names that scalloc_stats_prometheus has too mean the same but
 * for states that are told apart here: pooled spans are free or purged, those of young Lua heaps nursery, not hot, and those of
 * garbage-collected runtimes lent, not hot, floating, reusable or large. Live bytes have nothing of lent spans, which only the
 * runtime can tell, and are those of whole blocks also of checked builds.
 */
#include "report.h"

/* HELP and TYPE of the samples that follow. */
static void put_family(FILE *file, const char *name, const char *help) {
  fprintf(file, "# HELP scalloc_%s %s\n# TYPE scalloc_%s gauge\n", name, help, name);
}

static void put_one(FILE *file, const target *t, const char *name, const char *help, size_t value) {
  if (value == SIZE_MAX) return; /* not known */
  put_family(file, name, help);
  fprintf(file, "scalloc_%s{pid=\"%d\"} %zu\n", name, (int)t->pid, value);
}

static void put_states(FILE *file, const picture *p, const target *t) {
  put_family(file, "spans", "Spans by state.");
  for (int kind = 0; kind < PICTURE_KINDS; kind++)
    fprintf(file, "scalloc_spans{pid=\"%d\",state=\"%s\"} %zu\n", (int)t->pid, picture_names[kind], p->kinds[kind].spans);
}

static void put_classes(FILE *file, const picture *p, const target *t) {
  static const struct {
    const char *name, *help;
    size_t at; /* in a picture_sum */
  } families[] = {
      {"class_spans", "Spans by size of block.", offsetof(picture_sum, spans)},
      {"class_live_blocks", "Blocks in use by their size.", offsetof(picture_sum, blocks)},
      {"class_live_bytes", "Bytes of blocks in use by their size.", offsetof(picture_sum, live)},
      {"class_committed_bytes", "Memory of spans that may be backed by pages, by size of block.",
       offsetof(picture_sum, committed)},
  };
  for (size_t f = 0; f < sizeof families / sizeof *families; f++) {
    put_family(file, families[f].name, families[f].help);
    for (unsigned c = 0; c < CLASSES; c++)
      if (p->classes[c].sum.spans)
        fprintf(file, "scalloc_%s{pid=\"%d\",block=\"%zu\"} %zu\n", families[f].name, (int)t->pid, class_size(c),
                *(const size_t *)((const char *)&p->classes[c].sum + families[f].at));
  }
}

void report_prometheus(FILE *file, const picture *p, const target *t) {
  put_one(file, t, "arena_reserved_bytes", "Address space of the arena.", (size_t)t->arena.spans << SPAN_SHIFT);
  put_one(file, t, "arena_spans_opened", "Spans of 2 MiB that were ever used.", p->all.spans);
  put_states(file, p, t);
  put_one(file, t, "live_blocks", "Blocks in use.", p->all.blocks);
  put_one(file, t, "live_bytes", "Bytes of blocks in use.", p->all.live);
  put_one(file, t, "committed_bytes", "Memory of spans that may be backed by pages.", p->all.committed);
  put_one(file, t, "resident_bytes", "Memory of spans that is backed by pages.", p->all.resident);
  put_one(file, t, "limit_bytes", "SCALLOC_LIMIT_BYTES; 0: no limit.", t->limit);
  put_one(file, t, "process_resident_bytes", "Memory of the process as a whole.", t->rss);
  put_one(file, t, "process_resident_peak_bytes", "The most that was.", t->rss_peak);
  put_one(file, t, "process_page_tables_bytes", "Page tables of the process.", t->page_tables);
  put_classes(file, p, t);
}
