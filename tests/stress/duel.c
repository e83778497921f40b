/*
 * duel.c - the last two blocks of a span, freed by two threads at the same instant. Whatever the two saw of each other, the
 * span must reach the pool: at once if both are strangers, by the owner's next slow path if one is the owner, who frees with
 * plain stores.
 *
 *   duel [--rounds N]   with thresholds that make the first of the two frees a change of state, or not
 */
#include "../test.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { BLOCKS = 120 };

static const size_t sizes[] = {1048576 - TAIL, 700000}; /* two of them fill a span */

static void *blocks[BLOCKS];                  /* in the order of their addresses */
static void *sides[2][BLOCKS], *rest[BLOCKS]; /* the two blocks of each duel; what lives on */
static size_t duels, rest_count;
static atomic_size_t arrived;

static uintptr_t span_of(const void *block) { return (uintptr_t)block >> SPAN_SHIFT; }

static int address_order(const void *left, const void *right) {
  uintptr_t a = (uintptr_t) * (void *const *)left, b = (uintptr_t) * (void *const *)right;
  return (a > b) - (a < b);
}

/* Blocks that are alone with one other in a span go to the two sides, but for those in the hot span. */
static void prepare(size_t size) {
  for (size_t i = 0; i < BLOCKS; i++) CHECK(blocks[i] = scalloc_malloc(size));
  uintptr_t hot = span_of(blocks[BLOCKS - 1]);
  qsort(blocks, BLOCKS, sizeof blocks[0], address_order);
  duels = rest_count = 0;
  for (size_t i = 0; i < BLOCKS; i++) {
    if (i + 1 < BLOCKS && span_of(blocks[i]) == span_of(blocks[i + 1]) && span_of(blocks[i]) != hot) {
      sides[0][duels] = blocks[i];
      sides[1][duels++] = blocks[++i];
    } else {
      rest[rest_count++] = blocks[i];
    }
  }
  CHECK_INT(duels, >=, BLOCKS / 2 - 5);
  atomic_store(&arrived, 0);
}

/* How many spans hold what lives on. */
static size_t spans_of_the_rest(void) {
  size_t spans = 0;
  for (size_t i = 0; i < rest_count; i++) {
    bool new = true;
    for (size_t k = 0; k < i; k++) new = new &&span_of(rest[k]) != span_of(rest[i]);
    spans += new;
  }
  return spans;
}

/* Both sides meet before each free; `lead` then holds this one back a little. */
static void fight(void **list, size_t lead) {
  for (size_t i = 0; i < duels; i++) {
    atomic_fetch_add(&arrived, 1);
    for (unsigned spins = 0; atomic_load(&arrived) < 2 * i + 2;)
      if (++spins > 5000) sched_yield();
    for (volatile size_t delay = 0; delay < lead; delay++) continue;
    scalloc_free(list[i]);
  }
}

static void *fight_first(void *lead) { return fight(sides[0], (uintptr_t)lead), NULL; }
static void *fight_second(void *lead) { return fight(sides[1], (uintptr_t)lead), NULL; }

static long long in_use(void) {
  stats s = stats_now();
  check_span_sum(s);
  return s.hot + s.floating + s.reusable;
}

static void one_round(size_t size, uintptr_t leads, bool with_owner, long long others) {
  pthread_t first, second;
  prepare(size);
  CHECK(pthread_create(&first, NULL, fight_first, (void *)(leads % 7)) == 0);
  if (with_owner)
    fight(sides[1], leads / 7 % 7);
  else
    CHECK(pthread_create(&second, NULL, fight_second, (void *)(leads / 7 % 7)) == 0);
  CHECK(pthread_join(first, NULL) == 0);
  if (!with_owner) CHECK(pthread_join(second, NULL) == 0);
  for (int i = 0; i < 3 && with_owner; i++)
    CHECK(rest[rest_count++] = scalloc_malloc(size)); /* the hot span cannot hold them */
  CHECK_INT(in_use(), ==, others + (long long)spans_of_the_rest());
  for (size_t i = 0; i < rest_count; i++) scalloc_free(rest[i]);
}

static void run(long rounds) {
  scalloc_free(scalloc_malloc(1));
  stats before = stats_now();
  for (size_t i = 0; i < LENGTH(sizes); i++) {
    scalloc_purge();
    long long others = in_use();
    for (long round = 0; round < rounds; round++) one_round(sizes[i], (uintptr_t)round, round % 2 == 0, others);
    check_all_returned(before);
  }
}

int main(int argc, char **argv) {
  without_quarantine();
  char never[] = "SCALLOC_REUSE_THRESHOLD=50", first[] = "SCALLOC_REUSE_THRESHOLD=0", *settings[] = {never, first};
  if (argc == 2) return run(strtol(argv[1], NULL, 10)), 0;
  char rounds[32];
  snprintf(rounds, sizeof rounds, "%ld", option_number(argc, argv, "--rounds", 300));
  for (size_t i = 0; i < LENGTH(settings); i++) run_self_ok(rounds, (char *[]){settings[i], NULL}, 0);
  return 0;
}
