/* sweep: what it costs to get the memory of dead objects back. Objects of one size are allocated, all, some or none of them are
 * dropped, a cycle runs, and as many are allocated again, several times over. --eager=1 sweeps everything between cycle and
 * allocation, where the collector can do that on request; otherwise allocation does it. Survivors must keep their content. */
#include "setup.h"

#include <stdlib.h>

static long size = 64, live = 50, megabytes = 64, rounds = 5, eager = 0;

struct result {
  double fill, refill, reclaim, sweep, pause; /* fastest of the rounds, seconds */
  uint64_t spans, refilled;
};

static double least(double a, double b) { return a < b ? a : b; }

/* Every object holds its number. Those that live are spread evenly over all. */
static bool lives(uint64_t i) { return (i * 37 % 100) < (uint64_t)live; }

static uint64_t fill(gc_thread *thread, const gc_type *type, void **objects, uint64_t n) {
  uint64_t made = 0;
  gc_hold(true);
  for (uint64_t i = 0; i < n; i++) {
    if (objects[i]) continue;
    uint64_t *object = gc_new(thread, type);
    *object = i;
    objects[i] = object;
    made++;
  }
  gc_hold(false);
  return made;
}

static void drop(void **objects, uint64_t n) {
  for (uint64_t i = 0; i < n; i++) {
    if (*(uint64_t *)objects[i] != i) program_fail("sweep: an object has changed", 0);
    if (!lives(i)) objects[i] = NULL;
  }
}

static void one_round(gc_thread *self, const gc_type *type, void **objects, uint64_t n, struct result *result) {
  drop(objects, n);
  double began = program_now();
  gc_collect(self);
  double collected = program_now();
  uint64_t spans = eager ? gc_sweep_all(self) : 0;
  double swept = program_now();
  result->refilled = fill(self, type, objects, n);
  result->pause = least(result->pause, collected - began);
  result->reclaim = least(result->reclaim, gc_read_numbers().last_reclaim);
  result->refill = least(result->refill, program_now() - swept);
  if (swept - collected < result->sweep) result->sweep = swept - collected, result->spans = spans;
}

static void report(const struct result *result, uint64_t n, size_t bytes, double seconds) {
  setup_report("sweep", seconds, n);
  report_count("size", (uint64_t)size);
  report_count("live_percent", (uint64_t)live);
  report_count("bytes", n * bytes);
  report_number("fill_ns_per_object", result->fill * 1e9 / (double)n);
  if (result->refilled) report_number("refill_ns_per_object", result->refill * 1e9 / (double)result->refilled);
  report_number("cycle_seconds", result->pause);
  report_number("reclaim_seconds", result->reclaim);
  if (result->spans) {
    report_number("sweep_seconds", result->sweep);
    report_count("spans", result->spans);
    report_number("sweep_spans_per_second", (double)result->spans / result->sweep);
    report_number("sweep_bytes_per_second", (double)n * (double)bytes / result->sweep);
  }
  report_end();
}

int main(int argc, char **argv) {
  const program_option own[] = {{"size", &size, 8, 1 << 20, "bytes of an object"},
                                {"live", &live, 0, 100, "percent of the objects that are kept"},
                                {"megabytes", &megabytes, 1, 1 << 14, "bytes of all objects"},
                                {"rounds", &rounds, 1, 1000, "cycles; the fastest of each part counts"},
                                {"eager", &eager, 0, 1, "1 = sweep before allocating again"},
                                {NULL, NULL, 0, 0, NULL}};
  unsigned mutators;
  gc_thread *self = setup(argc, argv, "Getting the memory of dead objects back.", own, &mutators);
  gc_type type = gc_type_of((size_t)size, 0);
  uint64_t n = ((uint64_t)megabytes << 20) / (uint64_t)size;
  void **objects = gc_root_vector(self, n);
  double began = program_now();
  fill(self, &type, objects, n);
  struct result result = {program_now() - began, 1e9, 1e9, 1e9, 1e9, 0, 0};
  for (long i = 0; i < rounds; i++) one_round(self, &type, objects, n, &result);
  report(&result, n, (size_t)size, program_now() - began);
  return 0;
}
