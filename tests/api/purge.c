/* scalloc_purge: what is free goes back to the operating system, memory and page tables. */
#include "../test.h"
#include <pthread.h>
#include <sys/mman.h>

enum { BLOCKS = 4000000, SLACK_KB = 1024 };
static void *blocks[BLOCKS];
static bool tables_are_freed; /* by this kernel, when 2 MB are given back as a whole: Linux 6.14 and later */

/* Asked of the kernel itself, so that a backport or a switched-off PT_RECLAIM is seen. */
static bool kernel_frees_page_tables(void) {
  enum { REGIONS = 512 };
  size_t step = 2 * MB, length = (REGIONS + 1) * step;
  unsigned char *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(memory != MAP_FAILED);
  madvise(memory, length, MADV_NOHUGEPAGE);
  unsigned char *first = memory + (step - (uintptr_t)memory % step) % step;
  for (size_t i = 0; i < REGIONS; i++) first[i * step] = 1;
  long before = pte_kb();
  for (size_t i = 0; i < REGIONS; i++) madvise(first + i * step, step, MADV_DONTNEED);
  long after = pte_kb();
  munmap(memory, length);
  return before - after > REGIONS * 4 / 2;
}

static long footprint_kb(void) { return rss_kb() + (tables_are_freed ? pte_kb() : 0); }

static size_t allocate_and_touch(size_t at, size_t size, size_t bytes) {
  for (size_t done = 0; done < bytes; done += size, at++) {
    CHECK(at < BLOCKS && (blocks[at] = scalloc_malloc(size)));
    for (size_t page = 0; page < size; page += 4096) ((unsigned char *)blocks[at])[page] = 1;
    if (size > 4096) ((unsigned char *)blocks[at])[size - 1] = 1;
  }
  return at;
}

static void check_back_at(const char *what, long baseline, long peak, size_t returned) {
  long after = footprint_kb();
  printf("%-28s baseline %ld KB, peak %ld KB, after the purge %+ld KB, purge said %zu KB\n", what, baseline, peak,
         after - baseline, returned / KB);
  CHECK_INT(after, <=, baseline + SLACK_KB + tool_kb(peak - baseline));
  check_heap();
}

static void after_200_mb_of_blocks_of_all_sizes(void) {
  for (int round = 0; round < 2; round++) {
    long baseline = footprint_kb();
    size_t count = allocate_and_touch(0, 24, 40 * MB);
    count = allocate_and_touch(count, 1000, 40 * MB);
    count = allocate_and_touch(count, 9000, 40 * MB);
    count = allocate_and_touch(count, 300000, 40 * MB);
    count = allocate_and_touch(count, 5000000, 40 * MB);
    long peak = footprint_kb();
    CHECK_INT(peak, >=, baseline + (long)(200 * KB) - SLACK_KB);
    for (size_t i = 0; i < count; i++) scalloc_free(blocks[i]);
    long freed = footprint_kb();
    size_t returned = scalloc_purge();
    if (!TEST_TRACKED) /* what it says is what it does */
      CHECK_INT(returned / KB, >=, freed - footprint_kb() - (long)SLACK_KB);
    CHECK_INT(returned / KB, <=, 300 * KB); /* sizes are rounded up */
    check_back_at("blocks of five sizes:", baseline, peak, returned);
    CHECK_INT(scalloc_purge(), <=, SLACK_KB * KB); /* there is nothing left */
  }
}

static void after_one_size(size_t size) {
  char what[64];
  long baseline = footprint_kb();
  size_t count = allocate_and_touch(0, size, 60 * MB);
  long peak = footprint_kb();
  for (size_t i = count; i-- > 0;) scalloc_free(blocks[i]);
  size_t returned = scalloc_purge();
  snprintf(what, sizeof what, "60 MB in blocks of %zu:", size);
  check_back_at(what, baseline, peak, returned);
}

/* Thousands of spans with little in each: their page tables weigh as much as their memory. */
static void after_two_thousand_heaps(void) {
  enum { COUNT = 2000 };
  static scalloc_heap *heaps[COUNT];
  for (int round = 0; round < 2; round++) { /* the first round pays for the heaps' own administration */
    long baseline = footprint_kb(), peak;
    for (size_t i = 0; i < COUNT; i++) {
      CHECK(heaps[i] = scalloc_heap_new());
      for (size_t size = 16; size <= 1024; size *= 8) memset(scalloc_heap_malloc(heaps[i], size), 1, size);
    }
    peak = footprint_kb();
    for (size_t i = 0; i < COUNT; i++) scalloc_heap_destroy(heaps[i]);
    size_t returned = scalloc_purge();
    if (round == 1) check_back_at("2,000 heaps:", baseline, peak, returned);
  }
}

static void *allocate_in_a_thread(void *argument) {
  size_t *count = argument;
  *count = allocate_and_touch(0, 200, 50 * MB);
  return NULL;
}

/* The owner is gone when its blocks are freed; its spans go back all the same. */
static void after_a_thread_that_has_exited(void) {
  long baseline = footprint_kb();
  size_t count;
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, allocate_in_a_thread, &count) == 0 && pthread_join(thread, NULL) == 0);
  long peak = footprint_kb();
  for (size_t i = 0; i < count; i++) scalloc_free(blocks[i]);
  size_t returned = scalloc_purge();
  check_back_at("blocks of an exited thread:", baseline, peak, returned);
}

static void purged_memory_is_as_good_as_new(void) {
  for (size_t size = 16; size <= 4 * MB; size *= 3) {
    size_t count = allocate_and_touch(0, size, 8 * MB);
    for (size_t i = 0; i < count; i++) memset(blocks[i], 0xff, size);
    for (size_t i = 0; i < count; i++) scalloc_free(blocks[i]);
    scalloc_purge();
    for (size_t i = 0; i < count; i++) CHECK((blocks[i] = scalloc_calloc(1, size)) && all_bytes(blocks[i], size, 0));
    for (size_t i = 0; i < count; i++) scalloc_free(blocks[i]);
  }
}

/* Nothing that is live is touched, not even in a span that is nearly empty. */
static void live_blocks_survive(void) {
  size_t count = allocate_and_touch(0, 100, 20 * MB);
  count = allocate_and_touch(count, 5000, 20 * MB);
  for (size_t i = 0; i < count; i++) {
    if (i % 997 == 0)
      fill(blocks[i], 100);
    else
      scalloc_free(blocks[i]);
  }
  scalloc_purge();
  for (size_t i = 0; i < count; i += 997) CHECK(intact(blocks[i], 100)), scalloc_free(blocks[i]);
  scalloc_purge();
}

static void *warm_up(void *argument) { return argument; }

int main(void) {
  memset(blocks, 1, sizeof blocks); /* resident before any baseline */
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, warm_up, NULL) == 0 && pthread_join(thread, NULL) == 0);
  tables_are_freed = !TEST_TRACKED && kernel_frees_page_tables();
  printf("page tables are %s\n", tables_are_freed ? "counted" : "not counted: this kernel keeps them");
  scalloc_free(scalloc_malloc(1));
  scalloc_heap_destroy(scalloc_heap_new());
  scalloc_purge();
  stats before = stats_now();
  after_200_mb_of_blocks_of_all_sizes();
  for (size_t size = 16; size <= 2 * MB; size *= 5) after_one_size(size);
  after_two_thousand_heaps();
  after_a_thread_that_has_exited();
  purged_memory_is_as_good_as_new();
  live_blocks_survive();
  check_all_returned(before);
  return 0;
}
