/* test_heap_return.c - what becomes of freed blocks: mail, eager return, exclusive heaps. */
#include "heap_play.h"

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

UNIT_MAIN(CASE(the_first_foreign_free_of_a_floating_span_is_mailed_once), CASE(a_free_into_a_hot_span_is_not_mailed),
          CASE(the_mail_settles_what_was_in_flight), CASE(a_refill_reads_the_mail),
          CASE(the_owner_s_last_free_returns_the_span), CASE(another_thread_s_last_free_returns_the_span),
          CASE(a_last_free_without_a_heap_returns_the_span), CASE(whoever_comes_last_returns_it), CASE(in_every_class),
          CASE(a_hot_span_stays_when_it_is_empty), CASE(cooling_keeps_hot_spans_with_live_blocks),
          CASE(foreign_frees_into_an_exclusive_heap_only_queue), CASE(its_own_frees_return_spans))
