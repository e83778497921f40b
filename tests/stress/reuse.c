/*
 * reuse.c - the reuse threshold t to the block, and spans that serve every size.
 *
 * A span of n blocks stays floating while at most t * n of them are free; the next free makes it reusable, and the owner's
 * next slow path takes it before the pool. The threshold is read once, so each t has a process of its own.
 *
 *   reuse
 */
#include "../test.h"
#include <pthread.h>

enum { FULL = 3, MOST_BLOCKS = (FULL + 2) * 2097152 / 16 };

static void *blocks[MOST_BLOCKS];
static size_t count;

static uintptr_t span_of(const void *block) { return (uintptr_t)block >> SPAN_SHIFT; }

/* ---- frees by the owner, or by another thread ------------------------------------------------------------------------- */

typedef struct job {
  size_t from, to;
} job;

static void *free_range(void *argument) {
  const job *range = argument;
  for (size_t i = range->from; i < range->to; i++) scalloc_free(blocks[i]);
  return NULL;
}

static void free_blocks(bool foreign, size_t from, size_t to) {
  pthread_t thread;
  job range = {from, to};
  if (!foreign)
    free_range(&range);
  else
    CHECK(pthread_create(&thread, NULL, free_range, &range) == 0 && pthread_join(thread, NULL) == 0);
}

/* ---- the threshold ---------------------------------------------------------------------------------------------------- */

/* Blocks until FULL spans are full and the next one has begun. The span in the middle: blocks[*from] to blocks[*to - 1]. */
static void fill_spans(scalloc_heap *heap, size_t size, size_t *from, size_t *to) {
  size_t spans = 0;
  for (count = 0; spans <= FULL; count++) {
    CHECK(count < MOST_BLOCKS && (blocks[count] = scalloc_heap_malloc(heap, size)));
    if (count > 0 && span_of(blocks[count]) == span_of(blocks[count - 1])) continue;
    spans++;
    if (spans == 2) *from = count;
    if (spans == 3) *to = count;
  }
}

/* The heap's next block that is not from the hot span comes from `span`, and neither pool nor arena were asked. */
static void check_taken_next(scalloc_heap *heap, size_t size, uintptr_t span) {
  stats before = stats_now();
  uintptr_t hot = span_of(blocks[count - 1]);
  do CHECK(count < MOST_BLOCKS && (blocks[count] = scalloc_heap_malloc(heap, size)));
  while (span_of(blocks[count++]) == hot);
  CHECK(span_of(blocks[count - 1]) == span);
  stats after = stats_now();
  CHECK_INT(after.pooled, ==, before.pooled);
  CHECK_INT(after.opened, ==, before.opened);
  CHECK_INT(after.reusable, ==, before.reusable - 1);
  CHECK_INT(after.hot, ==, before.hot);
}

static void threshold_is_exact(size_t size, size_t percent, bool foreign) {
  size_t from = 0, to = 0;
  stats before = stats_now();
  scalloc_heap *heap = scalloc_heap_new();
  fill_spans(heap, size, &from, &to);
  size_t n = to - from, threshold = n * percent / 100;
  stats full = stats_now();
  uintptr_t span = span_of(blocks[from]);
  for (size_t freed = 0; freed < threshold && freed < n - 1;) { /* in steps, the last one up to the threshold */
    size_t step = threshold - freed > 5 ? (threshold - freed) / 2 : 1;
    if (freed + step >= n) step = n - 1 - freed;
    free_blocks(foreign, from + freed, from + freed + step), freed += step;
    CHECK_INT(stats_now().reusable, ==, full.reusable);
    CHECK_INT(stats_now().floating, ==, full.floating);
  }
  size_t freed = threshold < n - 1 ? threshold : n - 1;
  free_blocks(foreign, from + freed, from + freed + 1);
  stats above = stats_now();
  if (freed + 1 == n) { /* empty: reusable at once or not, it is in the pool */
    CHECK_INT(above.pooled, ==, full.pooled + 1);
    CHECK_INT(above.reusable, ==, full.reusable);
  } else {
    CHECK_INT(above.reusable, ==, full.reusable + 1);
    CHECK_INT(above.pooled, ==, full.pooled);
    check_taken_next(heap, size, span);
  }
  scalloc_heap_destroy(heap);
  check_all_returned(before);
}

static void child_threshold(size_t percent) {
  static const size_t sizes[] = {16, 48, 256, 1000, 6144, 32768, 100000, 262144, 524288, 1048576};
  scalloc_free(scalloc_malloc(1));
  void *spare = scalloc_malloc(30 * MB); /* leaves free spans behind, which must not be preferred */
  scalloc_free(spare);
  for (size_t i = 0; i < LENGTH(sizes); i++) {
    threshold_is_exact(sizes[i], percent, false);
    threshold_is_exact(sizes[i], percent, true);
  }
}

/* ---- every span serves every size ------------------------------------------------------------------------------------- */

/* Allocates and frees `bytes` of one size; how many spans that took. */
static size_t use_and_free(size_t size, size_t bytes) {
  size_t spans = 0;
  count = bytes / size;
  CHECK(count <= MOST_BLOCKS);
  for (size_t i = 0; i < count; i++) {
    CHECK(blocks[i] = scalloc_malloc(size));
    *(char *)blocks[i] = 1;
    spans += i == 0 || span_of(blocks[i]) != span_of(blocks[i - 1]);
  }
  for (size_t i = 0; i < count; i++) scalloc_free(blocks[i]);
  return spans;
}

/* Without purges, which come by the clock: a heap that gives its empty hot spans back then takes others, in another order. */
static void spans_serve_every_size(void) {
  enum { CYCLES = 5 };
  size_t most = 0, classes = 0;
  long long second = 0, processors = sysconf(_SC_NPROCESSORS_ONLN);
  stats before = stats_now();
  for (int cycle = 0; cycle < CYCLES; cycle++) {
    for (size_t size = 16; size <= MB; size += size / 8 / 16 * 16 + (size < 128 ? 16 : 0), classes += cycle == 0) {
      size_t spans = use_and_free(size, size < 64 ? 8 * MB : 40 * MB);
      if (spans > most) most = spans;
    }
    if (cycle == 1) second = stats_now().opened; /* from here on every size has its hot span all the time */
  }
  stats after = stats_now();
  printf("%zu sizes, at most %zu spans for one: opened %lld after two cycles, %lld after %d\n", classes, most,
         second - before.opened, after.opened - before.opened, CYCLES);
  CHECK_INT(after.opened, <=, second + processors);
  CHECK_INT(after.opened - before.opened, <=, most + classes + (size_t)processors); /* each size may keep a hot span */
  check_all_returned(before);
}

int main(int argc, char **argv) {
  static const char *const thresholds[] = {"0", "20", "50", "80", "100"};
  if (argc > 1 && strcmp(argv[1], "spans") == 0) {
    scalloc_free(scalloc_malloc(1));
    spans_serve_every_size();
    return 0;
  }
  if (argc > 1) return child_threshold(strtoul(argv[1], NULL, 10)), 0;
  for (size_t i = 0; i < LENGTH(thresholds); i++) {
    char setting[64];
    snprintf(setting, sizeof setting, "SCALLOC_REUSE_THRESHOLD=%s", thresholds[i]);
    run_self_ok(thresholds[i], (char *[]){setting, NULL}, 0);
  }
#ifndef __SANITIZE_THREAD__ /* one thread, and 24 s of TSan's bookkeeping */
  run_self_ok("spans", (char *[]){"SCALLOC_PURGE_DELAY_MS=-1", NULL}, 0);
#endif
  return 0;
}
