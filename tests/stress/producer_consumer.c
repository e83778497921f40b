/*
 * producer_consumer.c - one thread allocates, another frees a share of it, from none to all. The live set is constant: every
 * block is replaced by one of its own size. So must memory be: neither resident memory nor the number of spans may grow from
 * the first to the last third of the run.
 *
 *   producer_consumer [--ops N]   N allocations per share, after a warm-up
 */
#include "../test.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { RING = 256, KEPT = 3000, WARM_UP = 300000, SAMPLES = 30, SLACK_KB = 6 * 1024, SLACK_SPANS = 6 };

typedef struct item {
  unsigned char *block;
  size_t size;
} item;

static item ring[RING]; /* single producer, single consumer */
static atomic_size_t produced, consumed;
static atomic_bool done;
static long ops;

static void free_item(item it) {
  CHECK(intact(it.block, it.size));
  scalloc_free(it.block);
}

static void *consume(void *argument) {
  for (size_t at = 0;;) {
    bool last = atomic_load(&done);
    for (size_t end = atomic_load(&produced); at != end; at++) {
      free_item(ring[at % RING]);
      atomic_store(&consumed, at + 1);
    }
    if (last) return argument;
    sched_yield();
  }
}

static void wait_until_at_most(size_t pending) {
  while (atomic_load(&produced) - atomic_load(&consumed) > pending) sched_yield();
}

static size_t random_size(rng *random) {
  size_t dice = rng_below(random, 1000);
  return dice < 900 ? 8 + rng_below(random, 500) : dice < 995 ? rng_log(random, 13) : rng_log(random, 18);
}

static item make(size_t size) {
  item it = {scalloc_malloc(size), size};
  CHECK(it.block != NULL);
  fill(it.block, size);
  return it;
}

/* Allocates ops blocks; `share` percent of those that leave the kept set go to the consumer. Samples memory while it is idle. */
static void produce(unsigned share, long *rss, long long *spans) {
  static item kept[KEPT];
  rng random = {1};
  for (size_t i = 0; i < KEPT; i++) kept[i] = make(random_size(&random));
  for (long op = -WARM_UP; op < ops; op++) {
    size_t i = rng_below(&random, KEPT);
    if (rng_percent(&random, share)) {
      wait_until_at_most(RING - 1);
      ring[atomic_load(&produced) % RING] = kept[i];
      atomic_fetch_add(&produced, 1);
    } else {
      free_item(kept[i]);
    }
    kept[i] = make(kept[i].size);
    if (op >= 0 && (op + 1) % (ops / SAMPLES) == 0) {
      size_t sample = (size_t)(op / (ops / SAMPLES));
      wait_until_at_most(0);
      if (sample < SAMPLES) rss[sample] = rss_kb() + pte_kb(), spans[sample] = stats_now().opened;
    }
  }
  for (size_t i = 0; i < KEPT; i++) free_item(kept[i]);
}

static void run(unsigned share) {
  long rss[SAMPLES] = {0}, early = 0, late = 0;
  long long spans[SAMPLES] = {0};
  pthread_t consumer;
  double start = now();
  atomic_store(&produced, 0), atomic_store(&consumed, 0), atomic_store(&done, false);
  CHECK(pthread_create(&consumer, NULL, consume, NULL) == 0);
  produce(share, rss, spans);
  atomic_store(&done, true);
  CHECK(pthread_join(consumer, NULL) == 0);
  for (size_t i = 0; i < SAMPLES / 3; i++) {
    if (rss[i] > early) early = rss[i];
    if (rss[SAMPLES - 1 - i] > late) late = rss[SAMPLES - 1 - i];
  }
  printf("%3u %% remote: %.1f s, RSS + page tables %ld -> %ld KB, spans %lld -> %lld\n", share, now() - start, early, late,
         spans[SAMPLES / 3 - 1], spans[SAMPLES - 1]);
  CHECK_INT(late, <=, early + SLACK_KB);
  CHECK_INT(spans[SAMPLES - 1], <=, spans[SAMPLES / 3 - 1] + SLACK_SPANS);
}

int main(int argc, char **argv) {
  static const unsigned shares[] = {0, 10, 50, 90, 97, 100};
  ops = option_number(argc, argv, "--ops", 1000000);
  CHECK(ops >= SAMPLES);
  scalloc_free(scalloc_malloc(1));
  stats before = stats_now();
  for (size_t i = 0; i < LENGTH(shares); i++) {
    run(shares[i]);
    check_all_returned(before);
  }
  return 0;
}
