/* The questions with an answer that is no block: addresses beside blocks, statistics nobody needs, threads nobody watches. */
#include "../test.h"
#include <limits.h>
#include <pthread.h>

/* ---- addresses that are not the start of a live block ------------------------------------------------------------------ */

static void behind_a_large_block_nothing_is_found(void) {
  char *block = scalloc_malloc(3 * MB + 1);
  size_t size = scalloc_usable_size(block), end = 3 * MB + 4096;
  scalloc_block found;
  CHECK_INT(size, ==, TEST_TRACKED ? 3 * MB + 1 : end);
  CHECK(scalloc_find(block + size - 1, &found));
  CHECK(found.start == block && found.size == size && found.live && found.heap == NULL);
  CHECK(!scalloc_find(block + end, &found));
  CHECK(!scalloc_find(block + 4 * MB - 1, &found)); /* in its last span, of 2 MB */
  scalloc_free(block);
  CHECK(!scalloc_find(block, &found));
}

static void only_a_block_has_a_usable_size(void) {
  char *large = scalloc_malloc(5 * MB), *small = scalloc_malloc(100);
  int local = 0;
  CHECK_INT(scalloc_usable_size(NULL), ==, 0);
  CHECK_INT(scalloc_usable_size(&local), ==, 0);
  CHECK_INT(scalloc_usable_size(large), ==, 5 * MB);
  CHECK_INT(scalloc_usable_size(large + 16), ==, 0);
  CHECK_INT(scalloc_usable_size(large + 2 * MB), ==, 0);
  CHECK_INT(scalloc_usable_size(small), >=, 100);
  scalloc_free(large);
  CHECK_INT(scalloc_usable_size(large), ==, 0);
  scalloc_free(small);
}

/* Every alignment a block can have, with sizes around every multiple: the address and the room are right. */
static void every_alignment_is_served_at_every_size(void) {
  for (size_t alignment = 1; alignment <= MB; alignment *= 2)
    for (size_t size = alignment > 4096 ? alignment / 4 : 1; size <= 3 * MB; size += size / 3 + 1) {
      char *block = scalloc_aligned_alloc(alignment, size);
      CHECK(block != NULL && (uintptr_t)block % alignment == 0);
      CHECK_INT(scalloc_usable_size(block), >=, size);
      fill(block, size);
      CHECK(intact(block, size));
      scalloc_free(block);
    }
  check_heap();
}

static void no_size_is_too_large_to_be_refused(void) {
  static const size_t sizes[] = {(size_t)PTRDIFF_MAX, (size_t)PTRDIFF_MAX + 1, SIZE_MAX - 4096, SIZE_MAX};
  scalloc_heap *heap = scalloc_heap_new();
  char *block = scalloc_malloc(100);
  fill(block, 100);
  for (size_t i = 0; i < LENGTH(sizes); i++) {
    errno = 0;
    CHECK(scalloc_malloc(sizes[i]) == NULL && errno == ENOMEM);
    CHECK(scalloc_heap_malloc(heap, sizes[i]) == NULL);
    CHECK(scalloc_calloc(sizes[i] / 2 + 1, 3) == NULL);
    CHECK(scalloc_heap_calloc(heap, 1, sizes[i]) == NULL);
    CHECK(scalloc_realloc(block, sizes[i]) == NULL && intact(block, 100));
    CHECK(scalloc_heap_realloc(heap, block, sizes[i]) == NULL && intact(block, 100));
    for (size_t alignment = 16; alignment != 0; alignment *= 2) {
      errno = 0;
      CHECK(scalloc_aligned_alloc(alignment, sizes[i]) == NULL && errno == ENOMEM);
    }
    CHECK_INT(scalloc_good_size(sizes[i]), ==, sizes[i] > PTRDIFF_MAX - TAIL ? 0 : (size_t)PTRDIFF_MAX + 1);
  }
  errno = 0;
  CHECK(scalloc_aligned_alloc((size_t)1 << 63, 1) == NULL && errno == ENOMEM);
  CHECK(scalloc_aligned_alloc((size_t)1 << 62, 1) == NULL && errno == ENOMEM);
  static const size_t odd[] = {0, 3, 24, MB + 1, SIZE_MAX};
  for (size_t i = 0; i < LENGTH(odd); i++) {
    errno = 0;
    CHECK(scalloc_aligned_alloc(odd[i], 8) == NULL && errno == EINVAL);
    errno = 0;
    CHECK(scalloc_heap_aligned_alloc(heap, odd[i], 8) == NULL && errno == EINVAL);
  }
  scalloc_free(block);
  scalloc_heap_destroy(heap);
  scalloc_heap_destroy(NULL);
  check_heap();
}

/* ---- statistics at exit ------------------------------------------------------------------------------------------------ */

static void child_stats_without_use(void) { CHECK(scalloc_option_set("SCALLOC_STATS", 1)); }

static void child_stats_with_use(void) {
  CHECK(scalloc_option_set("SCALLOC_STATS", 1));
  CHECK(scalloc_malloc(3 * MB) != NULL);
}

/* One line of JSON, unless the allocator was never used. */
static void statistics_at_exit_tell_of_what_there_is(void) {
  CHECK(run_self_ok("stats without use", NULL, 0).err[0] == 0);
  child used = run_self_ok("stats with use", NULL, 0);
  CHECK_INT(stats_parse(used.err).large, ==, 2);
  CHECK(used.err[0] == '{' && strchr(used.err, '\n') == used.err + strlen(used.err) - 1);
}

/* ---- all keys taken ---------------------------------------------------------------------------------------------------- */

static pthread_key_t keys[PTHREAD_KEYS_MAX];
static size_t keys_taken;

/* Before the constructor of the library, which then gets no key to watch threads with. */
__attribute__((constructor(101))) static void take_all_keys(void) {
  const char *mode = getenv("SCALLOC_TEST_TAKE_ALL_KEYS");
  while (mode && keys_taken < LENGTH(keys) && pthread_key_create(&keys[keys_taken], NULL) == 0) keys_taken++;
}

static void *live_without_a_key(void *unused) {
  (void)unused;
  void *blocks[200];
  for (size_t i = 0; i < keys_taken; i++) CHECK(pthread_setspecific(keys[i], &keys[i]) == 0);
  for (size_t i = 0; i < LENGTH(blocks); i++) fill(blocks[i] = scalloc_malloc(i * 50), i * 50);
  for (size_t i = 0; i < keys_taken; i++) CHECK(pthread_getspecific(keys[i]) == &keys[i]); /* nobody wrote to them */
  for (size_t i = 1; i < LENGTH(blocks); i++) {
    CHECK(intact(blocks[i], i * 50));
    scalloc_free(blocks[i]);
  }
  return blocks[0];
}

/* Heaps of threads that end are not taken over then; all else is as always. */
static void child_no_keys(void) {
  CHECK_INT(keys_taken, >, 900);
  for (int i = 0; i < 50; i++) {
    pthread_t thread;
    void *block;
    CHECK(pthread_create(&thread, NULL, live_without_a_key, NULL) == 0);
    CHECK(pthread_join(thread, &block) == 0);
    scalloc_free(block);
  }
  scalloc_purge();
  check_heap();
  CHECK_INT(stats_now().live, ==, 0);
  check_span_sum(stats_now());
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "no keys") == 0) return child_no_keys(), 0;
  if (argc > 1 && strcmp(argv[1], "stats without use") == 0) return child_stats_without_use(), 0;
  if (argc > 1 && strcmp(argv[1], "stats with use") == 0) return child_stats_with_use(), 0;
  behind_a_large_block_nothing_is_found();
  if (!TEST_TRACKED) only_a_block_has_a_usable_size(); /* else it is a fault: tests/death */
  every_alignment_is_served_at_every_size();
  no_size_is_too_large_to_be_refused();
  statistics_at_exit_tell_of_what_there_is();
  run_self_ok("no keys", (char *[]){(char *)(uintptr_t) "SCALLOC_TEST_TAKE_ALL_KEYS=1", NULL}, 0);
  return 0;
}
