/*
 * bounded.c - property 22: a producer and a consumer with a constant live set do not grow.
 *
 *   bounded [--ops N]   N blocks; 97 % of them are freed by the other thread. 100,000,000 for the figure of the property
 *
 * Resident memory and page tables are sampled in both threads' pauses; the line fitted to the samples of the second half must
 * not rise by more than SLACK_KB over the whole run, whatever its length.
 */
#include "properties.h"

#include <sched.h>
#include <stdatomic.h>

enum { LIVE = 4000, RING = 1024, SAMPLES = 60, SLACK_KB = 2 * 1024, REMOTE_PERCENT = 97 };

static void *ring[RING];
static atomic_size_t produced, consumed;
static atomic_bool over;

static void consume(void *unused) {
  (void)unused;
  for (size_t at = 0; !atomic_load(&over) || at != atomic_load(&produced);) {
    size_t end = atomic_load(&produced);
    if (at == end) sched_yield();
    for (; at != end; at++) {
      scalloc_free(ring[at % RING]);
      atomic_store(&consumed, at + 1);
    }
  }
}

static void wait_until_at_most(size_t pending) {
  while (atomic_load(&produced) - atomic_load(&consumed) > pending) sched_yield();
}

static void hand_over(void *block) {
  size_t at = atomic_load(&produced);
  if (at - atomic_load(&consumed) >= RING) wait_until_at_most(RING / 2);
  ring[at % RING] = block;
  atomic_store(&produced, at + 1);
}

/* KB per sample of the least-squares line through the second half. */
static double slope(const long *samples) {
  double n = SAMPLES / 2, sx = 0, sy = 0, sxx = 0, sxy = 0;
  for (int i = SAMPLES / 2; i < SAMPLES; i++) {
    sx += i, sy += (double)samples[i];
    sxx += (double)i * i, sxy += (double)i * (double)samples[i];
  }
  return (n * sxy - sx * sy) / (n * sxx - sx * sx);
}

/* Block i of the live set has a size of its own that never changes. */
static size_t size_of(size_t i) {
  rng random = {i};
  return rng_log(&random, 12);
}

static void produce(long ops, long *samples) {
  static void *live[LIVE];
  rng random = {1};
  for (size_t i = 0; i < LIVE; i++) CHECK((live[i] = scalloc_malloc(size_of(i))) != NULL);
  for (long op = 0; op < ops; op++) {
    size_t i = rng_below(&random, LIVE);
    if (rng_percent(&random, REMOTE_PERCENT))
      hand_over(live[i]);
    else
      scalloc_free(live[i]);
    CHECK((live[i] = scalloc_malloc(size_of(i))) != NULL);
    if ((op + 1) % (ops / SAMPLES) == 0 && op / (ops / SAMPLES) < SAMPLES) {
      wait_until_at_most(0);
      samples[op / (ops / SAMPLES)] = rss_kb() + pte_kb();
    }
  }
  for (size_t i = 0; i < LIVE; i++) scalloc_free(live[i]);
}

static void bounded(void) {
  long samples[SAMPLES] = {0}, ops = argument("--ops", 2000000);
  worker consumer;
  CHECK_INT(ops, >=, 100 * SAMPLES);
  scalloc_free(scalloc_malloc(1));
  stats before = stats_now();
  worker_start(&consumer);
  worker_begin(&consumer, consume, NULL);
  produce(ops, samples);
  atomic_store(&over, true);
  worker_finish(&consumer);
  worker_stop(&consumer);
  double growth = slope(samples) * SAMPLES;
  printf("%ld operations: RSS + page tables %ld KB at half, %ld KB at the end, fitted growth %.0f KB\n", ops,
         samples[SAMPLES / 2], samples[SAMPLES - 1], growth);
  CHECK_INT(growth, <=, SLACK_KB);
  check_all_returned(before);
}

MODES(MODE(bounded))
