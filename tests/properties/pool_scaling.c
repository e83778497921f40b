/*
 * pool_scaling.c - property 19: the stacks of the pool keep threads apart.
 *
 *   pool_scaling [--rounds N]
 *
 * threadtest on four threads: each allocates its objects, frees them all, and again. The linker wraps the pool's functions: a
 * table remembers which stack a span was put on, and a take that gets one from its own stack is a hit; os_processors is wrapped
 * to give the pool four stacks or one. Restated: with few, busy processors the one-stack run need not be measurably slower, so
 * both times are printed and the hit rate and the memory are checked. The bound on the hit rate holds in lockstep, where all
 * threads allocate and then all free, as if each had a processor. Without it a thread that waits for a processor has its empty
 * spans taken by others; that rate is printed.
 */
#include "properties.h"

#include <stdatomic.h>

enum { THREADS = 4, OBJECTS = 60000, OBJECT_BYTES = 256, TABLE = 1 << 16, WARM_UP = 10, LEAST_ROUNDS = 20 };

static atomic_uint stack_of[TABLE]; /* of a span that is in the pool */
static atomic_ulong takes, hits;

/* ---- the pool's functions, wrapped ------------------------------------------------------------------------------------ */

unsigned __wrap_scalloc_private_os_processors(void);
span *__wrap_scalloc_private_pool_take(uint32_t hint, size_t bytes);
span *__real_scalloc_private_pool_take(uint32_t hint, size_t bytes);
span *__wrap_scalloc_private_pool_take_dirty(uint32_t hint, size_t bytes);
span *__real_scalloc_private_pool_take_dirty(uint32_t hint, size_t bytes);
void __wrap_scalloc_private_pool_put(span *s, uint32_t hint);
void __real_scalloc_private_pool_put(span *s, uint32_t hint);

unsigned __wrap_scalloc_private_os_processors(void) { return (unsigned)strtoul(getenv("PROPERTY_STACKS"), NULL, 10); }

void __wrap_scalloc_private_pool_put(span *s, uint32_t hint) {
  CHECK(span_index(s) < TABLE);
  atomic_store(&stack_of[span_index(s)], hint % pool_stacks());
  __real_scalloc_private_pool_put(s, hint);
}

static span *count_take(span *s, uint32_t hint) {
  if (!s) return NULL;
  atomic_fetch_add(&takes, 1);
  if (atomic_load(&stack_of[span_index(s)]) == hint % pool_stacks()) atomic_fetch_add(&hits, 1);
  return s;
}

span *__wrap_scalloc_private_pool_take(uint32_t hint, size_t bytes) {
  return count_take(__real_scalloc_private_pool_take(hint, bytes), hint);
}

span *__wrap_scalloc_private_pool_take_dirty(uint32_t hint, size_t bytes) {
  return count_take(__real_scalloc_private_pool_take_dirty(hint, bytes), hint);
}

/* ---- threadtest ------------------------------------------------------------------------------------------------------- */

static pthread_barrier_t barrier;
static bool lockstep;

static void meet(void) {
  if (lockstep) pthread_barrier_wait(&barrier);
}

static void threadtest(void *rounds) {
  void **objects = calloc(OBJECTS, sizeof *objects);
  for (long round = 0; round < *(long *)rounds; round++) {
    meet();
    for (int i = 0; i < OBJECTS; i++) CHECK((objects[i] = scalloc_malloc(OBJECT_BYTES)) != NULL);
    meet();
    for (int i = 0; i < OBJECTS; i++) scalloc_free(objects[i]);
  }
  free(objects);
}

static double run_rounds(worker *workers, long rounds) {
  double start = now();
  for (int i = 0; i < THREADS; i++) worker_begin(&workers[i], threadtest, &rounds);
  for (int i = 0; i < THREADS; i++) worker_finish(&workers[i]);
  return now() - start;
}

/* The wrapped functions trust the hint; so it is held to what pool.h says of it. */
static void check_hints(void) {
  span *spans[THREADS];
  unsigned p = pool_stacks();
  heap *h = heap_create(HEAP_USER);
  for (unsigned i = 0; i < 2 * p; i++) CHECK(heap_allocate_class(h, CLASSES - 1) != NULL);
  heap_end(h);
  for (unsigned i = 0; i < p; i++) CHECK((spans[i] = pool_take(0, 1)) != NULL);
  for (unsigned i = 0; i < p; i++) pool_put(spans[i], i + 3 * p);
  for (unsigned i = p; i-- > 0;) CHECK(pool_take(i + 5 * p, 1) == spans[i]);
  for (unsigned i = 0; i < p; i++) pool_put(spans[i], i);
}

static void with_stacks(void) {
  worker workers[THREADS];
  struct rusage usage;
  lockstep = getenv("PROPERTY_LOCKSTEP") != NULL;
  CHECK(pthread_barrier_init(&barrier, NULL, THREADS) == 0);
  for (int i = 0; i < THREADS; i++) worker_start(&workers[i]);
  check_hints();
  run_rounds(workers, WARM_UP);
  takes = hits = 0;
  double time = run_rounds(workers, strtol(getenv("PROPERTY_ROUNDS"), NULL, 10));
  CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
  for (int i = 0; i < THREADS; i++) worker_stop(&workers[i]);
  take_census();
  fprintf(stderr, "%u %lu %lu %u %ld %.0f\n", pool_stacks(), takes, hits, arena_high_water() - 1, usage.ru_maxrss, time * 1e6);
}

typedef struct result {
  unsigned stacks, opened;
  unsigned long takes, hits;
  long peak_kb;
  double us;
} result;

static result run_with(const char *stacks, long rounds, bool together) {
  char setting[40], length[40], step[] = "PROPERTY_LOCKSTEP=1";
  result r;
  snprintf(setting, sizeof setting, "PROPERTY_STACKS=%s", stacks);
  snprintf(length, sizeof length, "PROPERTY_ROUNDS=%ld", rounds);
  child c = run_self_ok("with_stacks", (char *[]){setting, length, together ? step : NULL, NULL}, 0);
  CHECK(sscanf(c.err, "%u %lu %lu %u %ld %lf", &r.stacks, &r.takes, &r.hits, &r.opened, &r.peak_kb, &r.us) == 6);
  printf("%u stacks%s: %lu spans taken, %.1f %% from the own stack; %u spans opened, peak %ld KB, %.0f ms\n", r.stacks,
         together ? " in lockstep" : "", r.takes, 100.0 * (double)r.hits / (double)r.takes, r.opened, r.peak_kb, r.us / 1000);
  return r;
}

static void pool_scaling(void) {
  long rounds = argument("--rounds", 20);
  if (rounds < LEAST_ROUNDS) rounds = LEAST_ROUNDS;
  result many = run_with("4", rounds, true), one = run_with("1", rounds, true);
  run_with("4", rounds, false), run_with("1", rounds, false);
  CHECK(many.stacks == THREADS && one.stacks == 1);
  CHECK_INT(many.takes, >=, 100);
  CHECK_INT(many.hits * 100, >, many.takes * 90);
  CHECK_INT(one.hits, ==, one.takes); /* control: there is no other stack */
  CHECK_INT(one.opened, <=, many.opened + THREADS);
  CHECK_INT(one.peak_kb, <=, many.peak_kb + many.peak_kb / 4);
}

MODES(MODE(pool_scaling), MODE(with_stacks))
