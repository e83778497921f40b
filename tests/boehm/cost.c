/*
 * What a collection pays for blocks: nothing for pointer-free and for freed ones, the reading of their words for the others.
 * --pairs N: figures of malloc and free too, of N thousand blocks five times over; they are compared with nothing.
 */
#include "objects.h"

#include <gc/gc_mark.h>

enum { RUNS = 15, BLOCKS = 1 << 17 };

static int ascending(const void *a, const void *b) {
  double left = *(const double *)a, right = *(const double *)b;
  return (left > right) - (left < right);
}

/* Median of some collections, in ms. */
static double collection(void) {
  double times[RUNS];
  for (int i = 0; i < RUNS; i++) {
    double start = now();
    GC_gcollect();
    times[i] = 1e3 * (now() - start);
  }
  qsort(times, RUNS, sizeof times[0], ascending);
  return times[RUNS / 2];
}

static void **blocks[BLOCKS];

static size_t take(scalloc_boehm_heap *heap, void *(*allocate)(scalloc_boehm_heap *, size_t), size_t bytes, size_t size) {
  size_t n = bytes / size;
  CHECK(n <= BLOCKS);
  for (size_t i = 0; i < n; i++) CHECK((blocks[i] = allocate(heap, size)) != NULL);
  return n;
}

static void give(scalloc_boehm_heap *heap, size_t n, size_t keep) {
  for (size_t i = 0; i < n; i++)
    if (keep == 0 || i % keep != 0) scalloc_boehm_free(heap, blocks[i]);
}

/* Words that libgc might take for its own, in memory that it must not look at. */
static void write_all(size_t n, size_t words, void *value) {
  for (size_t i = 0; i < n; i++)
    for (size_t k = 0; k < words; k++) blocks[i][k] = value;
}

/* ns for a block and its free, a thousand blocks at a time; `heap` NULL: libgc's own uncollectable blocks. */
static double pair(scalloc_boehm_heap *heap, size_t size, long times) {
  enum { AT_ONCE = 1000 };
  double best = 1e9;
  for (int run = 0; run < 5; run++) {
    double start = now();
    for (long i = 0; i < times; i++) {
      for (int k = 0; k < AT_ONCE; k++) blocks[k] = heap ? scalloc_boehm_malloc(heap, size) : GC_MALLOC_UNCOLLECTABLE(size);
      for (int k = 0; k < AT_ONCE; k++)
        if (heap)
          scalloc_boehm_free(heap, blocks[k]);
        else
          GC_FREE(blocks[k]);
    }
    double each = 1e9 * (now() - start) / (double)times / AT_ONCE;
    if (each < best) best = each;
  }
  return best;
}

/* libgc sees by its range of addresses that a word is none of its own: blocks do not lie between its objects. */
static void blocks_are_implausible(scalloc_boehm_heap *heap) {
  for (size_t size = 16; size <= 64 * MB; size *= 16) {
    uintptr_t block = (uintptr_t)scalloc_boehm_malloc(heap, size);
    CHECK(block != 0);
    CHECK(block + size <= (uintptr_t)GC_least_plausible_heap_addr || block >= (uintptr_t)GC_greatest_plausible_heap_addr);
    scalloc_boehm_free(heap, (void *)block);
  }
}

int main(int argc, char **argv) {
  size_t megabytes = (size_t)option_number(argc, argv, "--megabytes", 100);
  long pairs = option_number(argc, argv, "--pairs", 0);
  GC_INIT();
  void *somebody = GC_MALLOC(100);
  scalloc_boehm_heap *heap = scalloc_boehm_heap_new();
  CHECK(heap && somebody);
  blocks_are_implausible(heap);
  double nothing = collection();
  size_t n = take(heap, scalloc_boehm_malloc_atomic, megabytes * MB, 1024);
  write_all(n, 128, somebody);
  double atomic = collection();
  give(heap, n, 0);
  n = take(heap, scalloc_boehm_malloc, megabytes * MB, 1024);
  double zeros = collection();
  write_all(n, 128, somebody);
  double pointers = collection();
  give(heap, n, 64);
  double few = collection();
  printf("%zu MB: nothing %.2f ms, pointer-free %.2f, scanned, zero %.2f, scanned, pointers %.2f, one in 64 left %.2f\n",
         megabytes, nothing, atomic, zeros, pointers, few);
  CHECK(atomic < 2 * nothing + 0.5);
  CHECK(few < pointers / 8 + nothing + 0.5);
  size_t tiny = take(heap, scalloc_boehm_malloc, megabytes * MB / 64, 16);
  double small = collection();
  printf("%zu MB of blocks of 16 bytes: %.2f ms\n", tiny * 16 / MB, small - few);
  scalloc_boehm_heap_destroy(heap);
  heap = scalloc_boehm_heap_new();
  static const size_t sizes[] = {16, 64, 256, 1024, 16384};
  for (size_t i = 0; pairs > 0 && i < LENGTH(sizes); i++)
    printf("%zu bytes, malloc and free: %.0f ns; GC_MALLOC_UNCOLLECTABLE and GC_FREE: %.0f ns\n", sizes[i],
           pair(heap, sizes[i], pairs), pair(NULL, sizes[i], pairs));
  scalloc_boehm_heap_destroy(heap);
  return 0;
}
