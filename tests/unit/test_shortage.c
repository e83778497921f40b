/*
 * test_shortage.c - when something is missing: a heap for the thread, room under the limit, an OS that takes pages back; and
 * when another thread is just at what this one needs.
 */
#include "large_take.h"

#include <stdatomic.h>

#include "lists.h"
#include "pool.h"
#include "purge.h"
#include "runs.h"
#include "steps.h"
#include "thread.h"
#include "walk.h"

static size_t pooled(void) {
  size_t dirty;
  return pool_count(&dirty);
}

/* ---- no heap for the thread -------------------------------------------------------------------------------------------- */

static void check_refused_all(heap *h) {
  CHECK(thread_heap_or_null() == NULL);
  errno = 0;
  CHECK(scalloc_malloc(100) == NULL && errno == ENOMEM);
  errno = 0;
  CHECK(scalloc_malloc(3 * MB) == NULL && errno == ENOMEM);
  CHECK(scalloc_calloc(10, 10) == NULL);
  CHECK(scalloc_aligned_alloc(64, 100) == NULL);
  CHECK(scalloc_realloc(NULL, 100) == NULL);
  CHECK(scalloc_heap_new() == NULL);
  CHECK(scalloc_heap_malloc(h, 100) != NULL); /* but this one is there */
}

/* Structures of heaps until the OS would have to open more memory for them. */
static void a_thread_without_a_heap_can_free_and_shrink(void) {
  unit_arena(64 * MB);
  heap *h = scalloc_heap_new();
  char *small = scalloc_heap_malloc(h, 1000), *large = scalloc_heap_malloc(h, 3 * MB);
  CHECK(h != NULL && small != NULL && large != NULL);
  fill(small, 1000);
  os_fake_refuse(OS_OPEN, 1, true);
  while (scalloc_heap_new() != NULL) continue;
  uint32_t made = heap_count();
  check_refused_all(h);
  errno = 0;
  CHECK(scalloc_realloc(small, 2000) == NULL && errno == ENOMEM);
  CHECK(intact(small, 1000));
  CHECK(scalloc_realloc(small, 10) == small);
  CHECK(scalloc_realloc(large, 2 * MB) == large);
  CHECK(scalloc_realloc(small, 0) == NULL);
  scalloc_free(large);
  check_heap();
  os_fake_refuse(OS_OPEN, 0, false);
  CHECK(scalloc_malloc(100) != NULL);
  CHECK_INT(thread_heap_or_null()->id, ==, made + 1); /* no structure was lost */
}

/* ---- no room under the limit ------------------------------------------------------------------------------------------- */

/* A block that could grow left a warm run of eight spans, of which 3 MB are dirty and charged. */
static void a_warm_run_stays_warm_if_its_growth_is_over_the_limit(void) {
  CHECK(scalloc_option_set("SCALLOC_PURGE_DELAY_MS", -1));
  CHECK(scalloc_option_set("SCALLOC_LIMIT_BYTES", 20 * (long)MB));
  unit_arena((size_t)1 << 36);
  bool zeroed;
  span *s = large_take(3 * MB, 1, true, &zeroed);
  CHECK(s != NULL && s->run == 8 && zeroed);
  span *others = take(12 * MB, 1);
  large_release(s);
  CHECK_INT(unit_charge_left(), ==, 5 * MB);
  CHECK_INT(runs_spans(), ==, 8);
  os_fake_refuse(OS_PURGE, 1, true);
  CHECK(large_take(9 * MB, 1, false, &zeroed) == NULL);
  CHECK_INT(runs_spans(), ==, 8);
  CHECK_INT(span_state_now(s), ==, SPAN_RUN);
  CHECK_INT(s->run_clean, ==, 0);
  CHECK_INT(unit_charge_left(), ==, 5 * MB);
  check_heap();
  os_fake_refuse(OS_PURGE, 0, false);
  large_release(others);
  CHECK(large_take(9 * MB, 1, false, &zeroed) != NULL);
  check_heap();
}

/* ---- an OS that takes nothing back ------------------------------------------------------------------------------------- */

/* The warm cache holds 64 runs; the spans that find no room in it stay where they were. */
static void spans_that_can_become_no_runs_stay_in_the_pool(void) {
  enum { HEAPS = 70 };
  heap *heaps[HEAPS];
  CHECK(scalloc_option_set("SCALLOC_PURGE_DELAY_MS", -1));
  unit_arena((size_t)1 << 30);
  for (size_t i = 0; i < HEAPS; i++) CHECK(scalloc_heap_malloc(heaps[i] = scalloc_heap_new(), 100) != NULL);
  for (size_t i = 0; i < HEAPS; i++) scalloc_heap_destroy(heaps[i]);
  CHECK_INT(pooled(), ==, HEAPS);
  size_t committed = walk_all().committed;
  CHECK_INT(committed, >=, (size_t)HEAPS * PAGE);
  os_fake_refuse(OS_PURGE, 1, true);
  purge_pool_into_runs();
  CHECK_INT(runs_spans(), ==, 64);
  CHECK_INT(pooled(), ==, HEAPS - 64);
  CHECK_INT(walk_all().committed, ==, committed);
  check_heap();
  os_fake_refuse(OS_PURGE, 0, false);
  purge_pool_into_runs();
  CHECK_INT(runs_spans(), ==, HEAPS);
  CHECK_INT(pooled(), ==, 0);
  check_heap();
  take(HEAPS * SPAN_BYTES, 1); /* neighbours again */
  check_heap();
}

/* ---- more classes than spans ------------------------------------------------------------------------------------------- */

static bool is_malloc_class(unsigned c) { return class_of_malloc(class_size(c)) == c; }

/* Four heaps with a block in each of 64 classes, in an arena of 127 spans. */
static void classes_of_which_little_is_used_share_spans(void) {
  enum { HEAPS = 4 };
  static char *blocks[HEAPS][CLASSES];
  heap *heaps[HEAPS];
  unit_arena(256 * MB);
  for (size_t i = 0; i < HEAPS; i++) {
    CHECK((heaps[i] = scalloc_heap_new()) != NULL);
    for (unsigned c = 0; c < CLASSES; c++) {
      if (!is_malloc_class(c)) continue;
      size_t size = class_size(c), alignment = size & (0 - size);
      CHECK((blocks[i][c] = scalloc_heap_malloc(heaps[i], size)) != NULL);
      CHECK_INT((uintptr_t)blocks[i][c] % alignment, ==, 0);
      CHECK_INT(scalloc_usable_size(blocks[i][c]), >=, size);
      CHECK_INT(scalloc_usable_size(blocks[i][c]), <, i == 0 ? size + 1 : 2 * size);
      fill((unsigned char *)blocks[i][c], size);
    }
  }
  check_heap();
  for (size_t i = 0; i < HEAPS; i++)
    for (unsigned c = 0; c < CLASSES; c++) {
      if (!is_malloc_class(c)) continue;
      CHECK(intact((unsigned char *)blocks[i][c], class_size(c)));
      scalloc_heap_free(i == 3 ? heaps[0] : heaps[i], blocks[i][c]);
    }
  check_heap();
}

static void a_class_that_fills_a_shared_span_gets_its_own(void) {
  enum { SIZE = 24 << 10 };
  unit_arena(64 * MB);
  heap *h = scalloc_heap_new();
  CHECK(scalloc_heap_malloc(h, 40 * MB) != NULL);
  for (size_t shared = 0; scalloc_usable_size(scalloc_heap_malloc(h, SIZE)) != SIZE; shared++)
    CHECK_INT(shared, <=, SPAN_BYTES / (32 << 10));
  for (size_t i = 0; i < 2 * SPAN_BYTES / SIZE; i++) CHECK_INT(scalloc_usable_size(scalloc_heap_malloc(h, SIZE)), ==, SIZE);
  check_heap();
}

static void a_block_of_a_larger_class_comes_before_a_refusal(void) {
  void *block, *last = NULL;
  unit_arena(64 * MB);
  heap *h = scalloc_heap_new(), *without = scalloc_heap_new();
  while ((block = scalloc_heap_malloc(h, MB)) != NULL) last = block;
  scalloc_heap_free(h, last);
  CHECK(scalloc_heap_malloc(without, 100) == NULL && errno == ENOMEM);
  CHECK(scalloc_heap_aligned_alloc(h, 1 << 18, 100) == last);
  CHECK(scalloc_heap_malloc(h, 100) == NULL && errno == ENOMEM);
  scalloc_heap_free(h, last);
  CHECK((block = scalloc_heap_malloc(h, 100)) == last);
  CHECK_INT(scalloc_usable_size(block), ==, MB);
  check_heap();
}

/* ---- another thread is at it ------------------------------------------------------------------------------------------- */

static atomic_int begun, ended;
static unit_thread *second;

static void set_up_too(void *unused) {
  (void)unused;
  atomic_fetch_add(&begun, 1);
  CHECK(arena_init());
  CHECK(arena.spans > 0);
  atomic_fetch_add(&ended, 1);
}

/* Called while the first thread reserves the arena. */
static void start_second(void *unused) {
  (void)unused;
  second = unit_start(set_up_too, NULL);
  while (atomic_load(&begun) == 0) sleep_ms(1);
  sleep_ms(20);
  CHECK_INT(atomic_load(&ended), ==, 0); /* it waits */
}

static void the_arena_is_reserved_once(void) {
  os_fake_hook(OS_RESERVE, 1, start_second, NULL);
  CHECK(arena_init());
  unit_join(second);
  CHECK_INT(atomic_load(&ended), ==, 1);
  CHECK_INT(os_fake_calls(OS_RESERVE), ==, 1);
}

/* The first thread's reservation is refused; the one that waited makes its own. */
static void who_waited_in_vain_tries_himself(void) {
  CHECK(scalloc_option_set("SCALLOC_ARENA_BYTES", 64 * (long)MB));
  os_fake_hook(OS_RESERVE, 1, start_second, NULL);
  os_fake_refuse(OS_RESERVE, 1, false);
  errno = 0;
  CHECK(!arena_init() && errno == ENOMEM);
  unit_join(second);
  CHECK_INT(atomic_load(&ended), ==, 1);
  CHECK_INT(os_fake_calls(OS_RESERVE), ==, 2);
}

static span *emptied;

static void release_late(void *made) {
  sleep_ms(30);
  atomic_store(&begun, 1);
  steps_follow(NULL, emptied, STEP_FREE, *(word_t *)made);
}

/* A thread has made a span FREE and not yet taken it out of its heap's list when the heap is ended: only one releases it. */
static void the_end_of_a_heap_waits_for_who_is_releasing_its_span(void) {
  CHECK(scalloc_option_set("SCALLOC_PURGE_DELAY_MS", -1));
  unit_arena((size_t)1 << 30);
  heap *h = scalloc_heap_new();
  CHECK(scalloc_heap_malloc(h, 100) != NULL && scalloc_heap_malloc(h, 3 * MB) != NULL);
  CHECK(emptied = span_of(scalloc_heap_malloc(h, 5000)));
  span_set_state(emptied, SPAN_FREE);
  word_t made = emptied->word;
  second = unit_start(release_late, &made);
  scalloc_heap_destroy(h);
  CHECK_INT(atomic_load(&begun), ==, 1); /* not before */
  unit_join(second);
  CHECK_INT(pooled(), ==, 2);
  CHECK_INT(emptied->owner, ==, 0);
  check_heap();
}

/* Another thread set the bit for a free into a floating span, in the instant in which the owner made it hot again. */
static void a_hot_span_that_was_shared_in_vain_takes_its_owners_frees(void) {
  char *first = scalloc_malloc(100), *second_block = scalloc_malloc(100);
  span *s = span_of(first);
  s->owner |= OWNER_SHARED;
  uint32_t used = s->used;
  void *list = s->free;
  scalloc_free(first);
  CHECK_INT(s->used, ==, used - 1);
  CHECK_INT(word_count(s->word), ==, 0);
  CHECK(s->free == first && *(void **)(void *)first == list);
  CHECK_INT(thread_heap_or_null()->remote_frees, ==, 0);
  check_heap();
  CHECK(scalloc_malloc(100) == first);
  scalloc_free(second_block);
  check_heap();
}

UNIT_MAIN(CASE(a_thread_without_a_heap_can_free_and_shrink), CASE(a_warm_run_stays_warm_if_its_growth_is_over_the_limit),
          CASE(spans_that_can_become_no_runs_stay_in_the_pool), CASE(classes_of_which_little_is_used_share_spans),
          CASE(a_class_that_fills_a_shared_span_gets_its_own), CASE(a_block_of_a_larger_class_comes_before_a_refusal),
          CASE(the_arena_is_reserved_once), CASE(who_waited_in_vain_tries_himself),
          CASE(the_end_of_a_heap_waits_for_who_is_releasing_its_span),
          CASE(a_hot_span_that_was_shared_in_vain_takes_its_owners_frees))
