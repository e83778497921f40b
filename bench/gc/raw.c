#include "raw.h"

#include <errno.h>
#include <stdlib.h>

static void on_acquire(void *ud, scalloc_rt_span span, const scalloc_rt_span_info *info) {
  struct raw *raw = ud;
  (void)span, (void)info;
  raw->spans++;
}

void raw_open(struct raw *raw, unsigned kind_flags, size_t size) {
  scalloc_rt_heap_conf conf = {.size = sizeof conf, .hooks = {.span_acquire = on_acquire}, .ud = raw};
  scalloc_rt_kind_conf kind_conf = {.size = sizeof kind_conf, .flags = kind_flags};
  raw->spans = 0;
  raw->heap = scalloc_rt_heap_create(&conf);
  if (!raw->heap) program_fail("heap", errno);
  int kind = scalloc_rt_kind_new(raw->heap, &kind_conf);
  raw->slot = kind < 0 ? SCALLOC_RT_NO_SLOT : scalloc_rt_slot(raw->heap, kind, size, &raw->rounded);
  if (raw->slot == SCALLOC_RT_NO_SLOT) program_fail("slot", errno);
  raw->mutator = scalloc_rt_attach(raw->heap, raw);
  if (!raw->mutator) program_fail("mutator", errno);
}

uint64_t raw_fill(struct raw *raw, uint64_t spans, void (*seen)(void *ud, scalloc_rt_ref ref, void *block), void *ud) {
  const scalloc_rt_hole *hole = &raw->mutator->hole[raw->slot];
  uint64_t blocks = 0;
  while (raw->spans < spans || hole->cur + raw->rounded <= hole->lim) {
    scalloc_rt_ref ref;
    void *block = scalloc_rt_alloc(raw->mutator, raw->slot, raw->rounded);
    if (!block) program_fail("block", errno);
    blocks++;
    if (!seen) continue;
    if (!scalloc_rt_resolve(raw->heap, block, false, &ref)) program_fail("a new block is not in the heap", 0);
    seen(ud, ref, block);
  }
  return blocks;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

double raw_median(double *values, unsigned n) {
  qsort(values, n, sizeof *values, by_value);
  return values[n / 2];
}
