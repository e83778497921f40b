/* counted.c - the counters of counted.h, and one JSON object of their sums at exit, in the file that SCALLOC_COUNTS names. */
#include <stdio.h>
#include <stdlib.h>

#include "counted.h"

enum { THREADS = 1024 }; /* those beyond share the last place, which is then too low */

static struct { counted of; } aligned_to(256) all[THREADS];
static volatile word_t threads;
static __thread counted *own __attribute__((tls_model("initial-exec")));

counted *counted_own(void) {
  if (own == NULL) {
    word_t n = (word_add_full)(&threads, 1);
    own = &all[n < THREADS ? n : THREADS - 1].of;
  }
  return own;
}

static void add(uint64_t *sum, const counted *one) {
  for (size_t i = 0; i < sizeof *one / sizeof *sum; i++) sum[i] += ((const uint64_t *)(const void *)one)[i];
}

__attribute__((destructor)) static void report(void) {
  static const char *const places[COUNTED_PLACES] = {"span", "pool", "lock", "other"};
  const char *name = getenv("SCALLOC_COUNTS");
  FILE *file = name ? fopen(name, "we") : NULL;
  counted sum = {0};
  if (file == NULL) return;
  for (unsigned i = 0; i < THREADS; i++) add((uint64_t *)(void *)&sum, &all[i].of);
  fputc('{', file);
  for (unsigned i = 0; i < COUNTED_PLACES; i++)
    fprintf(file, "\"%s_locked\": %lu, \"%s_lost\": %lu, ", places[i], sum.locked[i], places[i], sum.lost[i]);
  fprintf(
      file,
      "\"waits\": %lu, \"refills\": %lu, \"mails\": %lu, \"takes\": %lu, \"steals\": %lu, \"puts\": %lu, \"purges\": %lu}\n",
      sum.waits, sum.refill, sum.mail, sum.span_take, sum.span_steal, sum.span_put, sum.purge);
  fclose(file);
}
