/* pause: how long scalloc_rt_cycle_begin and scalloc_rt_cycle_end take, with so many spans, mutators and slots. In every cycle one
 * block of each span is marked, so that all stay. */
#include "raw.h"

#include <errno.h>
#include <stdlib.h>

enum { MOST_ROUNDS = 1000, MOST_MUTATORS = 64 };

static long spans = 512, mutators = 1, slots = 64, rounds = 50;
static double begins[MOST_ROUNDS], ends[MOST_ROUNDS];

struct refs {
  scalloc_rt_ref *items;
  uint64_t n, room;
};

static void keep_first(void *ud, scalloc_rt_ref ref, void *block) {
  struct refs *refs = ud;
  (void)block;
  if (ref.block == 0 && refs->n < refs->room) refs->items[refs->n++] = ref;
}

/* A hole in every slot of every mutator. */
static void hold_holes(struct raw *raw, scalloc_rt_mutator *mutator, int kind) {
  for (long i = 0; i < slots; i++) {
    size_t rounded;
    unsigned slot = scalloc_rt_slot(raw->heap, kind, 16 * (size_t)(i + 1), &rounded);
    if (slot == SCALLOC_RT_NO_SLOT || !scalloc_rt_alloc(mutator, slot, rounded)) program_fail("hole", errno);
  }
}

static void one_round(struct raw *raw, const struct refs *refs, long i) {
  double began = program_now();
  scalloc_rt_cycle_begin(raw->heap);
  double begun = program_now();
  uint64_t marked = 0;
  for (uint64_t k = 0; k < refs->n; k++) marked += scalloc_rt_mark(refs->items[k]);
  if (marked != refs->n) program_fail("pause: a block was not marked exactly once", 0);
  double ending = program_now();
  scalloc_rt_cycle_end(raw->heap);
  begins[i] = begun - began, ends[i] = program_now() - ending;
}

int main(int argc, char **argv) {
  const program_option options[] = {{"spans", &spans, 1, 1 << 18, "spans besides those in the mutators' hands"},
                                    {"mutators", &mutators, 1, MOST_MUTATORS, "mutators"},
                                    {"slots", &slots, 1, 400, "slots each mutator has a hole of"},
                                    {"rounds", &rounds, 1, MOST_ROUNDS, "cycles; the median counts"},
                                    {NULL, NULL, 0, 0, NULL}};
  program_options(argc, argv, "Begin and end of a cycle.", options);
  struct raw raw;
  raw_open(&raw, SCALLOC_RT_NOSCAN, 64);
  struct refs refs = {.items = malloc((size_t)spans * sizeof *refs.items), .room = (uint64_t)spans};
  if (!refs.items) program_fail("list of blocks", errno);
  raw_fill(&raw, (uint64_t)spans, keep_first, &refs);
  scalloc_rt_kind_conf conf = {.size = sizeof conf, .flags = SCALLOC_RT_NOSCAN};
  int kind = scalloc_rt_kind_new(raw.heap, &conf);
  for (long i = 0; i < mutators; i++) {
    scalloc_rt_mutator *mutator = i ? scalloc_rt_attach(raw.heap, NULL) : raw.mutator;
    if (kind < 0 || !mutator) program_fail("mutator", errno);
    hold_holes(&raw, mutator, kind);
  }
  for (long i = 0; i < rounds; i++) one_round(&raw, &refs, i);
  report_begin("pause");
  report_count("spans", raw.spans);
  report_count("mutators", (uint64_t)mutators);
  report_count("slots", (uint64_t)slots);
  report_number("begin_us", raw_median(begins, (unsigned)rounds) * 1e6);
  report_number("end_us", raw_median(ends, (unsigned)rounds) * 1e6);
  report_end();
  return 0;
}
