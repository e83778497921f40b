/*
 * test_refusal.c - one workload, run once for every call it makes to the OS, with that call refused; then once with that call
 * and all after it refused. No refusal may do more than make an allocation that needed the memory return NULL with ENOMEM.
 */
#include "unit.h"

#include <sys/mman.h>

enum { BLOCKS = 600, HEAPS = 600 }; /* so many heaps take two steps of their zone */

static void *blocks[BLOCKS];
static size_t sizes[BLOCKS], count;
static scalloc_heap *heaps[HEAPS];
static long refused_before;

/* Begins an operation that may be refused. */
static void begin(void) {
  refused_before = os_fake_refused(OS_RESERVE) + os_fake_refused(OS_OPEN);
  errno = 0;
}

/* NULL is right only if the OS refused memory during the operation. */
static bool came(const void *result) {
  if (result != NULL) return true;
  CHECK_INT(errno, ==, ENOMEM);
  CHECK_INT(os_fake_refused(OS_RESERVE) + os_fake_refused(OS_OPEN), >, refused_before);
  check_heap();
  return false;
}

static void keep(void *block, size_t size) {
  if (!came(block)) return;
  CHECK(count < BLOCKS);
  fill(block, size);
  blocks[count] = block;
  sizes[count++] = size;
}

static void allocate_every_class(void) {
  for (unsigned c = 0; c < CLASSES; c++)
    for (int k = 0; k < 2; k++) {
      size_t size = class_size(c) - (size_t)k;
      begin();
      keep(scalloc_malloc(size), size);
      begin();
      unsigned char *zeroed = scalloc_calloc(1, size);
      if (zeroed) CHECK(all_bytes(zeroed, size, 0));
      keep(zeroed, size);
    }
}

static void allocate_large_and_aligned(void) {
  for (size_t size = MB + 1; size <= 3 * MB; size = size * 2) {
    begin();
    keep(scalloc_malloc(size), size);
  }
  for (size_t alignment = 32; alignment <= 8 * MB; alignment *= 8) {
    begin();
    void *block = scalloc_aligned_alloc(alignment, 3 * alignment / 2);
    CHECK_INT((uintptr_t)block % alignment, ==, 0);
    keep(block, 3 * alignment / 2);
  }
}

static void resize(size_t at, size_t size) {
  begin();
  void *block = scalloc_realloc(blocks[at], size);
  if (!came(block)) {
    CHECK_INT(size, >, sizes[at]); /* a shrink never fails */
    CHECK(intact(blocks[at], sizes[at]));
    return;
  }
  CHECK(intact_prefix(block, size < sizes[at] ? size : sizes[at], blocks[at], sizes[at]));
  blocks[at] = block;
  sizes[at] = size;
  fill(block, size);
}

static void shrink_a_large_one(void) {
  size_t at = count;
  begin();
  keep(scalloc_malloc(7 * MB), 7 * MB);
  if (count > at) resize(at, 3 * MB / 2);
}

static void use_heaps(void) {
  for (int i = 0; i < HEAPS; i++) {
    begin();
    heaps[i] = scalloc_heap_new();
    if (!came(heaps[i]) || i % 100 != 0) continue;
    for (size_t size = 10; size < 3 * MB; size *= 7) {
      begin();
      void *block = scalloc_heap_malloc(heaps[i], size);
      if (came(block)) memset(block, 1, size < PAGE ? size : PAGE);
    }
  }
  for (int i = 0; i < HEAPS; i++) scalloc_heap_destroy(heaps[i]);
}

static void allocate_large_zeroed(void) {
  for (size_t size = MB + 1; size <= 3 * MB; size = size * 5 / 2) {
    begin();
    unsigned char *block = scalloc_calloc(1, size);
    if (block) CHECK(all_bytes(block, size, 0));
    keep(block, size);
  }
}

static void workload(void) {
  rng random = {3};
  count = 0;
  use_heaps();
  allocate_every_class();
  allocate_large_and_aligned();
  for (size_t i = 0; i < count; i += 3) resize(i, 1 + rng_log(&random, i % 5 ? 16 : 21));
  for (size_t i = 0; i < count; i += 4) resize(i, 1 + sizes[i] / 3);
  shrink_a_large_one();
  allocate_large_zeroed();
  for (size_t i = 0; i < count; i++) {
    CHECK(intact(blocks[i], sizes[i]));
    scalloc_free(blocks[i]);
  }
  scalloc_purge();
  check_heap();
  CHECK_INT(stats_now().live, ==, 0);
}

static struct {
  os_call call;
  long nth;
  bool all_after;
} refused;

static void refuse_and_work(void *context) {
  volatile bool *reached = context;
  CHECK(scalloc_option_set("SCALLOC_PURGE_DELAY_MS", 0));
  CHECK(scalloc_option_set("SCALLOC_ARENA_BYTES", (long)4 << 30));
  os_fake_refuse(refused.call, refused.nth, refused.all_after);
  workload();
  *reached = os_fake_reached(refused.call);
  os_fake_refuse(refused.call, 0, false);
  if (refused.call != OS_PURGE || refused.nth % 8 == 1) workload(); /* as if nothing had been */
  for (os_call call = OS_RESERVE; call <= OS_PURGE; call++)
    if (call != refused.call) CHECK_INT(os_fake_refused(call), ==, 0);
}

static void refuse_each(os_call call, bool all_after, long at_least) {
  volatile bool *reached = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  long n = 0;
  do {
    refused.call = call, refused.nth = ++n, refused.all_after = all_after;
    if (!unit_child(refuse_and_work, (void *)(uintptr_t)reached, 60))
      test_fail(__FILE__, __LINE__, "with call %ld of kind %d refused", n, (int)call);
  } while (*reached && n < 400);
  CHECK_INT(n - 1, >=, at_least);
}

static void any_one_reservation(void) { refuse_each(OS_RESERVE, false, 1); }
static void all_reservations_from_one_on(void) { refuse_each(OS_RESERVE, true, 1); }
static void any_one_opening(void) { refuse_each(OS_OPEN, false, 4); }
static void all_openings_from_one_on(void) { refuse_each(OS_OPEN, true, 4); }
static void any_one_purge(void) { refuse_each(OS_PURGE, false, 50); }
static void all_purges_from_one_on(void) { refuse_each(OS_PURGE, true, 50); }

/* With every span in use by another class, and nothing to be had. */
static void a_shrink_never_fails(void) {
  char *large, *block, *last = NULL;
  CHECK(scalloc_option_set("SCALLOC_ARENA_BYTES", 64 << 20));
  CHECK((large = scalloc_malloc(5 * MB)) != NULL);
  memset(large, 7, 5 * MB);
  while ((block = scalloc_malloc(MB)) != NULL) memset(last = block, 7, MB);
  os_fake_refuse(OS_PURGE, 1, true);
  errno = 77;
  CHECK(scalloc_realloc(last, 100) == last);
  CHECK(scalloc_realloc(large, 3 * MB) == large);
  CHECK(scalloc_realloc(large, 1000) == large);
  CHECK_INT(errno, ==, 77);
  CHECK(all_bytes(last, MB, 7) && all_bytes(large, 1000, 7));
  CHECK(scalloc_realloc(last, MB + 1) == NULL);
  CHECK_INT(errno, ==, ENOMEM);
  check_heap();
}

UNIT_MAIN(CASE(a_shrink_never_fails), CASE(any_one_reservation), CASE(all_reservations_from_one_on), CASE(any_one_opening),
          CASE(all_openings_from_one_on), CASE(any_one_purge), CASE(all_purges_from_one_on))
