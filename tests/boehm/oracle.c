/*
 * The oracle of the bridge. N blocks each hold an object; every other block is freed; then exactly the objects of these die, and
 * no other one changes. Again and again, for a number of collections, while other threads allocate, free, and move objects from
 * block to block.
 *
 *   --incremental    collections in steps, while the threads run
 *   --collections N  at least so many
 *   --threads N      beside the main one
 *   --blocks N       of the oracle
 *   --control        the library is one that must lose objects: success is to see it happen
 */
#include "objects.h"

enum { CHURN_CELLS = 128, BLOCK_MOST = 4096 };

typedef struct {
  object *volatile *block; /* NULL: none */
  size_t word;             /* the one that holds the object */
  uint64_t id;
} cell;

static scalloc_boehm_heap *heap;
static bool incremental, control, stop;
static object *volatile *volatile passed; /* a block on its way to the thread that frees it */
static long churned, oracle_finalized, churn_finalized;

/* An object was lost. */
static void lost(const char *where) {
  if (control) {
    printf("an object was lost %s, as it must be\n", where);
    fflush(stdout);
    _exit(0);
  }
  test_fail(__FILE__, __LINE__, "an object was lost %s, in collection %lu", where, (unsigned long)GC_get_gc_no());
}

static void cell_fill(cell *c, rng *random, long *counter) {
  size_t words = rng_percent(random, 2) ? 200000 : 1 + rng_below(random, (size_t)1 << rng_below(random, 9));
  c->block = scalloc_boehm_malloc(heap, words * sizeof(void *));
  CHECK(c->block != NULL);
  c->word = rng_below(random, words);
  c->id = object_new(&c->block[c->word], object_ids(1), counter);
}

static void cell_check(const cell *c, const char *where) {
  if (c->block && !object_is_sound(c->block[c->word], c->id)) lost(where);
}

static object *volatile *cell_empty(cell *c) {
  object *volatile *block = c->block;
  object_let_go(block[c->word]);
  c->block = NULL;
  return block;
}

/* ---- the other threads -------------------------------------------------------------------------------------------------- */

static void free_by_another(object *volatile *block) {
  block = __atomic_exchange_n(&passed, block, __ATOMIC_ACQ_REL);
  scalloc_boehm_free(heap, (void *)(uintptr_t)block);
}

/* Between them, the objects are held by this thread alone. */
static void cells_swap(cell *a, cell *b) {
  object *of_a = a->block[a->word], *of_b = b->block[b->word];
  uint64_t id = a->id;
  a->block[a->word] = NULL;
  b->block[b->word] = of_a;
  a->block[a->word] = of_b;
  a->id = b->id;
  b->id = id;
}

static void churn_step(cell *cells, rng *random) {
  cell *c = &cells[rng_below(random, CHURN_CELLS)], *other = &cells[rng_below(random, CHURN_CELLS)];
  if (c->block == NULL) {
    cell_fill(c, random, &churn_finalized);
    return;
  }
  cell_check(c, "of a running thread");
  unsigned choice = (unsigned)rng_below(random, 10);
  if (choice < 3) {
    scalloc_boehm_free(heap, (void *)(uintptr_t)cell_empty(c));
  } else if (choice < 4) {
    free_by_another(cell_empty(c));
  } else if (choice < 7 && other->block && other != c) {
    cells_swap(c, other);
  } else {
    object *before = c->block[c->word];
    object_let_go(before);
    c->id = object_new(&c->block[c->word], object_ids(1), &churn_finalized);
  }
}

static void *churn(void *seed) {
  rng random = {(uintptr_t)seed};
  static __thread cell cells[CHURN_CELLS];
  while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
    for (int i = 0; i < 64; i++) churn_step(cells, &random);
    void *plain = scalloc_boehm_malloc_atomic(heap, rng_below(&random, BLOCK_MOST));
    CHECK(plain != NULL);
    scalloc_boehm_free(heap, plain);
    __atomic_add_fetch(&churned, 64, __ATOMIC_RELAXED);
  }
  for (size_t i = 0; i < CHURN_CELLS; i++) {
    cell_check(&cells[i], "at the end of a thread");
    if (cells[i].block) scalloc_boehm_free(heap, (void *)(uintptr_t)cell_empty(&cells[i]));
  }
  return NULL;
}

/* ---- the oracle --------------------------------------------------------------------------------------------------------- */

typedef struct {
  cell *cells;
  size_t count, first; /* every other from the first on is freed */
  rng random;
} oracle;

static void *oracle_fill(void *data) {
  oracle *o = data;
  for (size_t i = 0; i < o->count; i++)
    if (o->cells[i].block == NULL) cell_fill(&o->cells[i], &o->random, &oracle_finalized);
  return NULL;
}

static void *oracle_check(void *data) {
  oracle *o = data;
  for (size_t i = 0; i < o->count; i++) cell_check(&o->cells[i], "of the oracle");
  return NULL;
}

static void *oracle_free(void *data) {
  oracle *o = data;
  for (size_t i = o->first; i < o->count; i += 2) scalloc_boehm_free(heap, (void *)(uintptr_t)cell_empty(&o->cells[i]));
  return NULL;
}

/* As libgc does it by itself in incremental mode, a step at each allocation. */
static void collect_in_steps(int collections) {
  for (int i = 0; i < collections; i++) {
    GC_start_incremental_collection();
    while (GC_collect_a_little()) continue;
  }
}

static void oracle_round(oracle *o, long expected) {
  elsewhere(oracle_fill, o);
  if (incremental) collect_in_steps(4);
  elsewhere(oracle_free, o);
  if (incremental) collect_in_steps(4);
  elsewhere(oracle_check, o);
  if (objects_count(&objects_wrong) != 0) lost("and finalized");
  if (!collect_until(&oracle_finalized, expected))
    test_fail(__FILE__, __LINE__, "%ld objects died, %ld were let go", objects_count(&oracle_finalized), expected);
  if (incremental)
    collect_in_steps(4);
  else
    for (int i = 0; i < 6; i++) GC_gcollect();
  elsewhere(oracle_check, o);
  CHECK_INT(objects_count(&oracle_finalized), ==, expected);
  o->first ^= 1;
}

/* All is let go: nothing is left of it. */
static void the_end(oracle *o, long expected) {
  for (o->first = 0; o->first < 2; o->first++) {
    for (size_t i = o->first; i < o->count; i += 2) expected += o->cells[i].block != NULL;
    for (size_t i = o->first; i < o->count; i += 2)
      if (o->cells[i].block) scalloc_boehm_free(heap, (void *)(uintptr_t)cell_empty(&o->cells[i]));
  }
  scalloc_boehm_free(heap, (void *)(uintptr_t)passed);
  CHECK(collect_until(&oracle_finalized, expected));
}

int main(int argc, char **argv) {
  long collections = option_number(argc, argv, "--collections", 1000), threads = option_number(argc, argv, "--threads", 2);
  oracle o = {.count = (size_t)option_number(argc, argv, "--blocks", 400) & ~(size_t)1, .random = {1}};
  pthread_t running[16];
  for (int i = 1; i < argc; i++) {
    incremental |= strcmp(argv[i], "--incremental") == 0;
    control |= strcmp(argv[i], "--control") == 0;
  }
  CHECK(threads >= 0 && threads <= (long)LENGTH(running));
  GC_INIT();
  if (incremental) GC_enable_incremental();
  CHECK(!incremental || GC_is_incremental_mode());
  heap = scalloc_boehm_heap_new();
  o.cells = calloc(o.count, sizeof *o.cells);
  CHECK(heap && o.cells);
  for (long i = 0; i < threads; i++) CHECK(pthread_create(&running[i], NULL, churn, (void *)(i + 2)) == 0);
  GC_word first = GC_get_gc_no();
  double start = now();
  long expected = 0;
  for (size_t all = o.count; GC_get_gc_no() - first < (GC_word)collections;) {
    expected += (long)all / 2;
    oracle_round(&o, expected);
  }
  if (getenv("GC_MARKERS")) CHECK_INT(GC_get_parallel() + 1, ==, strtol(getenv("GC_MARKERS"), NULL, 10));
  __atomic_store_n(&stop, true, __ATOMIC_RELEASE);
  for (long i = 0; i < threads; i++) CHECK(pthread_join(running[i], NULL) == 0);
  the_end(&o, expected);
  CHECK_INT(objects_count(&objects_wrong), ==, 0);
  printf("%lu collections in %.1f s, %ld objects of the oracle, %ld steps of %ld threads, %d markers\n",
         (unsigned long)(GC_get_gc_no() - first), now() - start, expected, churned, threads, GC_get_parallel() + 1);
  scalloc_boehm_heap_destroy(heap);
  free(o.cells);
  if (control) test_fail(__FILE__, __LINE__, "nothing was lost");
  return 0;
}
