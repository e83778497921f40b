/* scalloc_find: from any address to its block. */
#include "../test.h"
#include <sys/mman.h>

static void check_found(const void *address, const void *start, size_t size, const scalloc_heap *heap) {
  scalloc_block found;
  memset(&found, 0xee, sizeof found);
  CHECK(scalloc_find(address, &found));
  CHECK(found.start == start);
  CHECK_INT(found.size, ==, size);
  CHECK(found.heap == heap);
  CHECK(found.live);
}

/* Never handed out, or freed: either no block at all or one that is not live. */
static bool is_live(const void *address) {
  scalloc_block found;
  return scalloc_find(address, &found) && found.live;
}

static void every_offset_of_a_block_leads_to_it(void) {
  static const size_t sizes[] = {1, 8, 16, 24, 40, 48, 100, 256, 300, 720, 1000, 4096, 5000, 12288, 100000, 300000, 1048576};
  for (size_t i = 0; i < LENGTH(sizes); i++) {
    for (int copy = 0; copy < 5; copy++) { /* not only the first block of a span; the blocks stay, as neighbours */
      unsigned char *block = scalloc_malloc(sizes[i]);
      size_t usable = scalloc_usable_size(block);
      size_t step = copy == 0 ? 1 : 1 + usable / 1000;
      for (size_t at = 0; at < usable; at += step) check_found(block + at, block, usable, NULL);
      check_found(block + usable - 1, block, usable, NULL);
    }
  }
}

static void every_page_of_a_big_block_leads_to_it(void) {
  static const size_t sizes[] = {1048577, 2097152, 2097153, 3 << 20, 10 << 20, 100 << 20};
  for (size_t i = 0; i < LENGTH(sizes); i++) {
    unsigned char *block = scalloc_malloc(sizes[i]);
    CHECK(block != NULL);
    size_t usable = scalloc_usable_size(block);
    for (size_t at = 0; at < usable; at += at < 10000 || at + 10000 > usable ? 1 : 4096 - 7)
      check_found(block + at, block, usable, NULL);
    check_found(block + usable - 1, block, usable, NULL);
    scalloc_free(block);
    CHECK(!is_live(block) && !is_live(block + usable / 2) && !is_live(block + usable - 1));
  }
}

/* Only some spans of a very long block are marked in the table; every address in it leads to it all the same. */
static void every_address_of_a_very_big_block_leads_to_it(void) {
  size_t size = 20 * 1024 * MB + 5000;
  unsigned char *block = scalloc_malloc(size);
  CHECK(block != NULL);
  for (size_t offset = 0; offset < size; offset += 2 * MB - 4099)
    check_found(block + offset, block, scalloc_usable_size(block), NULL);
  check_found(block + size - 1, block, scalloc_usable_size(block), NULL);
  scalloc_free(block);
}

static void the_heap_is_told(void) {
  scalloc_heap *one = scalloc_heap_new(), *two = scalloc_heap_new();
  for (size_t size = 1; size <= MB; size *= 2) {
    unsigned char *in_one = scalloc_heap_malloc(one, size), *in_two = scalloc_heap_malloc(two, size);
    unsigned char *in_none = scalloc_malloc(size);
    check_found(in_one + size / 2, in_one, scalloc_usable_size(in_one), one);
    check_found(in_two + size - 1, in_two, scalloc_usable_size(in_two), two);
    check_found(in_none, in_none, scalloc_usable_size(in_none), NULL);
    scalloc_free(in_none);
  }
  unsigned char *big = scalloc_heap_malloc(one, 3 * MB); /* above 1 MB a block names no heap */
  check_found(big + MB, big, scalloc_usable_size(big), NULL);
  scalloc_heap_destroy(one);
  scalloc_heap_destroy(two);
}

static void aligned_blocks_are_found(void) {
  for (size_t alignment = 16; alignment <= 8 * MB; alignment *= 4) {
    for (size_t size = 1; size <= 3 * MB; size = size * 7 + 1) {
      unsigned char *block = scalloc_aligned_alloc(alignment, size);
      scalloc_block found;
      CHECK(block && scalloc_find(block + size - 1, &found) && found.live);
      CHECK((unsigned char *)found.start <= block && (unsigned char *)found.start + found.size >= block + size);
      scalloc_free(block);
    }
  }
}

static void live_follows_malloc_and_free(void) {
  enum { COUNT = 2000 };
  static unsigned char *blocks[COUNT];
  static const size_t sizes[] = {16, 56, 256, 1024, 6144};
  for (size_t k = 0; k < LENGTH(sizes); k++) {
    rng random = {k};
    bool live[COUNT];
    for (size_t i = 0; i < COUNT; i++) CHECK(blocks[i] = scalloc_malloc(sizes[k]));
    for (size_t i = 0; i < COUNT; i++) {
      CHECK(is_live(blocks[i] + sizes[k] - 1));
      live[i] = !rng_percent(&random, 50);
      if (!live[i]) scalloc_free(blocks[i]);
    }
    for (size_t i = 0; i < COUNT; i++) CHECK(is_live(blocks[i] + sizes[k] / 2) == live[i]);
    for (size_t i = 0; i < COUNT; i++)
      if (live[i]) scalloc_free(blocks[i]);
    for (size_t i = 0; i < COUNT; i++) CHECK(!is_live(blocks[i]));
  }
}

/* A fresh span ascends: behind its newest block lies memory that is found, but as a block nobody has. */
static void the_unused_tail_of_a_span_is_not_live(void) {
  scalloc_heap *heap = scalloc_heap_new();
  unsigned char *block = scalloc_heap_malloc(heap, 48 - TAIL), *next = block + scalloc_usable_size(block) + TAIL;
  scalloc_block found;
  CHECK(scalloc_find(next, &found) && !found.live && found.heap == heap);
  CHECK(scalloc_heap_malloc(heap, 48 - TAIL) == next);
  CHECK(scalloc_find(next, &found) && found.live);
  scalloc_heap_destroy(heap);
}

static void addresses_of_others_are_not_found(void) {
  static int object;
  int local = 0;
  scalloc_block found;
  void *foreign = malloc(1000);
  unsigned char *page = mmap(NULL, 8 * MB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(page != MAP_FAILED);
  const void *strangers[] = {NULL,
                             &object,
                             &local,
                             foreign,
                             page,
                             page + 4 * MB,
                             "text",
                             (void *)(uintptr_t)1,
                             (void *)(UINTPTR_MAX / 2),
                             (void *)UINTPTR_MAX,
                             (void *)(UINTPTR_MAX - 4095)};
  for (size_t i = 0; i < LENGTH(strangers); i++) CHECK(!scalloc_find(strangers[i], &found));
  union {
    int (*function)(void);
    void *address;
  } code = {getpagesize};
  CHECK(!scalloc_find(code.address, &found));
  munmap(page, 8 * MB);
  free(foreign);
}

/* Random addresses around the blocks: what is found holds the address, and its start finds the same block. */
static void answers_are_consistent_everywhere(void) {
  rng random = {11};
  unsigned char *anchor = scalloc_malloc(100);
  for (int i = 0; i < 200000; i++) {
    const unsigned char *address = anchor - 64 * MB + rng_below(&random, 128 * MB);
    scalloc_block found, again;
    if (!scalloc_find(address, &found)) continue;
    CHECK((unsigned char *)found.start <= address);
    if (!TEST_TRACKED) CHECK(address < (unsigned char *)found.start + found.size); /* else perhaps behind what is usable */
    CHECK(scalloc_find(found.start, &again) && again.start == found.start && again.size == found.size);
  }
  scalloc_free(anchor);
}

int main(void) {
  addresses_of_others_are_not_found(); /* also before the first allocation */
  every_offset_of_a_block_leads_to_it();
  every_page_of_a_big_block_leads_to_it();
  every_address_of_a_very_big_block_leads_to_it();
  the_heap_is_told();
  aligned_blocks_are_found();
  live_follows_malloc_and_free();
  the_unused_tail_of_a_span_is_not_live();
  addresses_of_others_are_not_found();
  answers_are_consistent_everywhere();
  check_heap();
  return 0;
}
