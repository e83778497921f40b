/*
 * yielding.c - property 16: after any concurrent run every span below the high-water mark is in one place.
 *
 *   no_lost_spans [--rounds N] [--seconds S]   stops after S seconds, but not before a fiftieth of the rounds
 *
 * The core is compiled with atomics_hooked.h: before an atomic operation a thread gives the processor away with a probability
 * that changes from round to round. In a round 2 to 4 threads allocate and free blocks of one or two classes, most of them
 * classes of 2, 3, 4 or 8 blocks per span; threads come and go. After the round each thread does what begins its next slow
 * path (heap_settle), and a census follows, which settles nothing. Restated: free runs of spans are a fifth place, and the
 * spans of large blocks a sixth; what an owner's plain free has left is settled at its next slow path.
 */
#include "properties.h"

#include "atomics_hooked.h"

#include <sched.h>
#include <stdatomic.h>

enum { WORKERS = 4, SLOTS = 4096, FEW_SLOTS = 40, FEW_OPS = 60, MANY_OPS = 2500 };

/* ---- the hook --------------------------------------------------------------------------------------------------------- */

static _Thread_local rng dice;
static _Thread_local unsigned one_in; /* 0: never */

static void maybe_yield(void) {
  if (one_in != 0 && rng_below(&dice, one_in) == 0) sched_yield();
}

void before_load(void) { maybe_yield(); }
void before_store(void) { maybe_yield(); }
void before_cas(void) { maybe_yield(); }

/* ---- a round ---------------------------------------------------------------------------------------------------------- */

static _Atomic(void *) slots[SLOTS];
static size_t sizes[2]; /* of the round */
static size_t slot_count;
static int op_count;
static unsigned yield_one_in;

static const size_t size_choices[] = {MB, 640 * KB, 512 * KB, 256 * KB, 4096, 20000, 64, 16};
enum { LARGE_CHOICES = 4, MEDIUM_CHOICES = 6 };

static void act(void *seed) {
  rng random = {(uintptr_t)seed};
  dice = (rng){(uintptr_t)seed + 7};
  one_in = yield_one_in;
  for (int i = 0; i < op_count; i++) {
    size_t *own_first = &sizes[rng_below(&random, 2)];
    void *block = rng_percent(&random, 55) ? scalloc_malloc(*own_first) : NULL;
    if (block) *(uintptr_t *)block = (uintptr_t)block;
    void *before = atomic_exchange(&slots[rng_below(&random, slot_count)], block);
    if (before) CHECK(*(uintptr_t *)before == (uintptr_t)before);
    scalloc_free(before);
    if (rng_below(&random, 300) == 0) scalloc_purge();
  }
  one_in = 0;
}

static void settle(void *unused) {
  (void)unused;
  heap *h = thread_heap_or_null();
  if (h) heap_settle(h);
}

static void choose(rng *random, long round) {
  bool many = round % 20 == 19;
  size_t choices = many ? LENGTH(size_choices) : round % 5 == 4 ? MEDIUM_CHOICES : LARGE_CHOICES;
  size_t from = many ? MEDIUM_CHOICES - 1 : round % 5 == 4 ? LARGE_CHOICES : 0;
  for (int i = 0; i < 2; i++) sizes[i] = size_choices[from + rng_below(random, choices - from)];
  slot_count = many ? SLOTS : round % 5 == 4 ? 8 * FEW_SLOTS : FEW_SLOTS;
  op_count = many ? MANY_OPS : round % 5 == 4 ? 8 * FEW_OPS : FEW_OPS;
  yield_one_in = (unsigned)(2 << rng_below(random, 8));
}

/* Every span in the pool can be had by whoever asks, though the summary words were changed by many. */
static void take_the_whole_pool(size_t pooled) {
  enum { MOST = 4096 };
  static span *taken[MOST];
  size_t n = 0;
  while ((taken[n] = pool_take(1, 1)) != NULL) CHECK_INT(++n, <, MOST);
  CHECK_INT(n, ==, pooled);
  for (size_t i = 0; i < n; i++) pool_put(taken[i], (uint32_t)i);
}

/* All blocks that are left, by a stranger: the owners stand still, so every span but the hot ones is in the pool at once. */
static void free_all_and_count(worker *workers, long round) {
  for (size_t i = 0; i < SLOTS; i++) scalloc_free(atomic_exchange(&slots[i], NULL));
  census c = take_census();
  CHECK_INT(c.floating + c.reusable, ==, 0);
  worker *leaving = &workers[round / 10 % WORKERS];
  worker_stop(leaving);
  census without = take_census(); /* its hot spans, empty as they are, went to the pool with it */
  CHECK_INT(without.hot + without.pooled + without.runs, ==, without.all);
  CHECK_INT(without.hot, <=, c.hot);
  worker_start(leaving);
}

static void one_round(worker *workers, rng *random, long round) {
  size_t active = 2 + rng_below(random, WORKERS - 1);
  choose(random, round);
  for (size_t i = 0; i < active; i++) worker_begin(&workers[i], act, (void *)(uintptr_t)rng_next(random));
  for (size_t i = 0; i < active; i++) worker_finish(&workers[i]);
  for (size_t i = 0; i < WORKERS; i++) worker_do(&workers[i], settle, NULL);
  take_the_whole_pool(take_census().pooled);
  if (round % 10 == 9) {
    free_all_and_count(workers, round);
  } else if (rng_percent(random, 30)) { /* a thread leaves its blocks behind */
    worker *leaving = &workers[rng_below(random, WORKERS)];
    worker_stop(leaving);
    take_census();
    worker_start(leaving);
  }
}

static void rounds_with_settings(void) {
  worker workers[WORKERS];
  long rounds = strtol(getenv("PROPERTY_ROUNDS"), NULL, 10);
  rng random = {(uint64_t)rounds};
  CHECK(arena_init());
  for (int i = 0; i < WORKERS; i++) worker_start(&workers[i]);
  long round = 0, seconds = strtol(getenv("PROPERTY_SECONDS"), NULL, 10);
  for (double start = now(); round < rounds && (round <= rounds / 50 || now() - start < (double)seconds); round++)
    one_round(workers, &random, round); /* on a busy machine each yield may cost somebody's slice of time */
  for (size_t i = 0; i < SLOTS; i++) scalloc_free(atomic_exchange(&slots[i], NULL));
  for (int i = 0; i < WORKERS; i++) worker_stop(&workers[i]);
  census end = take_census();
  CHECK_INT(end.pooled + end.runs, ==, end.all);
  check_heap();
  fprintf(stderr, "%ld\n", round);
}

static void no_lost_spans(void) {
  static char settings[][2][40] = {{"SCALLOC_REUSE_THRESHOLD=25", "SCALLOC_PURGE_DELAY_MS=-1"},
                                   {"SCALLOC_REUSE_THRESHOLD=0", "SCALLOC_PURGE_DELAY_MS=0"},
                                   {"SCALLOC_REUSE_THRESHOLD=50", "SCALLOC_PURGE_DELAY_MS=1"},
                                   {"SCALLOC_REUSE_THRESHOLD=80", "SCALLOC_PURGE_DELAY_MS=-1"}};
  char count[40], limit[40];
  long rounds = argument("--rounds", 1000), done = 0;
  snprintf(limit, sizeof limit, "PROPERTY_SECONDS=%ld", argument("--seconds", 20) / (long)LENGTH(settings) + 1);
  snprintf(count, sizeof count, "PROPERTY_ROUNDS=%ld", rounds / (long)LENGTH(settings) + 1);
  for (size_t i = 0; i < LENGTH(settings); i++)
    done += strtol(run_self_ok("rounds_with_settings", (char *[]){settings[i][0], settings[i][1], count, limit, NULL}, 0).err,
                   NULL, 10);
  printf("%ld rounds of %ld on 2 to 4 threads\n", done, rounds);
}

MODES(MODE(no_lost_spans), MODE(rounds_with_settings))
