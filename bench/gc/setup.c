/* Options and report of the programs for both collectors. */
#include "setup.h"

#include <stddef.h>

enum { MOST_OWN = 8 };

static long mutators = 1, markers = 0, factor = 75, shrink = 0, least = 4096, queue = 16, divisor = 0, interior = 1;

static const program_option common[] = {
    {"mutators", &mutators, 1, 64, "threads that allocate"},
    {"markers", &markers, 0, 16, "threads that mark; 0 = as many as cores"},
    {"interior", &interior, 0, 1, "libgc: 1 = pointers into objects count"},
    {"divisor", &divisor, 0, 1000, "libgc: free space divisor; 0 = its default"},
    {"factor", &factor, 10, 1000, "scalloc: allocation that starts a cycle, in percent of what lives"},
    {"shrink", &shrink, 0, 100, "scalloc: percent by which the heap may get smaller from cycle to cycle"},
    {"least", &least, 64, 1 << 20, "scalloc: but at least so many KB"},
    {"queue", &queue, 1, 256, "scalloc: objects fetched ahead, a power of two"},
    {NULL, NULL, 0, 0, NULL},
};

gc_thread *setup(int argc, char **argv, const char *what, const program_option *own, unsigned *mutators_wanted) {
  program_option all[MOST_OWN + sizeof common / sizeof *common];
  size_t n = 0;
  while (own->name && n < MOST_OWN) all[n++] = *own++;
  for (size_t i = 0; i < sizeof common / sizeof *common; i++) all[n++] = common[i];
  program_options(argc, argv, what, all);
  if (queue & (queue - 1)) program_fail("--queue needs a power of two", 0);
  gc_conf conf = {.markers = (unsigned)markers,
                  .factor = (unsigned)factor,
                  .shrink = (unsigned)shrink,
                  .least = (size_t)least * 1024,
                  .queue = (unsigned)queue,
                  .divisor = (unsigned)divisor,
                  .interior = interior};
  *mutators_wanted = (unsigned)mutators;
  return gc_start(&conf);
}

void setup_report(const char *program, double seconds, uint64_t objects) {
  gc_numbers numbers = gc_read_numbers();
  report_begin(program);
#ifdef BENCH_LIBGC
  report_text("collector", "libgc");
#else
  report_text("collector", "scalloc");
#endif
  report_count("mutators", (uint64_t)mutators);
  report_count("markers", (uint64_t)markers);
  report_number("seconds", seconds);
  report_count("objects", objects);
  report_count("collections", numbers.collections);
  report_count("marked", numbers.marked);
  report_number("mark_seconds", numbers.mark_seconds);
  report_number("pause_seconds", numbers.pause_seconds);
  report_number("longest_pause_seconds", numbers.longest_pause);
}
