/*
 * test_heap_life.c - heaps made, retired, taken again and ended; what becomes of the spans of a thread that is gone. One thread
 * plays the users of several heaps in turn.
 */
#include "unit.h"

#include "pool.h"

static heap *a, *b;
static unsigned big; /* the class of 64 KB: 32 blocks fill a span */
static void *blocks[64];

static void begin(void) {
  CHECK(scalloc_option_set("SCALLOC_PURGE_DELAY_MS", -1));
  unit_arena((size_t)4 << 30);
  a = heap_create(HEAP_THREAD);
  b = heap_create(HEAP_THREAD);
  big = class_of(65536);
}

static void *take(heap *h, unsigned c) {
  void *block = heap_allocate_class(h, c);
  CHECK(block != NULL);
  return block;
}

static size_t pooled(void) {
  size_t dirty;
  return pool_count(&dirty);
}

static span *fill_span(heap *h) {
  for (uint32_t i = 0; i < 32; i++) blocks[i] = take(h, big);
  CHECK(span_of(blocks[0]) == span_of(blocks[31]));
  return span_of(blocks[0]);
}

static void free_some(heap *by, uint32_t from, uint32_t to) {
  for (uint32_t i = from; i < to; i++) heap_free_any(by, blocks[i]);
}

static bool is_in(const span_list *list, const span *s, unsigned which) {
  for (uint32_t i = list->head; i != 0; i = span_at(i)->link[which].next)
    if (span_at(i) == s) return true;
  return false;
}

/* ---- retiring ---------------------------------------------------------------------------------------------------------- */

static void retiring_cools_the_hot_spans(void) {
  begin();
  take(a, class_of(100));
  span *floating = fill_span(a), *empty = span_of(take(a, class_of(5000)));
  heap_free_any(a, span_start(empty) + empty->first);
  heap_retire(a);
  CHECK_INT(a->status, ==, HEAP_RETIRED);
  for (unsigned i = 0; i < HEAP_HOTS; i++) CHECK(a->hot[i] == &heap_no_span);
  CHECK_INT(span_state_now(floating), ==, SPAN_FLOATING);
  CHECK(owner_heap(floating->owner) == a); /* not visited: its owner is told by the word alone */
  CHECK_INT(span_state_now(empty), ==, SPAN_FREE);
  CHECK_INT(pooled(), ==, 1);
  check_heap();
}

static void its_reusable_spans_become_orphans(void) {
  begin();
  span *s = fill_span(a);
  take(a, big);
  free_some(a, 0, 9);
  CHECK(is_in(&a->sets[big], s, LIST_SET));
  heap_retire(a);
  CHECK(owner_heap(s->owner) == heap_orphans());
  CHECK(is_in(&heap_orphans()->sets[big], s, LIST_SET));
  CHECK(!is_in(&a->sets[big], s, LIST_SET));
  CHECK_INT(span_state_now(s), ==, SPAN_REUSABLE);
  check_heap();
}

static void mail_is_read_before(void) {
  begin();
  span *s = fill_span(a);
  take(a, big);
  heap_free_any(b, blocks[0]);
  CHECK_INT(a->mailed, ==, 1);
  heap_retire(a);
  CHECK_INT(a->mailed, ==, 0);
  CHECK_INT(s->in_list >> LIST_MAIL & 1, ==, 0);
}

static void the_next_thread_gets_the_retired_heap_with_its_spans(void) {
  begin();
  span *s = fill_span(a);
  heap_retire(a);
  CHECK(heap_create(HEAP_THREAD) == a);
  CHECK_INT(a->status, ==, HEAP_LIVE);
  free_some(a, 0, 9); /* plain frees again */
  CHECK(is_in(&a->sets[big], s, LIST_SET));
  CHECK(span_of(take(a, big)) == s);
  check_heap();
}

static void other_kinds_of_heaps_do_not(void) {
  begin();
  heap_retire(a);
  CHECK(heap_create(HEAP_USER) != a);
  CHECK(heap_create(HEAP_EXCLUSIVE) != a);
  CHECK(heap_create(HEAP_THREAD) == a);
}

/* ---- adoption ---------------------------------------------------------------------------------------------------------- */

/* A floating span of a heap whose thread is gone, and a thread that frees into it up to the threshold. */
static span *deserted_span(heap *by) {
  begin();
  span *s = fill_span(a);
  heap_retire(a);
  free_some(by, 0, 8);
  CHECK_INT(span_state_now(s), ==, SPAN_FLOATING);
  CHECK(owner_heap(s->owner) == a);
  return s;
}

static void the_thread_whose_free_makes_it_reusable_adopts_it(void) {
  span *s = deserted_span(NULL);
  free_some(b, 8, 9);
  CHECK_INT(span_state_now(s), ==, SPAN_REUSABLE);
  CHECK(owner_heap(s->owner) == b);
  CHECK(is_in(&b->sets[big], s, LIST_SET) && is_in(&b->all, s, LIST_ALL));
  CHECK(!is_in(&a->all, s, LIST_ALL));
  CHECK_INT(b->adoptions, ==, 1);
  check_heap();
  CHECK(span_of(take(b, big)) == s);
  check_heap();
}

static void without_a_heap_it_goes_to_the_orphans(void) {
  span *s = deserted_span(NULL);
  free_some(NULL, 8, 9);
  CHECK(owner_heap(s->owner) == heap_orphans());
  CHECK(is_in(&heap_orphans()->sets[big], s, LIST_SET));
  check_heap();
}

static void a_heap_that_may_be_ended_adopts_nothing(void) {
  span *s = deserted_span(NULL);
  heap *user = heap_create(HEAP_USER);
  free_some(user, 8, 9);
  CHECK(owner_heap(s->owner) == heap_orphans());
  CHECK(span_of(take(user, big)) != s);
  heap_end(user);
  for (uint32_t i = 9; i < 32; i++) memset(blocks[i], 1, 65536);
  free_some(NULL, 9, 32);
  CHECK_INT(span_state_now(s), ==, SPAN_FREE);
  check_heap();
}

static void the_last_free_into_it_returns_the_span(void) {
  span *s = deserted_span(NULL);
  free_some(b, 8, 31);
  CHECK_INT(pooled(), ==, 0);
  free_some(NULL, 31, 32);
  CHECK_INT(span_state_now(s), ==, SPAN_FREE);
  CHECK_INT(pooled(), ==, 1);
  CHECK(!is_in(&b->all, s, LIST_ALL));
  check_heap();
}

/* The thread's last plain free, which it finished before it went, and the first foreign one afterwards. */
static void a_deserted_span_is_settled_by_the_first_free_into_it(void) {
  begin();
  span *s = fill_span(a);
  heap_retire(a);
  for (uint32_t i = 0; i < 20; i++) {
    *(void **)blocks[i] = s->free;
    s->free = blocks[i];
    s->used--;
  }
  free_some(b, 20, 21);
  CHECK(is_in(&b->sets[big], s, LIST_SET));
  check_heap();
}

static void orphans_are_taken_before_the_arena_is_asked(void) {
  begin();
  fill_span(a);
  free_some(a, 0, 9);
  heap_retire(a);
  uint32_t spans = arena_high_water();
  span *s = span_of(blocks[0]);
  for (int i = 0; i < 9; i++) CHECK(span_of(take(b, big)) == s);
  CHECK_INT(arena_high_water(), ==, spans);
  CHECK_INT(b->adoptions, ==, 1);
  CHECK_INT(heap_orphans()->sets[big].head, ==, 0);
  check_heap();
}

static void live_and_exit(void *context) { *(void **)context = scalloc_malloc(100); }

static void threads_in_turn_share_one_heap(void) {
  void *left[300];
  for (int i = 0; i < 300; i++) unit_join(unit_start(live_and_exit, &left[i]));
  CHECK_INT(heap_count(), ==, 1);
  for (int i = 0; i < 300; i++) scalloc_free(left[i]);
  check_heap();
  CHECK_INT(stats_now().pooled, ==, arena_high_water() - 1);
}

/* ---- resting ----------------------------------------------------------------------------------------------------------- */

/* Blocks of three classes, one of which keeps one. */
static char *rest_begin(void) {
  CHECK(scalloc_option_set("SCALLOC_PURGE_DELAY_MS", 500));
  unit_arena((size_t)4 << 30);
  a = heap_create(HEAP_THREAD);
  char *kept = take(a, class_of(200));
  memset(kept, 7, 200);
  for (size_t size = 200; size <= 20000; size *= 10) {
    for (size_t i = 0; i < LENGTH(blocks); i++) memset(blocks[i] = take(a, class_of(size)), 1, size);
    free_some(a, 0, LENGTH(blocks));
  }
  return kept;
}

static void operate(uint32_t ms) {
  os_fake_advance_clock(ms);
  heap_free_any(a, scalloc_heap_malloc(a, 2 * MB));
}

static void a_heap_that_slept_gives_the_pages_of_empty_hot_spans_back(void) {
  char *kept = rest_begin();
  operate(499);
  CHECK_INT(pooled(), ==, 0);
  long long committed = stats_now().committed;
  CHECK_INT(committed, >=, 64 * 22000);
  operate(500);
  CHECK_INT(pooled(), ==, 2);
  CHECK_INT(stats_now().committed, <=, committed - 64 * 22000);
  CHECK(all_bytes(kept, 200, 7));
  CHECK_INT(span_state_now(span_of(kept)), ==, SPAN_HOT);
  check_heap();
}

static void one_that_goes_on_has_them_back_from_the_pool(void) {
  rest_begin();
  long purges = os_fake_calls(OS_PURGE);
  for (int i = 0; i < 4; i++) operate(124);
  CHECK_INT(pooled(), ==, 0);
  operate(4);
  CHECK_INT(pooled(), ==, 2); /* as they are */
  CHECK_INT(os_fake_calls(OS_PURGE), ==, purges);
  span *s = span_of(take(a, class_of(20000)));
  CHECK_INT(s->dirty, >=, 64 * 20000);
  CHECK_INT(pooled(), ==, 1);
  check_heap();
}

/* The span just taken is empty, too, and stays. */
static void the_span_that_is_being_taken_stays(void) {
  rest_begin();
  os_fake_advance_clock(1000);
  char *block = take(a, big = class_of(65536));
  CHECK(a->hot[heap_hot_slot(big)] == span_of(block));
  memset(block, 1, 65536);
  check_heap();
}

static void what_the_os_keeps_stays_dirty_in_the_pool(void) {
  rest_begin();
  long long committed = stats_now().committed;
  os_fake_refuse(OS_PURGE, 1, true);
  operate(1000);
  CHECK_INT(pooled(), ==, 2);
  CHECK_INT(stats_now().committed, >=, committed);
  check_heap();
}

/* ---- ending ------------------------------------------------------------------------------------------------------------ */

static void ending_a_heap_returns_all_its_spans(void) {
  begin();
  heap *user = heap_create(HEAP_USER);
  char *other = take(b, class_of(100));
  memset(other, 7, 100);
  for (size_t size = 1; size < 5 * MB; size = size * 5 / 4 + 1)
    for (int i = 0; i < 3; i++) CHECK(scalloc_heap_malloc(user, size) != NULL);
  heap_free_any(b, scalloc_heap_malloc(user, 100));
  heap_end(user);
  CHECK_INT(user->status, ==, HEAP_UNUSED);
  CHECK_INT(user->all.head, ==, 0);
  CHECK(all_bytes(other, 100, 7));
  heap_free_any(b, other);
  heap_cool(b);
  stats after = stats_now();
  CHECK_INT(after.live, ==, 0);
  CHECK_INT(after.pooled, ==, after.opened);
  check_heap();
}

static void it_takes_time_by_the_span_not_by_the_block(void) {
  begin();
  heap *user = heap_create(HEAP_USER);
  for (int i = 0; i < 1000000; i++) CHECK(scalloc_heap_malloc(user, 16) != NULL);
  uint32_t spans = arena_high_water();
  long clock_calls = os_fake_calls(OS_NOW), others = os_fake_calls(OS_OPEN) + os_fake_calls(OS_PURGE);
  double start = now();
  heap_end(user);
  CHECK(now() - start < 0.01);
  CHECK_INT(os_fake_calls(OS_NOW) - clock_calls, <=, spans + 3);
  CHECK_INT(os_fake_calls(OS_OPEN) + os_fake_calls(OS_PURGE), ==, others);
  CHECK_INT(pooled(), ==, spans - 1);
}

static void its_structure_serves_the_next_heap(void) {
  begin();
  heap *user = heap_create(HEAP_USER);
  take(user, big);
  heap_end(user);
  uint32_t count = heap_count();
  heap *next = heap_create(HEAP_EXCLUSIVE);
  CHECK(next == user);
  CHECK_INT(next->kind, ==, HEAP_EXCLUSIVE);
  CHECK_INT(heap_count(), ==, count);
  for (unsigned i = 0; i < HEAP_HOTS; i++) CHECK(next->hot[i] == &heap_no_span);
  CHECK(take(next, big) != NULL);
  check_heap();
}

static void count_span(span *s, void *context) {
  CHECK(owner_heap(s->owner) != NULL);
  ++*(unsigned *)context;
}

static void a_heap_knows_its_spans(void) {
  unsigned n = 0;
  begin();
  heap *user = heap_create(HEAP_USER);
  for (int i = 0; i < 100; i++) take(user, big);
  CHECK(scalloc_heap_malloc(user, 3 * MB) != NULL);
  heap_each_span(user, count_span, &n);
  CHECK_INT(n, ==, 4 + 1);
}

static void many_heaps_at_once(void) {
  enum { HEAPS = 3000 };
  static heap *heaps[HEAPS];
  static char *held[HEAPS];
  begin();
  for (int round = 0; round < 2; round++) {
    for (int i = 0; i < HEAPS; i++) {
      heaps[i] = heap_create(i % 2 ? HEAP_USER : HEAP_EXCLUSIVE);
      CHECK(heaps[i] != NULL && heap_at(heaps[i]->id) == heaps[i]);
      if (i % 3 == 0) memset(held[i] = scalloc_heap_malloc(heaps[i], 500), i & 127, 500);
    }
    CHECK_INT(heap_count(), ==, HEAPS + 2);
    for (int i = 0; i < HEAPS; i++) {
      if (i % 3 == 0) CHECK(all_bytes(held[i], 500, (unsigned char)(i & 127)));
      heap_end(heaps[i]);
    }
    CHECK_INT(pooled(), ==, HEAPS / 3);
  }
  check_heap();
}

static heap *made[UNIT_THREADS_MAX][200];

static void make_and_end(unsigned number) {
  for (int i = 0; i < 200; i++) {
    heap *h = made[number][i] = heap_create(HEAP_USER);
    CHECK(h != NULL);
    CHECK(scalloc_heap_malloc(h, 1000) != NULL);
    if (i % 2) heap_end(h);
  }
}

static void threads_make_and_end_heaps_side_by_side(void) {
  begin();
  unit_threads(8, make_and_end);
  for (unsigned i = 0; i < 8; i++)
    for (int k = 0; k < 200; k += 2) {
      CHECK_INT(made[i][k]->kind, ==, HEAP_USER);
      made[i][k]->kind = HEAP_EXCLUSIVE; /* each once only */
      heap_end(made[i][k]);
    }
  check_heap();
}

UNIT_MAIN(CASE(retiring_cools_the_hot_spans), CASE(its_reusable_spans_become_orphans), CASE(mail_is_read_before),
          CASE(the_next_thread_gets_the_retired_heap_with_its_spans), CASE(other_kinds_of_heaps_do_not),
          CASE(the_thread_whose_free_makes_it_reusable_adopts_it), CASE(without_a_heap_it_goes_to_the_orphans),
          CASE(a_heap_that_may_be_ended_adopts_nothing), CASE(the_last_free_into_it_returns_the_span),
          CASE(a_deserted_span_is_settled_by_the_first_free_into_it), CASE(orphans_are_taken_before_the_arena_is_asked),
          CASE(threads_in_turn_share_one_heap), CASE(a_heap_that_slept_gives_the_pages_of_empty_hot_spans_back),
          CASE(one_that_goes_on_has_them_back_from_the_pool), CASE(the_span_that_is_being_taken_stays),
          CASE(what_the_os_keeps_stays_dirty_in_the_pool), CASE(ending_a_heap_returns_all_its_spans),
          CASE(it_takes_time_by_the_span_not_by_the_block), CASE(its_structure_serves_the_next_heap),
          CASE(a_heap_knows_its_spans), CASE(many_heaps_at_once), CASE(threads_make_and_end_heaps_side_by_side))
