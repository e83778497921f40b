/*
 * shadow.c - random operations of every kind against a model that knows each live block.
 *
 * Each thread owns private blocks and exchanges others through shared slots, so that blocks are resized and freed by threads
 * that did not make them. A block carries a pattern of its address and size; it is verified when it is resized, freed and in
 * sweeps. At the end of each round all threads stand still and one of them audits: intervals disjoint, scalloc_find agrees,
 * scalloc_check holds. At the end everything is freed, half of it by another thread than the last holder, and every span must
 * be back in the pool.
 *
 *   shadow [--threads N] [--ops N] [--seed N] [--seconds N]
 */
#include "../test.h"
#include <pthread.h>
#include <stdatomic.h>
#ifdef HAVE_LUA_ALLOC
#include <scalloc/lua_alloc.h>
#endif

enum { PRIVATE = 1500, SHARED = 2000, MOST_THREADS = 64, ROUNDS = 8 };

/* How a block was made, and with it who may do what to it. */
typedef enum kind {
  PLAIN,    /* scalloc_*: everybody, everything */
  OF_HEAP,  /* scalloc_heap_*: the holder of the heap also through it */
  SCRATCH,  /* of a heap that dies with its blocks: never shared */
  LUA_ANY,  /* scalloc_lua_alloc without a heap: everybody, through the same function */
  LUA_HEAP, /* of an exclusive Lua heap: never shared */
  KINDS
} kind;

typedef struct record {
  unsigned char *block;
  size_t size;
  kind kind;
  scalloc_heap *heap; /* of OF_HEAP */
} record;

typedef struct worker {
  rng random;
  record *slots[PRIVATE];
  scalloc_heap *heap, *scratch;
  void *lua; /* scalloc_lua_heap, NULL without one */
  pthread_t thread;
} worker;

static worker workers[MOST_THREADS];
static _Atomic(record *) shared[SHARED];
static long threads, ops_per_round, seconds;
static double started;
static atomic_bool finished;
static pthread_barrier_t barrier;

/* ---- one block ------------------------------------------------------------------------------------------------------- */

static size_t random_size(rng *random) {
  size_t dice = rng_below(random, 1000);
  if (dice < 5) return 0;
  if (dice < 800) return 1 + rng_below(random, 256);
  return rng_log(random, dice < 950 ? 12 : dice < 990 ? 16 : dice < 999 ? 20 : 22);
}

static void *lua_call(void *heap, void *block, size_t osize, size_t nsize) {
#ifdef HAVE_LUA_ALLOC
  return scalloc_lua_alloc(heap, block, osize, nsize);
#else
  (void)heap;
  (void)osize;
  if (nsize == 0) return scalloc_free(block), NULL;
  return scalloc_realloc(block, nsize);
#endif
}

/* What a new block must be like. */
typedef struct promise {
  size_t alignment;
  bool zeroed;
} promise;

static void *allocate(worker *w, kind made, size_t size, promise *p) {
  rng *random = &w->random;
  scalloc_heap *heap = made == OF_HEAP ? w->heap : w->scratch;
  size_t alignment = (size_t)1 << rng_below(random, rng_percent(random, 5) ? 22 : 12);
  unsigned way = (unsigned)rng_below(random, 10);
  *p = (promise){size > 8 ? 16 : 8, way == 0 && made <= SCRATCH};
  if (made >= LUA_ANY)
    p->alignment = size % 16 ? 8 : 16;
  else if (way == 1)
    p->alignment = alignment;
  if (made >= LUA_ANY) return lua_call(made == LUA_HEAP ? w->lua : NULL, NULL, 4 + rng_below(random, 7), size);
  if (made == PLAIN) {
    if (way == 1) return scalloc_aligned_alloc(alignment, size);
    return way == 0 ? scalloc_calloc(size, 1) : way == 2 ? scalloc_realloc(NULL, size) : scalloc_malloc(size);
  }
  if (way == 1) return scalloc_heap_aligned_alloc(heap, alignment, size);
  if (way == 2) return scalloc_heap_realloc(heap, NULL, size);
  return way == 0 ? scalloc_heap_calloc(heap, 1, size) : scalloc_heap_malloc(heap, size);
}

static record *make(worker *w) {
  record *r = malloc(sizeof *r);
  promise promised;
  CHECK(r != NULL);
  r->kind = (kind)rng_below(&w->random, KINDS);
  r->size = random_size(&w->random) + (r->kind >= LUA_ANY); /* Lua knows no block of size 0 */
  r->heap = r->kind == OF_HEAP ? w->heap : NULL;
  r->block = allocate(w, r->kind, r->size, &promised);
  CHECK(r->block != NULL);
  CHECK_INT((uintptr_t)r->block % promised.alignment, ==, 0);
  CHECK_INT(scalloc_usable_size(r->block), >=, r->size);
  if (promised.zeroed) CHECK(all_bytes(r->block, r->size, 0));
  fill(r->block, r->size);
  return r;
}

static void destroy(worker *w, record *r) {
  CHECK(intact(r->block, r->size));
  if (r->kind >= LUA_ANY)
    CHECK(lua_call(r->kind == LUA_HEAP ? w->lua : NULL, r->block, r->size, 0) == NULL);
  else if (r->kind == SCRATCH)
    scalloc_heap_free(w->scratch, r->block);
  else if (r->kind == OF_HEAP && r->heap == w->heap)
    scalloc_heap_free(w->heap, r->block);
  else if (rng_percent(&w->random, 10))
    CHECK(scalloc_realloc(r->block, 0) == NULL);
  else if (rng_percent(&w->random, 50))
    scalloc_free_sized(r->block, r->size);
  else
    scalloc_free(r->block);
  free(r);
}

static void resize(worker *w, record *r) {
  size_t size = 1 + random_size(&w->random);
  unsigned char *old = r->block;
  CHECK(intact(old, r->size));
  if (r->kind >= LUA_ANY)
    r->block = lua_call(r->kind == LUA_HEAP ? w->lua : NULL, old, r->size, size);
  else if (r->kind == SCRATCH)
    r->block = scalloc_heap_realloc(w->scratch, old, size);
  else if (r->kind == OF_HEAP && r->heap == w->heap)
    r->block = scalloc_heap_realloc(w->heap, old, size);
  else
    r->block = scalloc_realloc(old, size), r->kind = PLAIN; /* wherever it lies now, anybody may free it */
  CHECK(r->block != NULL);
  CHECK(intact_prefix(r->block, size < r->size ? size : r->size, old, r->size));
  r->size = size;
  fill(r->block, size);
}

/* ---- what threads do ------------------------------------------------------------------------------------------------- */

static void exchange(worker *w, record **slot) {
  if (*slot && ((*slot)->kind == SCRATCH || (*slot)->kind == LUA_HEAP)) return;
  *slot = atomic_exchange(&shared[rng_below(&w->random, SHARED)], *slot);
}

/* The scratch heap dies with all its blocks. */
static void drop_scratch(worker *w) {
  for (size_t i = 0; i < PRIVATE; i++) {
    if (!w->slots[i] || w->slots[i]->kind != SCRATCH) continue;
    CHECK(intact(w->slots[i]->block, w->slots[i]->size));
    free(w->slots[i]);
    w->slots[i] = NULL;
  }
  scalloc_heap_destroy(w->scratch);
  CHECK(w->scratch = scalloc_heap_new());
}

static void step(worker *w) {
  record **slot = &w->slots[rng_below(&w->random, PRIVATE)];
  size_t dice = rng_below(&w->random, 100);
  if (dice < 25) exchange(w, slot);
  if (!*slot)
    *slot = make(w);
  else if (dice < 40)
    resize(w, *slot);
  else if (dice < 50)
    CHECK(intact((*slot)->block, (*slot)->size));
  else
    destroy(w, *slot), *slot = NULL;
}

static void collect(record *r, extent *extents, size_t *count) {
  if (!r) return;
  scalloc_block found;
  CHECK(intact(r->block, r->size));
  CHECK(scalloc_find(r->block + r->size / 2, &found) && found.live);
  CHECK((unsigned char *)found.start <= r->block && r->block + r->size <= (unsigned char *)found.start + found.size);
  extents[(*count)++] = (extent){(uintptr_t)found.start, (uintptr_t)found.start + found.size};
}

/* While all threads stand still. */
static void audit(void) {
  static extent extents[MOST_THREADS * PRIVATE + SHARED];
  size_t count = 0, bytes = 0;
  for (long t = 0; t < threads; t++)
    for (size_t i = 0; i < PRIVATE; i++) collect(workers[t].slots[i], extents, &count);
  for (size_t i = 0; i < SHARED; i++) collect(shared[i], extents, &count);
  check_disjoint(extents, count);
  for (size_t i = 0; i < count; i++) bytes += extents[i].end - extents[i].start;
  check_heap();
  stats s = stats_now();
  check_span_sum(s);
  CHECK_INT(s.live, >=, bytes);
}

static bool audit_and_decide(long *round) {
  if (pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD) {
    audit();
    bool more = seconds > 0 ? now() - started < (double)seconds : *round + 1 < ROUNDS;
    atomic_store(&finished, !more);
  }
  pthread_barrier_wait(&barrier);
  ++*round;
  return !atomic_load(&finished);
}

static void *work(void *argument) {
  worker *w = argument;
  long round = 0;
  do {
    for (long i = 0; i < ops_per_round; i++) step(w);
    drop_scratch(w);
  } while (audit_and_decide(&round));
  if ((w - workers) % 2 == 0) /* the others leave what they have to the main thread, which frees it after they are gone */
    for (size_t i = 0; i < PRIVATE; i++)
      if (w->slots[i]) destroy(w, w->slots[i]), w->slots[i] = NULL;
  return NULL;
}

/* ---- the program ----------------------------------------------------------------------------------------------------- */

static void open_worker(worker *w, uint64_t seed) {
  w->random.state = seed;
  CHECK(w->heap = scalloc_heap_new());
  CHECK(w->scratch = scalloc_heap_new());
#ifdef HAVE_LUA_ALLOC
  CHECK(w->lua = scalloc_lua_heap_new(NULL));
#endif
}

static void close_worker(worker *w) {
  for (size_t i = 0; i < PRIVATE; i++)
    if (w->slots[i]) destroy(w, w->slots[i]);
  scalloc_heap_destroy(w->scratch);
#ifdef HAVE_LUA_ALLOC
  CHECK_INT(scalloc_lua_used(w->lua), ==, 0);
  scalloc_lua_heap_destroy(w->lua);
#endif
}

int main(int argc, char **argv) {
  threads = option_number(argc, argv, "--threads", 4);
  seconds = option_number(argc, argv, "--seconds", 0);
  ops_per_round = option_number(argc, argv, "--ops", 1000000) / (threads > 0 ? threads : 1) / ROUNDS + 1;
  uint64_t seed = (uint64_t)option_number(argc, argv, "--seed", 1);
  CHECK(threads >= 1 && threads <= MOST_THREADS);
  scalloc_free(scalloc_malloc(1));
  stats before = stats_now();
  started = now();
  CHECK(pthread_barrier_init(&barrier, NULL, (unsigned)threads) == 0);
  for (long t = 0; t < threads; t++) open_worker(&workers[t], seed * 1000 + (uint64_t)t);
  for (long t = 0; t < threads; t++) CHECK(pthread_create(&workers[t].thread, NULL, work, &workers[t]) == 0);
  for (long t = 0; t < threads; t++) CHECK(pthread_join(workers[t].thread, NULL) == 0);
  check_heap();
  for (size_t i = 0; i < SHARED; i++)
    if (shared[i]) destroy(&workers[0], shared[i]);
  for (long t = 0; t < threads; t++) close_worker(&workers[t]);
  for (long t = 0; t < threads; t++) scalloc_heap_destroy(workers[t].heap); /* blocks of one may have been anywhere */
  check_all_returned(before);
  printf("%ld threads, seed %llu: %.1f s\n", threads, (unsigned long long)seed, now() - started);
  return 0;
}
