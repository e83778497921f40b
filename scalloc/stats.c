/*
 * stats.c - scalloc_stats_json and scalloc_find: what the heap tells about itself.
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

size_t scalloc_stats_json(char *buffer, size_t size) {
  walk_totals t = walk_all();
  uint64_t remote = heap_remote_frees_without_heap(), adoptions = 0;
  uint32_t high = arena_high_water();
  for (uint32_t id = 1; id <= heap_count(); id++) {
    remote += heap_at(id)->remote_frees;
    adoptions += heap_at(id)->adoptions;
  }
  int n = snprintf(buffer, size,
                   "{\"arena\":{\"reserved_bytes\":%zu,\"spans_opened\":%u},"
                   "\"spans\":{\"hot\":%zu,\"floating\":%zu,\"reusable\":%zu,\"pooled\":%zu,\"large\":%zu},"
                   "\"bytes\":{\"live\":%zu,\"committed\":%zu,\"page_tables\":%zu,\"limit\":%zu},"
                   "\"counts\":{\"purges\":%zu,\"remote_frees\":%llu,\"adoptions\":%llu}}",
                   (size_t)arena.spans << SPAN_SHIFT, high ? high - 1 : 0, t.hot, t.floating, t.reusable, t.pooled, t.large,
                   t.live, t.committed, t.backed * PAGE, options.limit_bytes, purge_count(), (unsigned long long)remote,
                   (unsigned long long)adoptions);
  return n < 0 ? 0 : (size_t)n;
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

__attribute__((destructor)) static void report_at_exit(void) {
  char text[1024];
  if (!options.stats || arena_high_water() == 0) return;
  size_t n = scalloc_stats_json(text, sizeof text - 1);
  if (n >= sizeof text - 1) n = sizeof text - 2;
  text[n++] = '\n';
  os_write_stderr(text, n);
}
