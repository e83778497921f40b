/*
 * disjoint.c - property 2: blocks never overlap, stay inside their real span, and are aligned.
 *
 *   disjoint [--ops N]   N operations in all, shared among 1, 2, 5 and 16 threads in turn
 *
 * A bitmap has a bit for every 16 bytes of the arena. Who gets a block sets the bits of all its usable bytes and finds a bit
 * that is set already if any other live block reaches there; who gives it back clears them. A pattern in each block finds
 * writes of the allocator itself. A tenth of the blocks change hands between threads.
 */
#include "properties.h"

#include <stdatomic.h>
#include <sys/mman.h>

enum { OWN = 2000, PHASE = 6000, SHARED = 200, THREADS_MAX = 16, GRAIN = 16, WORD_BITS = 64 };
#define ARENA ((size_t)1 << 36)

typedef struct head { /* at the start of every block */
  size_t size;
} head;

static _Atomic uint64_t *claims;
static _Atomic(head *) shared[SHARED];
static long ops;

/* ---- the bitmap ------------------------------------------------------------------------------------------------------- */

static void claim_word(size_t at, uint64_t bits, bool claim) {
  uint64_t before = claim ? atomic_fetch_or(&claims[at], bits) : atomic_fetch_and(&claims[at], ~bits);
  if ((before & bits) != (claim ? 0 : bits)) test_fail(__FILE__, __LINE__, "a block overlaps a live one");
}

static void mark(const void *block, bool claim) {
  uintptr_t offset = (uintptr_t)block - arena.base;
  size_t from = offset / GRAIN, to = (offset + scalloc_usable_size(block) + GRAIN - 1) / GRAIN;
  for (size_t at = from / WORD_BITS; at * WORD_BITS < to; at++) {
    size_t low = at * WORD_BITS, begin = from > low ? from - low : 0, end = to - low < WORD_BITS ? to - low : WORD_BITS;
    uint64_t upto = end == WORD_BITS ? UINT64_MAX : ((uint64_t)1 << end) - 1;
    claim_word(at, upto & (UINT64_MAX << begin), claim);
  }
}

/* ---- one block -------------------------------------------------------------------------------------------------------- */

static void check_place(const void *block, size_t size, size_t alignment) {
  const span *s = span_of(block);
  uintptr_t address = (uintptr_t)block;
  CHECK(s != NULL);
  CHECK_INT(scalloc_usable_size(block), >=, size);
  CHECK_INT(address % 16, ==, 0);
  CHECK_INT(address % alignment, ==, 0);
  if (s->block == 0) return; /* a run: no neighbour in its spans */
  CHECK_INT(address % (s->block & -s->block), ==, 0);
  CHECK_INT((size_t)(address - (uintptr_t)span_start(s)) + s->block, <=, s->limit); /* own span: nobody else moves its end */
}

static head *dress(head *block, size_t size, size_t alignment) {
  CHECK(block != NULL);
  check_place(block, size, alignment);
  mark(block, true);
  block->size = size;
  fill(block + 1, size - sizeof *block);
  return block;
}

static void check_contents(const head *block) { CHECK(intact(block + 1, block->size - sizeof *block)); }

static void give_back(head *block) {
  if (!block) return;
  check_contents(block);
  mark(block, false);
  scalloc_free(block);
}

static _Thread_local size_t favourite; /* of one class there are so many blocks that its real spans fill up */

static size_t random_size(rng *random) {
  size_t dice = rng_below(random, 1000);
  if (dice < 500) return favourite;
  return sizeof(head) + (dice < 950 ? rng_log(random, 11) : dice < 998 ? rng_log(random, 20) : rng_log(random, 22));
}

static head *make(rng *random) {
  size_t size = random_size(random), alignment = (size_t)1 << rng_below(random, 15);
  switch (rng_below(random, 4)) {
  case 0:
    return dress(scalloc_aligned_alloc(alignment, size), size, alignment);
  case 1: {
    head *block = scalloc_calloc(1, size);
    CHECK(block && all_bytes(block, size < 4096 ? size : 4096, 0));
    return dress(block, size, 1);
  }
  default:
    return dress(scalloc_malloc(size), size, 1);
  }
}

static head *resize(head *block, rng *random) {
  size_t old = block->size, size = random_size(random);
  uintptr_t origin = (uintptr_t)block;
  check_contents(block);
  mark(block, false); /* while it is being moved its old place may become somebody else's */
  head *moved = scalloc_realloc(block, size);
  CHECK(moved != NULL);
  CHECK_INT(moved->size, ==, old);
  size_t kept = (old < size ? old : size) - sizeof(head);
  CHECK(intact_prefix(moved + 1, kept, (const head *)origin + 1, old - sizeof(head)));
  CHECK_INT((uintptr_t)moved % 16, ==, 0);
  mark(moved, true);
  moved->size = size;
  fill(moved + 1, size - sizeof(head));
  return moved;
}

/* ---- threads ---------------------------------------------------------------------------------------------------------- */

static void *work(void *argument) {
  rng random = {(uintptr_t)argument};
  head *own[OWN] = {NULL};
  for (long i = 0; i < ops; i++) {
    head **at = &own[rng_below(&random, OWN)];
    size_t dice = rng_below(&random, 100);
    if (i % PHASE == 0) favourite = sizeof(head) + rng_log(&random, 10);
    if (dice < 10)
      *at = atomic_exchange(&shared[rng_below(&random, SHARED)], *at);
    else if (!*at)
      *at = make(&random);
    else if (dice < 25)
      *at = resize(*at, &random);
    else
      give_back(*at), *at = NULL;
  }
  for (size_t i = 0; i < OWN; i++) give_back(own[i]);
  return NULL;
}

static void with_threads(size_t count, long all) {
  pthread_t threads[THREADS_MAX];
  ops = all / (long)count;
  for (size_t i = 0; i < count; i++) CHECK(pthread_create(&threads[i], NULL, work, (void *)(count * 100 + i)) == 0);
  for (size_t i = 0; i < count; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  for (size_t i = 0; i < SHARED; i++) give_back(atomic_exchange(&shared[i], NULL));
}

static void disjoint(void) {
  static const size_t counts[] = {1, 2, 5, 16};
  long all = argument("--ops", 1000000);
  size_t bytes = ARENA / GRAIN / 8;
  CHECK(scalloc_option_set("SCALLOC_ARENA_BYTES", (long)ARENA));
  scalloc_free(scalloc_malloc(1));
  claims = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(claims != MAP_FAILED && (size_t)arena.spans << SPAN_SHIFT <= ARENA);
  stats before = stats_now();
  for (size_t i = 0; i < LENGTH(counts); i++) {
    with_threads(counts[i], all / (long)LENGTH(counts));
    check_all_returned(before);
  }
  for (size_t i = 0; i < ((size_t)arena_high_water() << SPAN_SHIFT) / GRAIN / WORD_BITS; i++) CHECK(claims[i] == 0);
  printf("%ld operations on 1 to 16 threads\n", all);
}

MODES(MODE(disjoint))
