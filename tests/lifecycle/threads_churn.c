/*
 * threads_churn.c - threads come and go; each leaves blocks of all kinds behind, which others free when it is long gone. No
 * span, no heap structure and no memory may get lost on the way.
 *
 *   threads_churn [--threads N] [--alive N]
 *
 * The live set is bounded by the table of slots. So, however many threads come: the heap structures are bounded by the threads
 * that were there at once, the spans and the memory by what was needed in the first part of the run.
 */
#include "walk.h"

#include "life.h"

enum { SLOTS = 1500, PER_THREAD = 24, MOST_ALIVE = 64, FIRST_PART = 4000, SLACK_SPANS = 48, SLACK_KB = 24 << 10 };

static _Atomic(block *) slots[SLOTS];

/* Mostly small; one in a thousand above 1 MB. */
static size_t churn_size(rng *random) {
  size_t kind = rng_below(random, 1000);
  return kind == 0 ? MB + 1 + rng_below(random, MB) : rng_log(random, kind < 20 ? 18 : 11);
}

/* A life: some blocks for itself, some left behind, those of the dead freed. Every fourth thread only frees. */
static void *live_and_die(void *argument) {
  uintptr_t number = (uintptr_t)argument;
  rng random = {number};
  block *own[PER_THREAD / 4];
  for (size_t i = 0; i < LENGTH(own); i++) own[i] = number % 4 == 0 ? NULL : block_new(churn_size(&random));
  for (size_t i = 0; i < PER_THREAD; i++) {
    block *left = number % 4 == 0 ? NULL : block_new(churn_size(&random));
    block_free(atomic_exchange(&slots[rng_below(&random, SLOTS)], left));
  }
  if (rng_percent(&random, 5)) use_heaps();
  for (size_t i = 0; i < LENGTH(own); i++) block_free(own[i]);
  return NULL;
}

static void run(long threads, long alive, uintptr_t number) {
  pthread_t handles[MOST_ALIVE];
  for (long done = 0; done < threads; done += alive) {
    for (long i = 0; i < alive; i++) CHECK(pthread_create(&handles[i], NULL, live_and_die, (void *)number++) == 0);
    for (long i = 0; i < alive; i++) CHECK(pthread_join(handles[i], NULL) == 0);
  }
}

int main(int argc, char **argv) {
  long threads = option_number(argc, argv, "--threads", 10000), alive = option_number(argc, argv, "--alive", 6);
  CHECK(threads > 0 && alive >= 1 && alive <= MOST_ALIVE);
  scalloc_free(scalloc_malloc(1));
  stats before = stats_now();
  double start = now();
  run(FIRST_PART, alive, 1);
  check_heap();
  stats first = stats_now();
  long first_kb = rss_kb() + pte_kb();
  run(threads > FIRST_PART ? threads - FIRST_PART : FIRST_PART, alive, FIRST_PART + MOST_ALIVE);
  check_heap();
  stats full = stats_now();
  long full_kb = rss_kb() + pte_kb();
  check_span_sum(full);
  printf("%ld threads in %.1f s: spans opened %lld -> %lld, live %lld KB, RSS and page tables %ld -> %ld KB, heaps %u, "
         "adoptions %lld\n",
         threads, now() - start, first.opened, full.opened, full.live >> 10, first_kb, full_kb, heap_count(), full.adoptions);
  CHECK_INT(full.opened, <=, first.opened + SLACK_SPANS);
  if (!UNDER_ASAN && !UNDER_TSAN) CHECK_INT(full_kb, <=, first_kb + SLACK_KB);
  CHECK_INT(heap_count(), <=, 2 + 2 * alive); /* for each thread of the time its own and one of use_heaps */
  CHECK_INT(full.adoptions, >, 0);
  for (size_t i = 0; i < SLOTS; i += 2) block_free(atomic_exchange(&slots[i], NULL));
  check_heap(); /* spans of the dead that have just become reusable */
  for (size_t i = 1; i < SLOTS; i += 2) block_free(atomic_exchange(&slots[i], NULL));
  check_all_returned(before);
  return 0;
}
