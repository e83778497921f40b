/* Not loads but probes: how long single calls take, and whether a call costs more in a larger heap. */
#include "probes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- latency: each call by itself, in nanoseconds less what reading the clock takes; a histogram of bounded error */

enum { SUB = 16, BUCKETS = 40 * SUB };

typedef struct {
  uint64_t counts[BUCKETS], total, most;
} histogram;

static long lt_calls = 2000000, lt_live = 20000, lt_most = 1024;
static histogram of_malloc, of_free;

const program_option latency_options[] = {{"calls", &lt_calls, 1000, 1000000000, "of malloc, and as many of free"},
                                          {"live", &lt_live, 1, 100000000, "live blocks"},
                                          {"most", &lt_most, 16, 1 << 22, "bytes of the largest block; the smallest has 16"},
                                          {NULL, NULL, 0, 0, NULL}};

static uint64_t nanoseconds(void) { return (uint64_t)(program_now() * 1e9); }

static unsigned bucket_of(uint64_t ns) {
  if (ns < SUB) return (unsigned)ns;
  unsigned doublings = 63 - (unsigned)__builtin_clzll(ns) - 4; /* of SUB */
  unsigned bucket = (doublings + 1) * SUB + (unsigned)(ns >> doublings) % SUB;
  return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

static uint64_t bucket_start(unsigned bucket) {
  if (bucket < SUB) return bucket;
  return (uint64_t)(SUB + bucket % SUB) << (bucket / SUB - 1);
}

static void note(histogram *h, uint64_t ns) {
  h->counts[bucket_of(ns)]++;
  h->total++;
  if (ns > h->most) h->most = ns;
}

static uint64_t quantile(const histogram *h, double q) {
  uint64_t wanted = (uint64_t)(q * (double)h->total), seen = 0;
  for (unsigned i = 0; i < BUCKETS; i++) {
    seen += h->counts[i];
    if (seen > wanted) return bucket_start(i);
  }
  return h->most;
}

static uint64_t cost_of_the_clock(void) {
  uint64_t least = UINT64_MAX;
  for (unsigned i = 0; i < 10000; i++) {
    uint64_t began = nanoseconds(), took = nanoseconds() - began;
    if (took < least) least = took;
  }
  return least;
}

static void note_since(histogram *h, uint64_t began, uint64_t clock) {
  uint64_t took = nanoseconds() - began;
  note(h, took > clock ? took - clock : 0);
}

void latency_work(load_thread *thread) {
  void **blocks = calloc((size_t)lt_live, sizeof *blocks);
  if (!blocks) program_fail("latency", errno);
  histogram *mallocs = calloc(2, sizeof *mallocs), *frees = mallocs + 1;
  if (!mallocs) program_fail("latency", errno);
  uint64_t clock = cost_of_the_clock();
  for (long i = 0; i < lt_calls; i++) {
    void **place = &blocks[load_between(&thread->random, 0, (size_t)lt_live - 1)];
    size_t size = load_skewed(&thread->random, 16, (size_t)lt_most);
    uint64_t began = nanoseconds();
    free(*place);
    if (*place) note_since(frees, began, clock);
    began = nanoseconds();
    *place = malloc(size);
    note_since(mallocs, began, clock);
    if (!*place) program_fail("latency", errno);
    *(char *)*place = 1;
  }
  for (long i = 0; i < lt_live; i++) free(blocks[i]);
  free(blocks);
  if (thread->index == 0) of_malloc = mallocs[0], of_free = mallocs[1];
  free(mallocs);
  thread->operations += (uint64_t)lt_calls;
}

static void report_histogram(const char *call, const histogram *h) {
  static const struct {
    const char *name;
    double q;
  } asked[] = {{"p50", 0.5}, {"p99", 0.99}, {"p99_9", 0.999}, {"p99_99", 0.9999}};
  char key[32];
  for (unsigned i = 0; i < sizeof asked / sizeof *asked; i++) {
    snprintf(key, sizeof key, "%s_%s_ns", call, asked[i].name);
    report_count(key, quantile(h, asked[i].q));
  }
  snprintf(key, sizeof key, "%s_most_ns", call);
  report_count(key, h->most);
}

void latency_end(unsigned threads) {
  (void)threads;
  report_histogram("malloc", &of_malloc);
  report_histogram("free", &of_free);
}

/* ---- growth: a block replaced at random, among 10^3, 10^4 ... live ones; beside it the cost of just visiting one at random */

static long gr_most = 7, gr_operations = 1000000;
static double replace_ns[10], visit_ns[10];

const program_option growth_options[] = {{"most", &gr_most, 3, 9, "log 10 of the most live blocks"},
                                         {"operations", &gr_operations, 1000, 1000000000, "at each number"},
                                         {NULL, NULL, 0, 0, NULL}};

static void grow_to(load_thread *thread, long log, size_t n) {
  char **blocks = load_allocate(n * sizeof *blocks);
  for (size_t i = 0; i < n; i++) blocks[i] = load_allocate(load_between(&thread->random, 16, 64));
  double began = program_now();
  for (long i = 0; i < gr_operations; i++) {
    char **place = &blocks[load_between(&thread->random, 0, n - 1)];
    size_t size = load_between(&thread->random, 16, 64);
    free(*place);
    *place = load_allocate(size);
  }
  double replaced = program_now();
  for (long i = 0; i < gr_operations; i++) {
    volatile char *block = blocks[load_between(&thread->random, 0, n - 1)];
    load_between(&thread->random, 16, 64); /* as above */
    *block = (char)(*block + 1);
  }
  if (thread->index == 0) {
    replace_ns[log] = (replaced - began) / (double)gr_operations * 1e9;
    visit_ns[log] = (program_now() - replaced) / (double)gr_operations * 1e9;
  }
  for (size_t i = 0; i < n; i++) free(blocks[i]);
  free(blocks);
  thread->operations += n + (uint64_t)gr_operations;
}

void growth_work(load_thread *thread) {
  size_t n = 1000;
  for (long log = 3; log <= gr_most; log++, n *= 10) grow_to(thread, log, n);
}

void growth_end(unsigned threads) {
  (void)threads;
  char key[32];
  for (long log = 3; log <= gr_most; log++) {
    snprintf(key, sizeof key, "replace_ns_10_%ld", log);
    report_number(key, replace_ns[log]);
    snprintf(key, sizeof key, "visit_ns_10_%ld", log);
    report_number(key, visit_ns[log]);
  }
}
