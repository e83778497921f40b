/* test_heap.c - hot spans that are empty; refill, station by station. */
#include "heap_play.h"

#include "large.h"
#include "runs.h"

/* An empty span with `dirty` bytes, in the pool. */
static span *pool_span(uint32_t dirty) {
  span *s = span_at(arena_take(1));
  span_set_state(s, SPAN_FREE);
  s->dirty = dirty;
  pool_put(s, 0);
  return s;
}

/* A heap that had one span of the class, with 9 of 32 blocks free, and was retired: the orphans have it now. */
static span *orphan(unsigned c) {
  heap *gone = heap_create(HEAP_THREAD);
  void *held[32];
  for (int i = 0; i < 32; i++) held[i] = take(gone, c);
  for (int i = 0; i < 9; i++) heap_free_any(gone, held[i]);
  heap_retire(gone);
  return span_of(held[0]);
}

/* ---- hot spans that are empty -------------------------------------------------------------------------------------------- */

/* Frees all blocks of a span that has grown: with a thread that purges it does not stay hot. */
static void given_up_or_not(long thread) {
  begin();
  options.purge_thread = thread != 0;
  for (uint32_t i = 0; i < 8; i++) blocks[i] = take(a, big);
  span *s = hot(a, big);
  for (uint32_t i = 0; i < 7; i++) heap_free_any(a, blocks[i]);
  CHECK_INT(span_state_now(s), ==, SPAN_HOT);
  heap_free_any(a, blocks[7]);
  CHECK(hot(a, big) == (thread ? &heap_no_span : s));
  CHECK_INT(span_state_now(s), ==, thread ? SPAN_FREE : SPAN_HOT);
  CHECK_INT(pooled(), ==, thread);
  check_heap();
}

static void an_empty_hot_span_is_given_up_if_a_thread_purges(void) { unit_each(given_up_or_not, 0, 2); }

/* ---- the stations of a refill, in their order --------------------------------------------------------------------------- */

static void remote_blocks_come_before_those_never_carved(void) {
  begin();
  for (uint32_t i = 0; i < 16; i++) blocks[i] = take(a, big);
  free_some(b, 0, 16);
  for (uint32_t i = 16; i-- > 0;) CHECK(take(a, big) == blocks[i]); /* in one batch */
  span *s = hot(a, big);
  CHECK_INT(word_count(s->word), ==, 0);
  for (uint32_t i = 16; i < 32; i++) CHECK(take(a, big) == (char *)span_start(s) + i * 65536);
}

/* Of small blocks a page of them at least: each batch costs a compare-and-swap. */
static void unless_they_are_fewer_than_a_page_holds(void) {
  enum { SMALL = 64, PER_PAGE = PAGE / SMALL };
  begin();
  unsigned c = class_of_malloc(SMALL);
  for (uint32_t i = 0; i < 2 * PER_PAGE; i++) blocks[i] = take(a, c);
  span *s = hot(a, c);
  free_some(b, 0, PER_PAGE);
  char *fresh = take(a, c);
  CHECK(fresh == (char *)blocks[2 * PER_PAGE - 1] + SMALL);
  CHECK_INT(word_count(s->word), ==, PER_PAGE);
  free_some(b, PER_PAGE, PER_PAGE + 1);
  for (uint32_t i = 1; i < PER_PAGE; i++) CHECK(take(a, c) == fresh + i * SMALL); /* the page that was begun */
  for (uint32_t i = PER_PAGE + 1; i-- > 0;) CHECK(take(a, c) == blocks[i]);
  CHECK_INT(word_count(s->word), ==, 0);
}

static void collect_or_not(long more) {
  begin();
  fill_spans(a, big, 1);
  free_some(b, 0, span_threshold(filled[0]) + (uint32_t)more);
  take(a, big);
  CHECK_INT(hot(a, big) == filled[0], ==, more);
  CHECK_INT(arena_high_water(), ==, more ? 2 : 3);
}

static void remote_blocks_are_taken_if_they_are_more_than_the_threshold(void) { unit_each(collect_or_not, 0, 2); }

static void then_the_oldest_reusable_span(void) {
  begin();
  span *spare = pool_span(SPAN_BYTES);
  CHECK(pool_take(0, 1) == spare);
  fill_spans(a, big, 4);
  pool_put(spare, 0);
  free_some(a, 32, 32 + 9); /* the second, then the first */
  free_some(b, 0, 9);
  heap_settle(a);
  for (int i = 0; i < 9; i++) take(a, big), CHECK(hot(a, big) == filled[1]);
  for (int i = 0; i < 9; i++) take(a, big), CHECK(hot(a, big) == filled[0]);
  CHECK_INT(span_state_now(filled[3]), ==, SPAN_FLOATING);
  CHECK_INT(pooled(), ==, 1);
  take(a, big);
  CHECK(hot(a, big) == spare);
}

/* Before anything is backed that is not yet: theirs is. */
static void then_the_orphans(void) {
  begin();
  pool_span(SPAN_BYTES);
  for (int i = 0; i < 32; i++) take(a, page); /* of a span with more backed pages behind its limit */
  span *left = hot(a, page), *s = orphan(page);
  CHECK(left->limit < left->dirty);
  pool_span(SPAN_BYTES);
  uint32_t run = arena_take(2), spans = arena_high_water();
  runs_give(run, 2, true);
  take(a, page);
  CHECK(hot(a, page) == s);
  CHECK_INT(a->adoptions, ==, 1);
  CHECK(owner_heap(s->owner) == a);
  CHECK_INT(arena_high_water(), ==, spans);
  CHECK_INT(pooled(), ==, 1);
  check_heap();
}

static void but_its_own_reusable_spans_come_before_them(void) {
  begin();
  fill_spans(a, big, 2);
  orphan(big);
  free_some(a, 0, 9);
  take(a, big);
  CHECK(hot(a, big) == filled[0]);
  CHECK_INT(a->adoptions, ==, 0);
}

static void then_backed_pages_of_the_same_span(void) {
  begin();
  pool_span(SPAN_BYTES);
  take(a, page); /* takes the one that is dirty all over */
  for (int i = 1; i < 32; i++) take(a, page);
  pool_span(SPAN_BYTES);
  span *s = hot(a, page);
  uint32_t limit = s->limit;
  take(a, page);
  CHECK(hot(a, page) == s);
  CHECK_INT(s->limit - s->first, ==, 2 * (limit - s->first));
  CHECK_INT(pooled(), ==, 1);
}

static void then_backed_pages_in_the_pool(void) {
  begin();
  fill_spans(a, page, 1);
  pool_span(0);
  span *dirty = pool_span(PAGE);
  take(a, page);
  CHECK(hot(a, page) == dirty);
  CHECK_INT(span_state_now(filled[0]), ==, SPAN_FLOATING);
}

static void then_growth_of_the_real_span(void) {
  begin();
  fill_spans(a, page, 1);
  pool_span(0);
  uint32_t spans = arena_high_water(), first = filled[0]->first;
  for (uint32_t n = 32; filled[0]->limit < SPAN_BYTES; n *= 2) {
    CHECK_INT(filled[0]->limit - first, ==, n * 4096);
    for (uint32_t i = 0; i < n && i < (SPAN_BYTES - first) / 4096 - n; i++) take(a, page);
    CHECK(hot(a, page) == filled[0]);
  }
  CHECK_INT(filled[0]->limit, ==, SPAN_BYTES);
  CHECK_INT(arena_high_water(), ==, spans);
}

static void then_clean_spans_of_the_pool(void) {
  begin();
  fill_spans(a, big, 1);
  span *clean = pool_span(0);
  take(a, big);
  CHECK(hot(a, big) == clean);
}

static void then_free_runs(void) {
  begin();
  fill_spans(a, big, 1);
  uint32_t run = arena_take(3), spans = arena_high_water();
  runs_give(run, 3, true);
  take(a, big);
  CHECK_INT(span_index(hot(a, big)), ==, run);
  CHECK_INT(runs_spans(), ==, 2);
  CHECK_INT(arena_high_water(), ==, spans);
  check_heap();
}

static void then_the_arena(void) {
  begin();
  fill_spans(a, big, 1);
  uint32_t spans = arena_high_water();
  take(a, big);
  CHECK_INT(span_index(hot(a, big)), ==, spans);
}

static void and_at_last_the_few_remote_blocks_there_are(void) {
  begin_in(64 * MB);
  bool zeroed;
  fill_spans(a, big, 1);
  CHECK(large_take(60 * MB, 1, false, &zeroed) != NULL);
  errno = 0;
  CHECK(heap_allocate_class(a, big) == NULL);
  CHECK_INT(errno, ==, ENOMEM);
  heap_free_any(b, blocks[3]);
  CHECK(heap_allocate_class(a, big) == blocks[3]);
  CHECK(heap_allocate_class(a, big) == NULL);
  check_heap();
}

static void a_fresh_span_gives_ascending_blocks(void) {
  begin();
  for (unsigned c = 0; c < CLASSES; c++) {
    char *first = take(a, c);
    span *s = span_of(first);
    for (uint32_t i = 1; i < (s->limit - s->first) / s->block; i++) CHECK(take(a, c) == first + i * s->block);
  }
}

static void every_size_finds_its_hot_span_directly(void) {
  begin();
  for (unsigned c = 0; c < CLASSES; c++) take(a, c);
  for (size_t size = 0; size <= DIRECT_MAX; size++) {
    unsigned c = size == 0 ? class_of(16) : class_of(size);
    CHECK(a->hot[(size + 7) / 8] == hot(a, c));
    CHECK_INT(hot(a, c)->class_index, ==, c);
  }
  check_heap();
}

UNIT_MAIN(CASE(an_empty_hot_span_is_given_up_if_a_thread_purges), CASE(remote_blocks_come_before_those_never_carved),
          CASE(unless_they_are_fewer_than_a_page_holds), CASE(remote_blocks_are_taken_if_they_are_more_than_the_threshold),
          CASE(then_the_oldest_reusable_span), CASE(then_the_orphans), CASE(but_its_own_reusable_spans_come_before_them),
          CASE(then_backed_pages_of_the_same_span), CASE(then_backed_pages_in_the_pool), CASE(then_growth_of_the_real_span),
          CASE(then_clean_spans_of_the_pool), CASE(then_free_runs), CASE(then_the_arena),
          CASE(and_at_last_the_few_remote_blocks_there_are), CASE(a_fresh_span_gives_ascending_blocks),
          CASE(every_size_finds_its_hot_span_directly))
