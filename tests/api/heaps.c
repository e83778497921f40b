/* First-class heaps: allocation, hand-over between threads, foreign frees, destruction as a whole. */
#include "../test.h"
#include <pthread.h>
#include <stdatomic.h>

static void the_functions_are_those_of_the_thread_heap(void) {
  stats before = stats_now();
  scalloc_heap *heap = scalloc_heap_new();
  CHECK(heap != NULL);
  for (size_t size = 0; size <= 5 * MB; size = size * 5 / 4 + 1) {
    unsigned char *plain = scalloc_heap_malloc(heap, size), *clear = scalloc_heap_calloc(heap, size, 1);
    unsigned char *aligned = scalloc_heap_aligned_alloc(heap, 4096, size);
    CHECK(plain && clear && aligned && all_bytes(clear, size, 0));
    CHECK_INT((uintptr_t)plain % (size <= 8 ? 8 : 16), ==, 0);
    CHECK_INT((uintptr_t)aligned % 4096, ==, 0);
    CHECK_INT(scalloc_usable_size(plain), ==, scalloc_good_size(size));
    fill(plain, size);
    unsigned char *grown = scalloc_heap_realloc(heap, plain, 2 * size + 1);
    CHECK(grown && intact_prefix(grown, size, plain, size));
    CHECK(scalloc_heap_realloc(heap, grown, 0) == NULL);
    errno = EBADF;
    scalloc_heap_free(heap, aligned);
    scalloc_heap_free(heap, NULL);
    CHECK_INT(errno, ==, EBADF);
    scalloc_free(clear);
  }
  void *block = scalloc_heap_realloc(heap, NULL, 50);
  CHECK(block && scalloc_usable_size(block) >= 50);
  scalloc_heap_free(heap, block);
  CHECK_INT(stats_now().live, ==, before.live);
  scalloc_heap_destroy(heap);
}

static void errors_are_those_of_the_thread_heap(void) {
  scalloc_heap *heap = scalloc_heap_new();
  errno = 0;
  CHECK(!scalloc_heap_malloc(heap, SIZE_MAX) && errno == ENOMEM);
  errno = 0;
  CHECK(!scalloc_heap_calloc(heap, SIZE_MAX / 2, 3) && errno == ENOMEM);
  errno = 0;
  CHECK(!scalloc_heap_realloc(heap, NULL, (size_t)PTRDIFF_MAX + 1) && errno == ENOMEM);
  errno = 0;
  CHECK(!scalloc_heap_aligned_alloc(heap, 64, SIZE_MAX) && errno == ENOMEM);
  errno = 0;
  CHECK(!scalloc_heap_aligned_alloc(heap, 48, 10) && errno == EINVAL);
  scalloc_heap_destroy(heap);
}

static void realloc_moves_to_the_heap_it_is_given(void) {
  scalloc_heap *heap = scalloc_heap_new();
  unsigned char *old = scalloc_malloc(100);
  fill(old, 100);
  unsigned char *block = scalloc_heap_realloc(heap, old, 10000);
  scalloc_block found;
  CHECK(block && intact_prefix(block, 100, old, 100));
  CHECK(scalloc_find(block, &found) && found.heap == heap);
  scalloc_heap_destroy(heap);
}

/* ---- hand-over ------------------------------------------------------------------------------------------------------- */

enum { STATIONS = 12, PER_STATION = 3000 };

typedef struct baton {
  scalloc_heap *heap;
  unsigned char *blocks[STATIONS * PER_STATION];
  size_t sizes[STATIONS * PER_STATION];
  size_t station;
} baton;

/* Each thread allocates its share and frees half of what its predecessor left. */
static void *run_station(void *argument) {
  baton *b = argument;
  rng random = {b->station};
  for (size_t i = b->station * PER_STATION; i < (b->station + 1) * PER_STATION; i++) {
    b->sizes[i] = rng_log(&random, 12);
    CHECK(b->blocks[i] = scalloc_heap_malloc(b->heap, b->sizes[i]));
    fill(b->blocks[i], b->sizes[i]);
    if (b->station > 0 && i % 2 == 0) {
      CHECK(intact(b->blocks[i - PER_STATION], b->sizes[i - PER_STATION]));
      scalloc_heap_free(b->heap, b->blocks[i - PER_STATION]);
      b->blocks[i - PER_STATION] = NULL;
    }
  }
  return NULL;
}

static void a_heap_may_be_handed_from_thread_to_thread(void) {
  static baton b;
  stats before = stats_now();
  CHECK(b.heap = scalloc_heap_new());
  for (b.station = 0; b.station < STATIONS; b.station++) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, run_station, &b) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
  }
  check_heap();
  for (size_t i = 0; i < LENGTH(b.blocks); i++) {
    if (!b.blocks[i]) continue;
    CHECK(intact(b.blocks[i], b.sizes[i]));
    scalloc_heap_free(b.heap, b.blocks[i]);
  }
  scalloc_heap_destroy(b.heap);
  check_all_returned(before);
}

/* ---- foreign frees --------------------------------------------------------------------------------------------------- */

enum { SLOTS = 512, FREERS = 3, FOREIGN_ROUNDS = 300000 };
static _Atomic(unsigned char *) slots[SLOTS]; /* each holds NULL or a block whose first 8 bytes are its size */
static atomic_bool owner_done;
static atomic_size_t foreign_frees;

static void free_checked(unsigned char *block) {
  size_t size;
  memcpy(&size, block, sizeof size);
  CHECK(size < 100000 && intact(block + sizeof size, size - sizeof size));
  scalloc_free(block);
}

static void *free_what_the_owner_publishes(void *argument) {
  rng random = {(uintptr_t)argument};
  while (!atomic_load(&owner_done)) {
    unsigned char *block = atomic_exchange(&slots[rng_below(&random, SLOTS)], NULL);
    if (block) free_checked(block), atomic_fetch_add(&foreign_frees, 1);
  }
  return NULL;
}

static void any_thread_may_free_while_the_owner_allocates(void) {
  stats before = stats_now();
  scalloc_heap *heap = scalloc_heap_new();
  pthread_t threads[FREERS];
  for (size_t i = 0; i < FREERS; i++)
    CHECK(pthread_create(&threads[i], NULL, free_what_the_owner_publishes, (void *)(i + 1)) == 0);
  rng random = {99};
  for (int i = 0; i < FOREIGN_ROUNDS; i++) {
    size_t size = sizeof size + rng_log(&random, 11);
    unsigned char *block = scalloc_heap_malloc(heap, size);
    CHECK(block != NULL);
    memcpy(block, &size, sizeof size);
    fill(block + sizeof size, size - sizeof size);
    block = atomic_exchange(&slots[rng_below(&random, SLOTS)], block);
    if (block) free_checked(block);
  }
  atomic_store(&owner_done, true);
  for (size_t i = 0; i < FREERS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  CHECK_INT(foreign_frees, >, 0);
  check_heap();
  for (size_t i = 0; i < SLOTS; i++)
    if (slots[i]) free_checked(slots[i]);
  scalloc_heap_destroy(heap);
  check_all_returned(before);
}

/* ---- destruction ----------------------------------------------------------------------------------------------------- */

static void destroying_a_heap_frees_all_its_blocks(void) {
  stats before = stats_now();
  scalloc_heap *heap = scalloc_heap_new();
  rng random = {3};
  size_t asked = 0;
  for (int i = 0; i < 50000; i++) {
    size_t size = rng_log(&random, i % 100 == 0 ? 22 : 10); /* now and then up to 4 MB */
    void *block = scalloc_heap_malloc(heap, size);
    CHECK(block != NULL);
    memset(block, 1, size < 4096 ? size : 4096);
    asked += size;
  }
  stats full = stats_now();
  CHECK_INT(full.live - before.live, >=, asked);
  check_heap();
  scalloc_heap_destroy(heap);
  stats after = stats_now();
  CHECK_INT(after.live, ==, before.live);
  CHECK_INT(after.opened, ==, full.opened);
  CHECK_INT(after.pooled - before.pooled, >=, after.opened - before.opened); /* every span it had opened is free */
  CHECK_INT(after.hot + after.floating + after.reusable + after.large, ==,
            before.hot + before.floating + before.reusable + before.large);
  check_all_returned(before);
}

/* Median time to destroy a heap that holds `bytes` in blocks of `size`; *spans: how many spans that were. */
static double time_of_destroy(size_t bytes, size_t size, long long *spans) {
  enum { TIMES = 9 };
  double times[TIMES];
  for (int i = 0; i < TIMES; i++) {
    stats before = stats_now();
    scalloc_heap *heap = scalloc_heap_new();
    for (size_t k = 0; k < bytes / size; k++) {
      unsigned char *block = scalloc_heap_malloc(heap, size);
      CHECK(block != NULL);
      for (size_t at = 0; at < size; at += 4096) block[at] = 1; /* equal memory in all sizes */
    }
    stats full = stats_now();
    *spans = full.hot + full.floating + full.reusable - before.hot - before.floating - before.reusable;
    double start = now();
    scalloc_heap_destroy(heap);
    double time = now() - start;
    int at = i;
    for (; at > 0 && times[at - 1] > time; at--) times[at] = times[at - 1];
    times[at] = time;
  }
  return times[TIMES / 2];
}

/* 1,024 times as many blocks in no more memory: per span the same time, within a generous 8, plus 20 us of noise. */
static void the_time_of_destroy_does_not_depend_on_the_number_of_blocks(void) {
  long long few_spans, many_spans;
  double few = time_of_destroy(64 * MB, 32768, &few_spans);
  double many = time_of_destroy(64 * MB, 32, &many_spans);
  CHECK_INT(few_spans, >, 0);
  CHECK_INT(many_spans, >, 0);
  double scale = (double)many_spans / (double)few_spans;
  if (many > 8 * few * (scale > 1 ? scale : 1) + 20e-6) {
    test_fail(__FILE__, __LINE__, "destroy: 2,048 blocks in %lld spans %.1f us, 2,097,152 in %lld spans %.1f us", few_spans,
              1e6 * few, many_spans, 1e6 * many);
  }
}

static void a_thousand_heaps_live_side_by_side(void) {
  enum { COUNT = 1000, BLOCKS = 12 };
  static scalloc_heap *heaps[COUNT];
  static unsigned char *blocks[COUNT][BLOCKS];
  stats before = stats_now();
  for (size_t i = 0; i < COUNT; i++) CHECK(heaps[i] = scalloc_heap_new());
  for (size_t k = 0; k < BLOCKS; k++) /* interleaved */
    for (size_t i = 0; i < COUNT; i++) {
      CHECK(blocks[i][k] = scalloc_heap_malloc(heaps[i], (size_t)1 << k));
      fill(blocks[i][k], (size_t)1 << k);
    }
  for (size_t i = 0; i < COUNT; i++)
    for (size_t k = 0; k < BLOCKS; k++) {
      scalloc_block found;
      CHECK(scalloc_find(blocks[i][k], &found) && found.heap == heaps[i] && found.live);
      CHECK(intact(blocks[i][k], (size_t)1 << k));
    }
  check_heap();
  for (size_t i = 1; i < COUNT; i += 2) scalloc_heap_destroy(heaps[i]);
  for (size_t i = 0; i < COUNT; i += 2)
    for (size_t k = 0; k < BLOCKS; k++) CHECK(intact(blocks[i][k], (size_t)1 << k));
  for (size_t i = 0; i < COUNT; i += 2) scalloc_heap_destroy(heaps[i]);
  check_all_returned(before);
}

int main(void) {
  scalloc_free(scalloc_malloc(1));
  scalloc_heap_destroy(scalloc_heap_new());
  the_functions_are_those_of_the_thread_heap();
  errors_are_those_of_the_thread_heap();
  realloc_moves_to_the_heap_it_is_given();
  a_heap_may_be_handed_from_thread_to_thread();
  any_thread_may_free_while_the_owner_allocates();
  destroying_a_heap_frees_all_its_blocks();
  if (!TEST_TRACKED) the_time_of_destroy_does_not_depend_on_the_number_of_blocks();
  a_thousand_heaps_live_side_by_side();
  check_heap();
  return 0;
}
