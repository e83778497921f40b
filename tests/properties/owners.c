/*
 * owners.c - who allocates from which span.
 *
 *   hot      property 10. Restated: a heap, not a thread, has hot spans; small classes are found by size, so "one slot" is the
 *            entries of its class, all of them and no others.
 *   reuse    property 12. Restated: memory is compared, and the times of cache-thrash and cache-scratch are printed; on a
 *            machine with few, busy processors no bound on a speed-up would be a test.
 *   refill   property 13. Restated: with no more than the threshold on the remote list the owner first raises the limit of
 *            its real span (docs/decisions.md); a full one it leaves for another.
 */
#include "properties.h"

#include <sched.h>
#include <stdatomic.h>

/* ---- property 10 ------------------------------------------------------------------------------------------------------ */

enum { USERS = 3, BLOCKS = 4000, QUIET_POINTS = 12 };

static _Atomic(void *) blocks[BLOCKS];

/* How many entries of a heap's table lead to a span. */
static unsigned entries_of(const heap *h, const span *s) {
  unsigned n = 0;
  for (unsigned i = 0; i < HEAP_HOTS; i++) n += h->hot[i] == s;
  return n;
}

/* How many entries the class of a hot span has: malloc finds classes up to DIRECT_MAX by size, the others have one. */
static unsigned entries_wanted(unsigned c) {
  if (c >= HEAP_DIRECT_CLASSES) return 1;
  unsigned below = c == 0 ? 0 : (unsigned)class_size(c - 1) / 8;
  return (unsigned)class_size(c) / 8 - below + (class_size(c) == 16); /* 0 bytes are served as 16 */
}

static void check_heap_slots(const heap *h, bool retired) {
  bool seen[CLASSES] = {false};
  for (unsigned i = 0; i < HEAP_HOTS; i++) {
    const span *s = h->hot[i];
    if (s == &heap_no_span) continue;
    CHECK(!retired);
    CHECK_INT(span_state_now(s), ==, SPAN_HOT);
    CHECK(owner_heap(s->owner) == h);
    CHECK_INT(entries_of(h, s), ==, entries_wanted(s->class_index));
    CHECK(h->hot[heap_hot_slot(s->class_index)] == s);
    seen[s->class_index] = true;
  }
  size_t hot = 0, slots = 0;
  for (unsigned c = 0; c < CLASSES; c++) slots += seen[c];
  for (uint32_t i = 1; i < arena_high_water(); i += walk_step(span_at(i)))
    hot += span_state_now(span_at(i)) == SPAN_HOT && owner_heap(span_at(i)->owner) == h;
  CHECK_INT(hot, ==, slots); /* one hot span per class that has one, and no others */
}

static void check_hot_spans(void) {
  size_t hot = 0;
  take_census();
  for (uint32_t id = 1; id <= heap_count(); id++)
    if (heap_at(id)->status != HEAP_UNUSED) check_heap_slots(heap_at(id), heap_at(id)->status == HEAP_RETIRED);
  for (uint32_t i = 1; i < arena_high_water(); i += walk_step(span_at(i))) hot += span_state_now(span_at(i)) == SPAN_HOT;
  CHECK_INT(hot, >, 20);
}

static void use_for_a_while(void *seed) {
  rng random = {(uintptr_t)seed};
  scalloc_heap *own = scalloc_heap_new();
  for (int i = 0; i < 8000; i++) {
    size_t size = rng_log(&random, 20);
    void *block = rng_percent(&random, 90) ? scalloc_malloc(size) : NULL;
    scalloc_free(atomic_exchange(&blocks[rng_below(&random, BLOCKS)], block));
    if (rng_percent(&random, 5)) CHECK(scalloc_heap_malloc(own, rng_log(&random, 12)) != NULL);
  }
  scalloc_heap_destroy(own);
  heap_settle(thread_heap); /* as the next slow path would */
}

static void hot(void) {
  worker users[USERS];
  scalloc_heap *kept = scalloc_heap_new();
  for (int i = 0; i < USERS; i++) worker_start(&users[i]);
  for (uintptr_t point = 1; point <= QUIET_POINTS; point++) {
    for (uintptr_t i = 0; i < USERS; i++) worker_begin(&users[i], use_for_a_while, (void *)(point * 10 + i));
    for (int i = 0; i < USERS; i++) worker_finish(&users[i]);
    for (size_t size = 1; size < MB; size *= 2) CHECK(scalloc_heap_malloc(kept, size) != NULL);
    check_hot_spans();
    if (point % 4 != 0) continue;
    worker_stop(&users[0]); /* its hot spans cool down */
    check_hot_spans();
    worker_start(&users[0]);
  }
  for (int i = 0; i < USERS; i++) worker_stop(&users[i]);
  for (size_t i = 0; i < BLOCKS; i++) scalloc_free(blocks[i]);
  scalloc_heap_destroy(kept);
  check_heap();
}

/* ---- property 12 ------------------------------------------------------------------------------------------------------ */

enum { EACH = 6000 };

static const size_t reuse_sizes[] = {8, 16, 48, 64, 128, 1000, 20000};
static size_t reuse_size;
static void *of_a[EACH], *of_b[EACH];

static void allocate_all(void *list) {
  for (size_t i = 0; i < EACH; i++) CHECK((((void **)list)[i] = scalloc_malloc(reuse_size)) != NULL);
}

static void free_every_second_of_a(void *unused) {
  (void)unused;
  for (size_t i = 0; i < EACH; i += 2) scalloc_free(of_a[i]);
}

static void note_lines(extent *lines, void *const *list, size_t step) {
  for (size_t i = 0, n = 0; i < EACH; i += step, n++) {
    uintptr_t start = (uintptr_t)list[i];
    lines[n] = (extent){start / 64 * 64, (start + scalloc_usable_size(list[i]) + 63) / 64 * 64};
  }
}

/* No line of one list is a line of the other: the lists are sorted and merged. */
static void check_no_common_line(extent *a, size_t a_count, extent *b, size_t b_count) {
  qsort(a, a_count, sizeof *a, extent_order);
  qsort(b, b_count, sizeof *b, extent_order);
  for (size_t i = 0, k = 0; i < a_count && k < b_count;) {
    CHECK(a[i].end <= b[k].start || b[k].end <= a[i].start);
    if (a[i].end < b[k].end)
      i++;
    else
      k++;
  }
}

static void no_block_is_taken_over(worker *a, worker *b) {
  static extent a_lines[EACH], b_lines[EACH];
  worker_do(a, allocate_all, of_a);
  worker_do(b, free_every_second_of_a, NULL);
  worker_do(b, allocate_all, of_b);
  const heap *owner_a = owner_heap(span_of(of_a[1])->owner), *owner_b = owner_heap(span_of(of_b[0])->owner);
  CHECK(owner_a != owner_b);
  for (size_t i = 0; i < EACH; i++) {
    if (i % 2) CHECK(owner_heap(span_of(of_a[i])->owner) == owner_a);
    CHECK(owner_heap(span_of(of_b[i])->owner) == owner_b);
    for (size_t k = 1; k < EACH; k += 1001) CHECK(span_of(of_b[i]) != span_of(of_a[k]));
  }
  note_lines(a_lines, of_a + 1, 2);
  note_lines(b_lines, of_b, 1);
  check_no_common_line(a_lines, EACH / 2 - 1, b_lines, EACH);
  for (size_t i = 1; i < EACH; i += 2) scalloc_free(of_a[i]);
  for (size_t i = 0; i < EACH; i++) scalloc_free(of_b[i]);
}

enum { ROUNDS = 400, WRITES = 3000 };

/* cache-thrash: each allocates, writes and frees small objects. */
static void thrash(void *unused) {
  (void)unused;
  for (int i = 0; i < ROUNDS; i++) {
    volatile char *block = scalloc_malloc(8);
    for (int k = 0; k < WRITES; k++) block[k % 8] = (char)k;
    scalloc_free((void *)(uintptr_t)block);
  }
}

/* cache-scratch: as before, but the first object was allocated by another thread, one line for all of them. */
static void scratch(void *first) {
  scalloc_free(first);
  thrash(NULL);
}

static void print_times(worker *workers, const char *name, void (*act)(void *)) {
  double times[2];
  for (int count = 1; count <= 2; count++) {
    double start = now();
    for (int i = 0; i < count; i++) worker_begin(&workers[i], act, act == scratch ? scalloc_malloc(8) : NULL);
    for (int i = 0; i < count; i++) worker_finish(&workers[i]);
    times[count - 1] = now() - start;
  }
  printf("%s: 1 thread %.1f ms, 2 threads the same each %.1f ms\n", name, 1e3 * times[0], 1e3 * times[1]);
}

static void reuse(void) {
  worker workers[2];
  worker_start(&workers[0]), worker_start(&workers[1]);
  for (size_t i = 0; i < LENGTH(reuse_sizes); i++) {
    reuse_size = reuse_sizes[i];
    no_block_is_taken_over(&workers[0], &workers[1]);
    no_block_is_taken_over(&workers[1], &workers[0]);
  }
  print_times(workers, "cache-thrash", thrash);
  print_times(workers, "cache-scratch", scratch);
  worker_stop(&workers[0]), worker_stop(&workers[1]);
  check_heap();
}

/* ---- property 13 ------------------------------------------------------------------------------------------------------ */

enum { MOST = 1 << 18 };

static void *span_blocks_of[MOST];

typedef struct list {
  void **first;
  size_t count;
} list;

static void free_list(void *argument) {
  const list *l = argument;
  for (size_t i = 0; i < l->count; i++) scalloc_free(l->first[i]);
}

/* Allocates until the hot span has no block left below its limit, and its limit is at least `limit`. */
static span *exhaust(heap *h, unsigned c, size_t limit, size_t *count) {
  span *s = NULL;
  for (*count = 0; s == NULL || s->free || s->limit - s->bump >= s->block || s->limit < limit; ++*count) {
    CHECK(*count < MOST && (span_blocks_of[*count] = heap_allocate_class(h, c)));
    if (s == NULL) s = span_of(span_blocks_of[0]);
    CHECK(span_of(span_blocks_of[*count]) == s);
  }
  CHECK_INT(*count, ==, span_blocks(s));
  return s;
}

/* The next allocations are exactly the blocks that were freed, the last one first, and no span was asked for. */
static void expect_batch(heap *h, unsigned c, void **freed, size_t count, census before) {
  for (size_t i = 0; i < count; i++) CHECK(heap_allocate_class(h, c) == freed[count - 1 - i]);
  census after = take_census();
  CHECK(after.all == before.all && after.pooled == before.pooled && after.hot == before.hot);
}

static void refill_after(worker *other, unsigned c, size_t limit, size_t more) {
  size_t count;
  heap *h = heap_create(HEAP_USER);
  span *s = exhaust(h, c, limit, &count);
  size_t remote = span_threshold(s) + more, had = s->limit;
  bool fits = remote > 0 && remote <= count;
  list freed = {span_blocks_of + (count - remote) / 2, remote};
  census before = take_census();
  if (fits) worker_do(other, free_list, &freed);
  if (fits) CHECK_INT(word_count(s->word), ==, remote);
  if (fits && more > 0) {
    expect_batch(h, c, freed.first, remote, before);
    CHECK_INT(word_count(s->word), ==, 0);
    CHECK_INT(s->limit, ==, had);
  } else if (fits) {
    char *next = heap_allocate_class(h, c);
    CHECK_INT(word_count(s->word), ==, remote); /* left where they were */
    CHECK_INT(span_of(next) == s, ==, had < SPAN_BYTES);
    if (had < SPAN_BYTES) CHECK_INT(next - span_start(s), >=, s->first + count * s->block);
    if (had == SPAN_BYTES) CHECK_INT(take_census().hot, ==, before.hot);
    if (had == SPAN_BYTES) CHECK_INT(span_state_now(s), ==, SPAN_FLOATING);
  }
  heap_end(h);
  scalloc_purge();
}

static void refill_with_threshold(void) {
  worker other;
  worker_start(&other);
  for (unsigned c = 0; c < CLASSES; c++)
    for (size_t more = 0; more <= 2; more++) {
      refill_after(&other, c, 0, more);
      refill_after(&other, c, SPAN_BYTES, more);
    }
  worker_stop(&other);
  check_heap();
}

static void refill(void) {
  static char settings[][40] = {"SCALLOC_REUSE_THRESHOLD=25", "SCALLOC_REUSE_THRESHOLD=0", "SCALLOC_REUSE_THRESHOLD=80"};
  for (size_t i = 0; i < LENGTH(settings); i++) run_self_ok("refill_with_threshold", (char *[]){settings[i], NULL}, 0);
}

MODES(MODE(hot), MODE(reuse), MODE(refill), MODE(refill_with_threshold))
