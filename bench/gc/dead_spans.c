/* dead_spans: sweeping spans without a mark. Nanoseconds a span must not depend on how many blocks a span has, and no block may be
 * touched: with --protect=1 the blocks are made inaccessible while scalloc_rt_sweep runs, so that a touch ends the program. */
#include "raw.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static long spans = 512, size = 64, protect = 0, written = 1;

static uintptr_t page;

/* The whole pages within a span's blocks. */
static int set_access(void *ud, scalloc_rt_span span, const scalloc_rt_span_info *info) {
  const int *access = ud;
  uintptr_t from = ((uintptr_t)info->start + page - 1) & ~(page - 1),
            to = ((uintptr_t)info->start + info->blocks * info->block_size) & ~(page - 1);
  (void)span;
  if (to > from && mprotect((void *)from, to - from, *access) != 0) program_fail("mprotect", errno);
  return 0;
}

static void write_block(void *ud, scalloc_rt_ref ref, void *block) {
  (void)ud, (void)ref;
  *(volatile uint32_t *)block = 1;
}

int main(int argc, char **argv) {
  const program_option options[] = {{"spans", &spans, 1, 1 << 18, "spans"},
                                    {"size", &size, 16, 1 << 20, "bytes of a block"},
                                    {"written", &written, 0, 1, "1 = blocks have been written to, and are backed"},
                                    {"protect", &protect, 0, 1, "1 = any access to a block ends the program"},
                                    {NULL, NULL, 0, 0, NULL}};
  program_options(argc, argv, "Sweeping spans without a mark.", options);
  page = (uintptr_t)sysconf(_SC_PAGESIZE);
  struct raw raw;
  raw_open(&raw, SCALLOC_RT_NOSCAN, (size_t)size);
  uint64_t blocks = raw_fill(&raw, (uint64_t)spans, written ? write_block : NULL, NULL);
  scalloc_rt_retire(raw.mutator);
  scalloc_rt_cycle_begin(raw.heap);
  scalloc_rt_cycle_end(raw.heap);
  int none = PROT_NONE;
  if (protect) scalloc_rt_each_span(raw.heap, SCALLOC_RT_ANY, set_access, &none);
  double began = program_now();
  uint64_t swept = scalloc_rt_sweep(raw.heap, NULL, SIZE_MAX);
  double seconds = program_now() - began;
  if (swept != raw.spans) program_fail("dead_spans: not all spans were swept", 0);
  report_begin("dead_spans");
  report_count("spans", swept);
  report_count("blocks", blocks);
  report_count("size", (uint64_t)size);
  report_number("ns_per_span", seconds * 1e9 / (double)swept);
  report_number("bytes_per_second", (double)blocks * (double)raw.rounded / seconds);
  report_end();
  return 0;
}
