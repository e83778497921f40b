/*
 * stats.c - scalloc_stats_json, scalloc_stats_prometheus and scalloc_find: what the heap tells about itself.
 */
#include <stdio.h>

#include "large.h"
#include "lend.h"
#include "nursery.h"
#include "options.h"
#include "os.h"
#include "purge.h"
#include "scalloc/scalloc.h"
#include "thread.h"
#include "track.h"
#include "walk.h"

typedef struct {
  walk_totals spans;
  unsigned opened; /* spans below the high-water mark */
  unsigned long long remote_frees, adoptions;
} figures;

static figures figures_now(void) {
  uint32_t high = arena_high_water();
  figures f = {.spans = walk_all(), .opened = high ? high - 1 : 0, .remote_frees = heap_remote_frees_without_heap()};
  for (uint32_t id = 1; id <= heap_count(); id++) {
    f.remote_frees += heap_at(id)->remote_frees;
    f.adoptions += heap_at(id)->adoptions;
  }
  return f;
}

/* All of them, in the order of every text. */
#define FIGURES(f)                                                                                                             \
  (size_t) arena.spans << SPAN_SHIFT, (f).opened, (f).spans.hot, (f).spans.floating, (f).spans.reusable, (f).spans.pooled,     \
      (f).spans.large, (f).spans.live, (f).spans.committed, (f).spans.backed * PAGE, options.limit_bytes, purge_count(),       \
      (f).remote_frees, (f).adoptions

static size_t length_of(int printed) { return printed < 0 ? 0 : (size_t)printed; }

size_t scalloc_stats_json(char *buffer, size_t size) {
  figures f = figures_now();
  return length_of(snprintf(buffer, size,
                            "{\"arena\":{\"reserved_bytes\":%zu,\"spans_opened\":%u},"
                            "\"spans\":{\"hot\":%zu,\"floating\":%zu,\"reusable\":%zu,\"pooled\":%zu,\"large\":%zu},"
                            "\"bytes\":{\"live\":%zu,\"committed\":%zu,\"page_tables\":%zu,\"limit\":%zu},"
                            "\"counts\":{\"purges\":%zu,\"remote_frees\":%llu,\"adoptions\":%llu}}",
                            FIGURES(f)));
}

size_t scalloc_stats_prometheus(char *buffer, size_t size) {
  figures f = figures_now();
  return length_of(snprintf(buffer, size,
                            "# HELP scalloc_arena_reserved_bytes Address space of the arena.\n"
                            "# TYPE scalloc_arena_reserved_bytes gauge\n"
                            "scalloc_arena_reserved_bytes %zu\n"
                            "# HELP scalloc_arena_spans_opened Spans of 2 MiB that were ever used.\n"
                            "# TYPE scalloc_arena_spans_opened gauge\n"
                            "scalloc_arena_spans_opened %u\n"
                            "# HELP scalloc_spans Spans by state.\n"
                            "# TYPE scalloc_spans gauge\n"
                            "scalloc_spans{state=\"hot\"} %zu\n"
                            "scalloc_spans{state=\"floating\"} %zu\n"
                            "scalloc_spans{state=\"reusable\"} %zu\n"
                            "scalloc_spans{state=\"pooled\"} %zu\n"
                            "scalloc_spans{state=\"large\"} %zu\n"
                            "# HELP scalloc_live_bytes Bytes of blocks in use.\n"
                            "# TYPE scalloc_live_bytes gauge\n"
                            "scalloc_live_bytes %zu\n"
                            "# HELP scalloc_committed_bytes Memory of spans that may be backed by pages.\n"
                            "# TYPE scalloc_committed_bytes gauge\n"
                            "scalloc_committed_bytes %zu\n"
                            "# HELP scalloc_page_tables_bytes Page tables of that memory.\n"
                            "# TYPE scalloc_page_tables_bytes gauge\n"
                            "scalloc_page_tables_bytes %zu\n"
                            "# HELP scalloc_limit_bytes SCALLOC_LIMIT_BYTES; 0: no limit.\n"
                            "# TYPE scalloc_limit_bytes gauge\n"
                            "scalloc_limit_bytes %zu\n"
                            "# HELP scalloc_purges_total Spans whose pages went back to the operating system.\n"
                            "# TYPE scalloc_purges_total counter\n"
                            "scalloc_purges_total %zu\n"
                            "# HELP scalloc_remote_frees_total Frees of blocks of another thread's spans.\n"
                            "# TYPE scalloc_remote_frees_total counter\n"
                            "scalloc_remote_frees_total %llu\n"
                            "# HELP scalloc_adoptions_total Spans of ended threads that others took over.\n"
                            "# TYPE scalloc_adoptions_total counter\n"
                            "scalloc_adoptions_total %llu\n",
                            FIGURES(f)));
}

/* In a cell that no heap has, all of it is a block that is not live. */
static bool find_in_cell(const span *s, const void *address, scalloc_block *out) {
  heap *h = cell_heap(s, address);
  if (h != NULL) return nursery_find(h, address, out);
  *out = (scalloc_block){.start = cell_of(address), .size = CELL_BYTES};
  return true;
}

bool scalloc_find(const void *address, scalloc_block *out) {
  span *s = span_of(address);
  if (s == NULL) return false;
  span_state state = span_state_now(s);
  if (state != SPAN_HOT && state != SPAN_FLOATING && state != SPAN_REUSABLE) { /* not every span of a long block has a mark */
    span *head = state == SPAN_LARGE || state == SPAN_LENT ? s : large_head(s);
    if (head && span_state_now(head) == SPAN_LENT) return lend_registered()->find(head, address, out);
    if (head == NULL || (size_t)((const char *)address - span_start(head)) >= head->large_bytes) return false;
    *out = (scalloc_block){.start = span_start(head), .size = head->large_bytes, .live = true};
    return TRACKED ? track_describe_large(head, address, out) : true;
  }
  if (state == SPAN_HOT && span_is_nursery(s)) return find_in_cell(s, address, out);
  size_t offset = (size_t)((const char *)address - span_start(s));
  if (offset < s->first) return false;
  uint32_t index = class_block_index(s->class_index, offset - s->first);
  if (s->first + (size_t)(index + 1) * s->block > SPAN_BYTES) return false;
  heap *owner = owner_heap(word_load_acquire(&s->owner));
  out->start = span_start(s) + s->first + (size_t)index * s->block;
  out->size = s->block;
  heap_kind kind = owner ? heap_kind_of(owner) : HEAP_THREAD;
  out->heap = kind == HEAP_USER || kind == HEAP_EXCLUSIVE ? owner : NULL;
  if (TRACKED)
    track_describe(out);
  else
    out->live = !walk_is_free(s, index);
  return true;
}

/* For people, as scalloc_stats_json otherwise. */
static size_t stats_text(char *buffer, size_t size) {
  figures f = figures_now();
  return length_of(snprintf(buffer, size,
                            "scalloc: of %zu bytes address space %u spans of 2 MB were used: "
                            "%zu hot, %zu floating, %zu reusable, %zu pooled, %zu large\n"
                            "scalloc: %zu bytes live, %zu committed, %zu of page tables; limit %zu\n"
                            "scalloc: %zu spans purged, %llu remote frees, %llu spans adopted",
                            FIGURES(f)));
}

__attribute__((destructor)) static void report_at_exit(void) {
  char text[4096];
  size_t n;
  if (options.stats == STATS_NONE || arena_high_water() == 0) return;
  if (options.stats == STATS_PROMETHEUS)
    n = scalloc_stats_prometheus(text, sizeof text - 1);
  else
    n = options.stats == STATS_TEXT ? stats_text(text, sizeof text - 1) : scalloc_stats_json(text, sizeof text - 1);
  if (n == 0) return; /* printing failed */
  if (n >= sizeof text - 1) n = sizeof text - 2;
  if (text[n - 1] != '\n') text[n++] = '\n';
  os_write_stderr(text, n);
}
