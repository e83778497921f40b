/*
 * constant_time.c - property 25: what malloc and free do does not grow with the heap.
 *
 *   constant_time [--spans N] [--ops N]   compares 1,000 live spans with N (100,000; the full length is 1,000,000)
 *   pool_miss                             the steps of a look into an empty pool
 *
 * Steps are basic blocks of the core (steps_counted.h). The clock is held, purges are off; operations that open spans of the
 * arena are left out, as are blocks above 1 MB. Restated: the mail of a heap, one entry for the first foreign free into a span
 * since it was last hot, is settled whole at the next slow path, so a malloc takes constant time and as much again for each
 * entry, which a foreign free has paid for; both are counted apart. The bound of slots + p holds for a miss of the pool after
 * all stacks were taken by a purge; without one the bound is the slots.
 */
#include "properties.h"

#include "steps_counted.h"

enum { FEW_SPANS = 1000, SMALL = 20000, MOST_STEPS = 1 << 14 };

/* ---- functions of the core that the linker wraps ----------------------------------------------------------------------- */

uint32_t __wrap_scalloc_private_os_now_ms(void);
uint32_t __wrap_scalloc_private_os_now_ms(void) { return 1; }

unsigned __wrap_scalloc_private_os_processors(void);
unsigned __wrap_scalloc_private_os_processors(void) {
  const char *stacks = getenv("PROPERTY_STACKS");
  return stacks ? (unsigned)strtoul(stacks, NULL, 10) : 2;
}

enum { SETTLE_STEPS = 100 };

static uint64_t settling, mails, most_mails; /* steps spent there; spans looked at in all, and at once */

void __wrap_scalloc_private_heap_settle(heap *h);
void __real_scalloc_private_heap_settle(heap *h);

void __wrap_scalloc_private_heap_settle(heap *h) {
  uint64_t entries = 0, before = steps;
  for (uint32_t i = h->mail.head; i != 0; i = span_at(i)->link[LIST_MAIL].next) entries++;
  __real_scalloc_private_heap_settle(h);
  CHECK_INT(steps - before, <=, (entries + 1) * SETTLE_STEPS);
  settling += steps - before;
  mails += entries;
  if (entries > most_mails) most_mails = entries;
}

/* ---- operations on a heap with many live spans ------------------------------------------------------------------------ */

typedef enum operation { MALLOC, FREE_OWN, FREE_FOREIGN, OPERATIONS } operation;

static const char *const operation_names[] = {"malloc", "free by the owner", "free by another"};

typedef struct counts {
  uint32_t of[MOST_STEPS + 1];
  uint64_t all, longest;
} counts;

static counts counted[OPERATIONS];
static scalloc_heap *owner;

static void count(operation what, uint64_t taken) {
  counts *c = &counted[what];
  c->of[taken < MOST_STEPS ? taken : MOST_STEPS]++;
  c->all++;
  if (taken > c->longest) c->longest = taken;
}

static void *measured_malloc(size_t size) {
  void *block;
  uint64_t taken, settled = settling;
  uint32_t opened = arena_high_water();
  COUNT_STEPS(taken, block = scalloc_heap_malloc(owner, size));
  CHECK(block != NULL);
  if (arena_high_water() == opened) count(MALLOC, taken - (settling - settled));
  return block;
}

/* To a heap of the program the calling thread is a stranger unless it says otherwise. */
static void measured_free(void *block, bool foreign) {
  uint64_t taken;
  if (foreign)
    COUNT_STEPS(taken, scalloc_free(block));
  else
    COUNT_STEPS(taken, scalloc_heap_free(owner, block));
  count(foreign ? FREE_FOREIGN : FREE_OWN, taken);
}

/* Frees the block if there is one, else makes one; every block keeps its size. */
static void toggle(void **at, size_t size, rng *random) {
  if (*at) {
    measured_free(*at, rng_percent(random, 30));
    *at = NULL;
  } else {
    *at = measured_malloc(size);
  }
}

static size_t small_size(size_t i) {
  rng random = {i};
  return rng_log(&random, 14);
}

/* Two blocks to a span; each costs a page, and the span a page table. */
static void operate(size_t spans, long ops) {
  void **big = calloc(2 * spans, sizeof *big);
  static void *small[SMALL];
  rng random = {1};
  owner = scalloc_heap_new();
  for (size_t i = 0; i < 2 * spans; i++) CHECK((big[i] = scalloc_heap_malloc(owner, MB)) != NULL);
  for (size_t i = 0; i < SMALL; i++) CHECK((small[i] = scalloc_heap_malloc(owner, small_size(i))) != NULL);
  long long in_use = (long long)arena_high_water() - 1;
  CHECK_INT(in_use, >=, spans);
  memset(counted, 0, sizeof counted);
  mails = most_mails = 0;
  for (long op = 0; op < ops; op++) {
    size_t i = rng_below(&random, SMALL);
    if (rng_percent(&random, 50))
      toggle(&small[i], small_size(i), &random);
    else
      toggle(&big[rng_below(&random, 2 * spans)], MB, &random);
  }
  scalloc_heap_destroy(owner);
  free(big);
}

static uint64_t percentile_999(const counts *c) {
  uint64_t seen = 0, at = 0;
  for (; at < MOST_STEPS && (seen += c->of[at]) * 1000 < c->all * 999; at++) continue;
  return at;
}

static void constant_time(void) {
  long spans = argument("--spans", 100000), ops = argument("--ops", 400000);
  uint64_t few[OPERATIONS];
  CHECK(scalloc_option_set("SCALLOC_PURGE_DELAY_MS", -1));
  if (spans > 1000000) spans = 1000000;
  operate(FEW_SPANS, ops);
  for (int i = 0; i < OPERATIONS; i++) few[i] = percentile_999(&counted[i]);
  operate((size_t)spans, ops);
  for (int i = 0; i < OPERATIONS; i++) {
    uint64_t many = percentile_999(&counted[i]);
    printf("%s: 99.9 %% of %llu within %llu steps with %d spans, %llu with %ld; the longest %llu\n", operation_names[i],
           (unsigned long long)counted[i].all, (unsigned long long)few[i], FEW_SPANS, (unsigned long long)many, spans,
           (unsigned long long)counted[i].longest);
    CHECK_INT(counted[i].all, >=, ops / 10);
    CHECK_INT(few[i], >, 5);
    CHECK_INT(many, <=, few[i]);
  }
  printf("%llu entries of mail settled, at most %llu by one malloc\n", (unsigned long long)mails,
         (unsigned long long)most_mails);
  CHECK_INT(mails, <=, counted[FREE_FOREIGN].all);
}

/* ---- a look into an empty pool ---------------------------------------------------------------------------------------- */

enum { STEPS_EACH = 12 };

static uint64_t miss(void) {
  uint64_t taken;
  span *s;
  COUNT_STEPS(taken, s = pool_take(1, REAL_SPAN_MIN));
  CHECK(s == NULL);
  return taken;
}

static void pool_miss_with_stacks(void) {
  unsigned p = pool_stacks();
  heap *h = heap_create(HEAP_USER);
  for (unsigned i = 0; i < 2 * p; i++) CHECK(heap_allocate_class(h, CLASSES - 1) != NULL);
  heap_end(h);
  static span *spans[POOL_STACKS];
  for (unsigned i = 0; i < p; i++) CHECK((spans[i] = pool_take(0, 1)) != NULL);
  while (pool_take(0, 1)) continue; /* what the end of the heap left besides */
  uint64_t first = miss();
  for (unsigned i = 0; i < p; i++) pool_put(spans[i], i);
  for (unsigned slot = 0; slot < POOL_SLOTS; slot++)
    for (unsigned n = 0; n < p; n++) pool_take_stack(slot, n); /* as a purge does: the summary still names them */
  uint64_t stale = miss(), then = miss();
  fprintf(stderr, "%u stacks: a miss takes %llu steps, the first after all stacks were taken %llu\n", p,
          (unsigned long long)first, (unsigned long long)stale);
  CHECK_INT(first, <=, STEPS_EACH * POOL_SLOTS);
  CHECK_INT(then, ==, first);
  CHECK_INT(stale, <=, STEPS_EACH * (POOL_SLOTS + p));
}

static void pool_miss(void) {
  static char one[] = "PROPERTY_STACKS=1", many[] = "PROPERTY_STACKS=64";
  printf("%s", run_self_ok("pool_miss_with_stacks", (char *[]){one, NULL}, 0).err);
  printf("%s", run_self_ok("pool_miss_with_stacks", (char *[]){many, NULL}, 0).err);
}

static void both(void) {
  pool_miss();
  constant_time();
}

MODES(MODE(both), MODE(constant_time), MODE(pool_miss), MODE(pool_miss_with_stacks))
