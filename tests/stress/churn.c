/*
 * churn.c - threads come and go, each leaving live blocks behind that others free later: spans are orphaned and adopted all
 * the time. No span may get lost: their number must not grow, and at the end all of them are in the pool.
 *
 *   churn [--cycles N] [--alive N]   N cycles after as many as it takes until the spans of all sizes are there
 */
#include "../test.h"
#include <pthread.h>
#include <stdatomic.h>

enum { SLOTS = 2048, PER_THREAD = 48, MOST_ALIVE = 64, WARM_UP = 24000, SLACK_SPANS = 32 };

typedef struct head { /* at the start of each block */
  size_t size;
} head;

static _Atomic(head *) slots[SLOTS];

static void free_block(head *block) {
  CHECK(block->size >= sizeof *block && intact(block + 1, block->size - sizeof *block));
  scalloc_free(block);
}

static head *make(rng *random) {
  size_t size = sizeof(head) + rng_log(random, rng_percent(random, 97) ? 10 : 17);
  head *block = scalloc_malloc(size);
  CHECK(block != NULL);
  block->size = size;
  fill(block + 1, size - sizeof *block);
  return block;
}

/* A life: some blocks for itself, some left behind, those of the dead freed. Every fourth thread only frees. */
static void *live_and_die(void *argument) {
  rng random = {(uintptr_t)argument};
  head *own[PER_THREAD / 4] = {0};
  for (size_t i = 0; i < PER_THREAD; i++) {
    head *mine = rng_percent(&random, 25) && (uintptr_t)argument % 4 == 0 ? NULL : make(&random);
    if (mine && i % 4 == 0) own[i / 4] = mine, mine = NULL;
    head *other = atomic_exchange(&slots[rng_below(&random, SLOTS)], mine);
    if (other) free_block(other);
  }
  for (size_t i = 0; i < LENGTH(own); i++)
    if (own[i]) free_block(own[i]);
  return NULL;
}

static void run_cycles(long cycles, long alive, uintptr_t seed) {
  pthread_t threads[MOST_ALIVE];
  for (long done = 0; done < cycles; done += alive) {
    for (long i = 0; i < alive; i++)
      CHECK(pthread_create(&threads[i], NULL, live_and_die, (void *)(seed + (uintptr_t)(done + i))) == 0);
    for (long i = 0; i < alive; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  }
}

int main(int argc, char **argv) {
  long cycles = option_number(argc, argv, "--cycles", 12000), alive = option_number(argc, argv, "--alive", 6);
  CHECK(cycles >= 1 && alive >= 1 && alive <= MOST_ALIVE);
  scalloc_free(scalloc_malloc(1));
  stats before = stats_now();
  double start = now();
  run_cycles(WARM_UP, alive, 1);
  check_heap();
  stats warm = stats_now();
  long rss = rss_kb() + pte_kb();
  run_cycles(cycles, alive, WARM_UP + 1);
  check_heap();
  stats full = stats_now();
  check_span_sum(full);
  printf("%ld threads in %.1f s, spans %lld -> %lld, RSS + page tables %ld -> %ld KB, adoptions %lld\n", WARM_UP + cycles,
         now() - start, warm.opened, full.opened, rss, rss_kb() + pte_kb(), full.adoptions);
  CHECK_INT(full.opened, <=, warm.opened + SLACK_SPANS);
  for (size_t i = 0; i < SLOTS; i++)
    if (slots[i]) free_block(slots[i]);
  check_all_returned(before);
  return 0;
}
