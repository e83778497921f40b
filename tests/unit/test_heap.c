/*
 * test_heap.c - refill station by station, mail, eager return, exclusive heaps. One thread plays the users of several heaps in
 * turn; purges are off, so that every span stays where it was put.
 */
#include "unit.h"

#include "fast.h"
#include "large.h"
#include "options.h"
#include "pool.h"
#include "runs.h"

enum { MOST = 1024 };

static heap *a, *b;
static unsigned big, page; /* classes: 32 blocks of 64 KB fill a span from the start; 4 KB spans begin with 32 and grow */
static void *blocks[MOST];
static span *filled[8];

static void begin_in(size_t arena_bytes) {
  CHECK(scalloc_option_set("SCALLOC_PURGE_DELAY_MS", -1));
  unit_arena(arena_bytes);
  a = heap_create(HEAP_THREAD);
  b = heap_create(HEAP_THREAD);
  big = class_of(65536);
  page = class_of(4096);
}

static void begin(void) { begin_in((size_t)4 << 30); }

static span *hot(heap *h, unsigned c) { return h->hot[heap_hot_slot(c)]; }

static void *take(heap *h, unsigned c) {
  void *block = heap_allocate_class(h, c);
  CHECK(block != NULL);
  CHECK(span_of(block) == hot(h, c));
  return block;
}

static size_t pooled(void) {
  size_t dirty;
  return pool_count(&dirty);
}

/* All blocks of `count` spans of the class, 32 each; the last span is hot, with nothing left. */
static void fill_spans(heap *h, unsigned c, uint32_t count) {
  for (uint32_t i = 0; i < 32 * count; i++) {
    blocks[i] = take(h, c);
    filled[i / 32] = span_of(blocks[i]);
  }
  for (uint32_t i = 1; i < count; i++) CHECK(filled[i] != filled[i - 1]);
  CHECK(hot(h, c) == filled[count - 1]);
  CHECK(filled[count - 1]->free == NULL && filled[count - 1]->bump + filled[count - 1]->block > filled[count - 1]->limit);
}

static void free_some(heap *by, uint32_t from, uint32_t to) {
  for (uint32_t i = from; i < to; i++) heap_free_any(by, blocks[i]);
}

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

static void blocks_never_carved_come_before_remote_ones(void) {
  begin();
  for (uint32_t i = 0; i < 16; i++) blocks[i] = take(a, big);
  free_some(b, 0, 16);
  span *s = hot(a, big);
  for (uint32_t i = 16; i < 32; i++) CHECK(take(a, big) == (char *)span_start(s) + i * 65536);
  CHECK_INT(word_count(s->word), ==, 16);
  for (uint32_t i = 16; i-- > 0;) CHECK(take(a, big) == blocks[i]); /* now, in one batch */
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

/* ---- mail -------------------------------------------------------------------------------------------------------------- */

static void the_first_foreign_free_of_a_floating_span_is_mailed_once(void) {
  begin();
  fill_spans(a, big, 2);
  heap_free_any(b, blocks[0]);
  CHECK_INT(a->mailed, ==, 1);
  CHECK_INT(a->mail.head, ==, span_index(filled[0]));
  heap_free_any(b, blocks[1]);
  CHECK_INT(a->mail.tail, ==, span_index(filled[0]));
  CHECK_INT(b->remote_frees, ==, 2);
  heap_settle(a);
  CHECK_INT(a->mailed, ==, 0);
  CHECK_INT(a->mail.head, ==, 0);
  heap_free_any(b, blocks[2]);
  CHECK_INT(a->mailed, ==, 0); /* shared already */
}

static void a_free_into_a_hot_span_is_not_mailed(void) {
  begin();
  fill_spans(a, big, 1);
  free_some(b, 0, 5);
  CHECK_INT(a->mailed, ==, 0);
  CHECK_INT(word_count(filled[0]->word), ==, 5);
}

/* The owner's last plain free and the other's first, at the same instant: neither saw the other. */
static void the_mail_settles_what_was_in_flight(void) {
  begin();
  fill_spans(a, big, 2);
  free_some(a, 2, 32);
  span *s = filled[0];
  heap_free_any(b, blocks[0]);
  CHECK_INT(pooled(), ==, 0);
  *(void **)blocks[1] = s->free; /* the stores of fast_free, which looked at the owner word before */
  s->free = blocks[1];
  s->used--;
  CHECK_INT(span_state_now(s), ==, SPAN_REUSABLE);
  heap_settle(a);
  CHECK_INT(span_state_now(s), ==, SPAN_FREE);
  CHECK_INT(pooled(), ==, 1);
  check_heap();
}

static void a_refill_reads_the_mail(void) {
  begin();
  fill_spans(a, big, 2);
  heap_free_any(b, blocks[0]);
  take(a, big);
  CHECK_INT(a->mailed, ==, 0);
}

/* ---- eager return ------------------------------------------------------------------------------------------------------ */

/* The span that was emptied last serves another heap and class, at once. */
static void check_returned(span *s, heap *other) {
  CHECK_INT(pooled(), ==, 1);
  CHECK_INT(span_state_now(s), ==, SPAN_FREE);
  CHECK_INT(s->owner, ==, 0);
  CHECK_INT(s->in_list, ==, 0);
  take(other, class_of(48));
  CHECK(hot(other, class_of(48)) == s);
  check_heap();
}

static void the_owner_s_last_free_returns_the_span(void) {
  begin();
  fill_spans(a, big, 2);
  free_some(a, 0, 31);
  CHECK_INT(pooled(), ==, 0);
  free_some(a, 31, 32);
  check_returned(filled[0], b);
}

static void another_thread_s_last_free_returns_the_span(void) {
  begin();
  fill_spans(a, big, 2);
  free_some(b, 0, 31);
  CHECK_INT(pooled(), ==, 0);
  free_some(b, 31, 32);
  check_returned(filled[0], b);
}

static void a_last_free_without_a_heap_returns_the_span(void) {
  begin();
  fill_spans(a, big, 2);
  free_some(NULL, 0, 32);
  check_returned(filled[0], b);
}

static void whoever_comes_last_returns_it(void) {
  begin();
  fill_spans(a, big, 2);
  for (uint32_t i = 0; i < 32; i++) heap_free_any(i % 2 ? a : b, blocks[i]);
  heap_settle(a);
  check_returned(filled[0], b);
}

static void empty_one(long c) {
  void *held[70000];
  uint32_t n = 0;
  begin();
  held[n++] = take(a, (unsigned)c);
  span *s = hot(a, (unsigned)c);
  for (;;) {
    void *block = take(a, (unsigned)c);
    if (hot(a, (unsigned)c) != s) break;
    held[n++] = block;
  }
  while (--n > 0) heap_free_any(n % 3 ? b : a, held[n]);
  CHECK_INT(pooled(), ==, 0);
  heap_free_any(b, held[0]);
  heap_settle(a);
  CHECK_INT(pooled(), ==, 1);
  check_heap();
}

static void in_every_class(void) { unit_each(empty_one, 14, CLASSES); }

static void a_hot_span_stays_when_it_is_empty(void) {
  begin();
  fill_spans(a, big, 1);
  free_some(a, 0, 16);
  free_some(b, 16, 32);
  CHECK(hot(a, big) == filled[0]);
  CHECK_INT(pooled(), ==, 0);
  heap_cool(b);
  CHECK_INT(pooled(), ==, 0);
  heap_cool(a);
  CHECK_INT(pooled(), ==, 1);
  CHECK(hot(a, big) == &heap_no_span);
  check_heap();
}

static void cooling_keeps_hot_spans_with_live_blocks(void) {
  begin();
  take(a, big), take(a, page);
  heap_free_any(a, take(a, class_of(100)));
  heap_cool(a);
  CHECK(hot(a, big) != &heap_no_span && hot(a, page) != &heap_no_span);
  CHECK(hot(a, class_of(100)) == &heap_no_span);
}

/* ---- exclusive heaps --------------------------------------------------------------------------------------------------- */

static void foreign_frees_into_an_exclusive_heap_only_queue(void) {
  begin();
  heap *x = heap_create(HEAP_EXCLUSIVE);
  fill_spans(x, big, 2);
  free_some(b, 0, 32);
  CHECK_INT(span_state_now(filled[0]), ==, SPAN_FLOATING);
  CHECK_INT(word_count(filled[0]->word), ==, 32);
  CHECK_INT(filled[0]->owner, ==, (word_t)(uintptr_t)x);
  CHECK_INT(x->mailed, ==, 0);
  CHECK_INT(b->remote_frees, ==, 32);
  check_heap();
  heap_settle_all(b);
  CHECK_INT(pooled(), ==, 0);
  heap_end(x);
  CHECK_INT(pooled(), ==, 2);
  check_heap();
}

static void its_own_frees_return_spans(void) {
  begin();
  heap *x = heap_create(HEAP_EXCLUSIVE);
  fill_spans(x, big, 2);
  free_some(x, 0, 9);
  CHECK_INT(span_state_now(filled[0]), ==, SPAN_REUSABLE);
  free_some(x, 9, 32);
  check_returned(filled[0], b);
}

UNIT_MAIN(CASE(an_empty_hot_span_is_given_up_if_a_thread_purges), CASE(blocks_never_carved_come_before_remote_ones),
          CASE(remote_blocks_are_taken_if_they_are_more_than_the_threshold), CASE(then_the_oldest_reusable_span),
          CASE(then_the_orphans), CASE(but_its_own_reusable_spans_come_before_them), CASE(then_backed_pages_of_the_same_span),
          CASE(then_backed_pages_in_the_pool), CASE(then_growth_of_the_real_span), CASE(then_clean_spans_of_the_pool),
          CASE(then_free_runs), CASE(then_the_arena), CASE(and_at_last_the_few_remote_blocks_there_are),
          CASE(a_fresh_span_gives_ascending_blocks), CASE(every_size_finds_its_hot_span_directly),
          CASE(the_first_foreign_free_of_a_floating_span_is_mailed_once), CASE(a_free_into_a_hot_span_is_not_mailed),
          CASE(the_mail_settles_what_was_in_flight), CASE(a_refill_reads_the_mail),
          CASE(the_owner_s_last_free_returns_the_span), CASE(another_thread_s_last_free_returns_the_span),
          CASE(a_last_free_without_a_heap_returns_the_span), CASE(whoever_comes_last_returns_it), CASE(in_every_class),
          CASE(a_hot_span_stays_when_it_is_empty), CASE(cooling_keeps_hot_spans_with_live_blocks),
          CASE(foreign_frees_into_an_exclusive_heap_only_queue), CASE(its_own_frees_return_spans))
