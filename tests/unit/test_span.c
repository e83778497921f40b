/* test_span.c - each transition of the state word, with the exact word before and after. */
#include "unit.h"

#include "fast.h"
#include "options.h"

static _Alignas(64) char heaps[2][64]; /* only their addresses count here */
#define OWNER ((heap *)(void *)heaps[0])
#define OTHER ((heap *)(void *)heaps[1])

enum { C = 45 }; /* 20 KB blocks: enough of them, and not so many */
static span *s;
static void *blocks[16384];
static uint32_t n; /* blocks of the real span */

static uint32_t head_of(const void *block) { return (uint32_t)((size_t)((const char *)block - span_start(s)) >> 3); }

static void check_word(word_t generation, span_state state, uint32_t count, uint32_t head) {
  word_t w = s->word;
  CHECK_INT(word_generation(w), ==, generation);
  CHECK_INT(word_state(w), ==, state);
  CHECK_INT(word_count(w), ==, count);
  if (count > 0) CHECK_INT(word_head(w), ==, head);
  if (count > 0) CHECK_INT(w, ==, unit_word(generation, state, count, head));
}

/* A hot span of class C, generation 1, all of whose n blocks are live, in ascending order. */
static void full_span(void) {
  unit_arena((size_t)1 << 30);
  s = span_at(arena_take(1));
  span_open(s, OWNER, C);
  for (n = 0;; n++) {
    if (s->free == NULL && !span_carve(s)) break;
    blocks[n] = fast_pop(s);
  }
  CHECK_INT(n, >=, 20);
}

static void owner_frees(uint32_t i) {
  *(void **)blocks[i] = s->free;
  s->free = blocks[i];
  s->used--;
}

/* A free through the word that must lead to no change of state. */
static void frees(uint32_t i) {
  word_t now_;
  bool first;
  CHECK_INT(span_free_public(s, blocks[i], &now_, &first), ==, STEP_NONE);
  CHECK_INT(now_, ==, s->word);
}

/* Hot no more, with `live` blocks live. */
static word_t leave(void) {
  word_t w;
  span_leave_hot(s, &w);
  CHECK_INT(w, ==, s->word);
  return w;
}

/* ---- open, carve ------------------------------------------------------------------------------------------------------- */

static void opening_makes_it_hot_and_empty(void) {
  unit_arena((size_t)1 << 30);
  s = span_at(arena_take(1));
  s->word = unit_word(41, SPAN_FREE, 0, 0);
  s->free = s->spare = s;
  span_open(s, OWNER, C);
  CHECK_INT(s->word, ==, unit_word(42, SPAN_HOT, 0, 0));
  CHECK_INT(s->owner, ==, (word_t)(uintptr_t)heaps[0]);
  CHECK_INT(s->used, ==, 0);
  CHECK_INT(s->notify, ==, NEVER);
  CHECK_INT(s->reusable_below, ==, 0);
  CHECK(s->free == NULL && s->spare == NULL);
  CHECK_INT(s->block, ==, class_size(C));
  CHECK_INT(s->class_index, ==, C);
  CHECK_INT(s->first, ==, class_first_offset(C, span_index(s)));
  CHECK_INT(s->bump, ==, s->first);
  CHECK_INT(s->limit, ==, class_initial_limit(C, s->first));
}

static void the_generation_wraps_after_24_bits(void) {
  unit_arena((size_t)1 << 30);
  s = span_at(arena_take(1));
  s->word = unit_word(0xffffff, SPAN_FREE, 0, 0);
  span_open(s, OWNER, C);
  CHECK_INT(s->word, ==, unit_word(0, SPAN_HOT, 0, 0));
}

static void carve_one(long class_index) {
  unit_arena((size_t)1 << 30);
  s = span_at(arena_take(1));
  span_open(s, OWNER, (unsigned)class_index);
  char *expected = span_start(s) + s->first;
  while (span_carve(s)) {
    uint32_t count = 0;
    for (; s->free != NULL; s->free = *(void **)s->free, count++, expected += s->block) CHECK(s->free == expected);
    CHECK_INT(count * s->block, <=, s->block > PAGE ? s->block : (uint32_t)PAGE);
    CHECK_INT(count, >=, 1);
    CHECK_INT(s->bump, ==, expected - span_start(s));
    CHECK_INT(s->dirty, ==, s->bump);
  }
  CHECK_INT(s->limit - s->bump, <, s->block);
  CHECK_INT(s->word, ==, unit_word(1, SPAN_HOT, 0, 0));
  CHECK_INT(s->used, ==, 0);
}

static void carving_gives_ascending_blocks_a_page_at_a_time_up_to_the_limit(void) { unit_each(carve_one, 0, CLASSES); }

static void carving_remembers_how_far_pages_were_dirty_before(void) {
  unit_arena((size_t)1 << 30);
  s = span_at(arena_take(1));
  s->dirty = 500000;
  span_open(s, OWNER, C);
  CHECK(span_carve(s));
  CHECK_INT(s->dirty, ==, 500000);
}

/* ---- leaving hot ------------------------------------------------------------------------------------------------------- */

static void a_full_span_becomes_floating(void) {
  word_t w;
  full_span();
  CHECK_INT(span_leave_hot(s, &w), ==, STEP_NONE);
  CHECK_INT(w, ==, s->word);
  check_word(2, SPAN_FLOATING, 0, 0);
  CHECK_INT(s->reusable_below, ==, n - span_threshold(s));
  CHECK_INT(s->notify, ==, s->reusable_below - 1);
}

static void a_span_with_more_than_the_threshold_free_becomes_reusable(void) {
  word_t w;
  full_span();
  for (uint32_t i = 0; i <= span_threshold(s); i++) owner_frees(i);
  CHECK_INT(span_leave_hot(s, &w), ==, STEP_REUSABLE);
  CHECK_INT(w, ==, s->word);
  check_word(2, SPAN_REUSABLE, 0, 0);
  CHECK_INT(s->notify, ==, 0); /* the next thing to happen is that it is empty */
}

static void an_empty_span_becomes_free(void) {
  word_t w;
  full_span();
  for (uint32_t i = 0; i < n; i++) owner_frees(i);
  CHECK_INT(span_leave_hot(s, &w), ==, STEP_FREE);
  CHECK_INT(w, ==, s->word);
  check_word(2, SPAN_FREE, 0, 0);
}

static void remote_frees_count_as_free_when_it_leaves(void) {
  word_t w;
  full_span();
  for (uint32_t i = 0; i < n; i++) frees(i);
  CHECK_INT(span_leave_hot(s, &w), ==, STEP_FREE);
  check_word(2, SPAN_FREE, n, head_of(blocks[n - 1]));
}

static void the_mark_includes_the_remote_frees_of_the_moment(void) {
  full_span();
  frees(0), frees(1);
  leave();
  check_word(2, SPAN_FLOATING, 2, head_of(blocks[1]));
  CHECK_INT(s->notify, ==, 2 + s->reusable_below - 1);
  CHECK_INT(s->used, ==, n);
}

/* ---- frees through the word -------------------------------------------------------------------------------------------- */

static void a_free_into_a_hot_span_only_queues(void) {
  word_t w;
  bool first = true;
  full_span();
  for (uint32_t i = 0; i < n; i++) {
    CHECK_INT(span_free_public(s, blocks[i], &w, &first), ==, STEP_NONE);
    CHECK(!first);
    check_word(1, SPAN_HOT, i + 1, head_of(blocks[i]));
  }
  CHECK_INT(s->owner, ==, (word_t)(uintptr_t)heaps[0]); /* not shared */
  CHECK_INT(s->used, ==, n);
}

static void the_queue_is_linked_last_in_first(void) {
  full_span();
  for (uint32_t i = 0; i < 5; i++) frees(i);
  void *block = span_start(s) + ((size_t)word_head(s->word) << GRANULE_SHIFT);
  for (uint32_t i = 5; i-- > 0; block = *(void **)block) CHECK(block == blocks[i]);
  CHECK(block == NULL);
}

static void the_first_free_into_a_floating_span_shares_it(void) {
  word_t w;
  bool first;
  full_span();
  leave();
  CHECK_INT(span_free_public(s, blocks[0], &w, &first), ==, STEP_NONE);
  CHECK(first);
  CHECK_INT(s->owner, ==, ((word_t)(uintptr_t)heaps[0] | OWNER_SHARED));
  check_word(2, SPAN_FLOATING, 1, head_of(blocks[0]));
  CHECK_INT(span_free_public(s, blocks[1], &w, &first), ==, STEP_NONE);
  CHECK(!first);
  check_word(2, SPAN_FLOATING, 2, head_of(blocks[1])); /* same state, same generation */
}

static void it_makes_the_span_reusable_and_then_free_once_each(void) {
  word_t w;
  bool first;
  full_span();
  leave();
  for (uint32_t i = 0; i < n; i++) {
    span_step expected = i == span_threshold(s) ? STEP_REUSABLE : i == n - 1 ? STEP_FREE : STEP_NONE;
    CHECK_INT(span_free_public(s, blocks[i], &w, &first), ==, expected);
    CHECK_INT(w, ==, s->word);
    if (i < span_threshold(s))
      check_word(2, SPAN_FLOATING, i + 1, head_of(blocks[i]));
    else if (i < n - 1)
      check_word(3, SPAN_REUSABLE, i + 1, head_of(blocks[i]));
    else
      check_word(4, SPAN_FREE, n, head_of(blocks[i]));
  }
}

static void queueing_never_changes_the_state(void) {
  full_span();
  span_queue(s, blocks[0]);
  check_word(1, SPAN_HOT, 1, head_of(blocks[0]));
  leave();
  for (uint32_t i = 1; i < n; i++) {
    span_queue(s, blocks[i]);
    check_word(2, SPAN_FLOATING, i + 1, head_of(blocks[i]));
  }
  CHECK_INT(s->owner, ==, (word_t)(uintptr_t)heaps[0]);
}

/* ---- hot again --------------------------------------------------------------------------------------------------------- */

static void a_reusable_span_becomes_hot_with_its_remote_blocks_at_hand(void) {
  word_t w;
  bool first;
  full_span();
  leave();
  for (uint32_t i = 0; i <= span_threshold(s); i++) span_free_public(s, blocks[i], &w, &first);
  uint32_t freed = word_count(s->word);
  CHECK(span_make_hot(s, OTHER, s->word));
  check_word(4, SPAN_HOT, 0, 0);
  CHECK_INT(s->word, ==, unit_word(4, SPAN_HOT, 0, 0));
  CHECK_INT(s->owner, ==, (word_t)(uintptr_t)heaps[1]); /* and no longer shared */
  CHECK_INT(s->notify, ==, NEVER);
  CHECK_INT(s->used, ==, n - freed);
  for (uint32_t i = freed; i-- > 0;) CHECK(fast_pop(s) == blocks[i]);
  CHECK(s->free == NULL);
}

static void the_remote_list_becomes_the_spare_one_where_there_are_local_blocks(void) {
  word_t w;
  bool first;
  full_span();
  owner_frees(0);
  leave();
  for (uint32_t i = 1; i <= span_threshold(s); i++) span_free_public(s, blocks[i], &w, &first);
  CHECK(span_make_hot(s, OWNER, s->word));
  CHECK(s->free == blocks[0]);
  CHECK(s->spare == blocks[span_threshold(s)]);
  CHECK_INT(s->used, ==, n - 1 - span_threshold(s));
}

static void with_both_lists_in_use_it_stays_on_the_word(void) {
  full_span();
  leave();
  uint32_t most = span_threshold(s);
  s->free = blocks[0], *(void **)blocks[0] = NULL;
  s->spare = blocks[1], *(void **)blocks[1] = NULL;
  s->used -= 2;
  word_t w;
  bool first;
  for (uint32_t i = 2; i <= most; i++) span_free_public(s, blocks[i], &w, &first);
  CHECK(span_make_hot(s, OWNER, s->word));
  check_word(4, SPAN_HOT, most - 1, head_of(blocks[most]));
  CHECK_INT(s->used, ==, n - 2);
}

static void only_a_reusable_span_can_be_made_hot(void) {
  full_span();
  word_t before = leave();
  CHECK(!span_make_hot(s, OWNER, s->word));
  CHECK_INT(s->word, ==, before);
  CHECK(span_clear(s));
  before = s->word;
  CHECK(!span_make_hot(s, OWNER, s->word));
  CHECK_INT(s->word, ==, before);
}

/* Unlinked when its word was `seen`; emptied, and in use by another heap by the time it is asked for. */
static void nor_one_that_had_another_life_meanwhile(void) {
  word_t w;
  bool first;
  full_span();
  leave();
  for (uint32_t i = 0; i <= span_threshold(s); i++) span_free_public(s, blocks[i], &w, &first);
  word_t seen = s->word;
  CHECK_INT(word_state(seen), ==, SPAN_REUSABLE);
  frees(span_threshold(s) + 1);
  s->word = unit_word(word_generation(seen) + 4, SPAN_REUSABLE, word_count(seen), word_head(seen));
  word_t before = s->word;
  CHECK(!span_make_hot(s, OWNER, seen));
  CHECK_INT(s->word, ==, before);
  CHECK(span_make_hot(s, OWNER, before));
}

static void a_free_since_it_was_seen_does_not_matter(void) {
  word_t w;
  bool first;
  full_span();
  leave();
  for (uint32_t i = 0; i <= span_threshold(s); i++) span_free_public(s, blocks[i], &w, &first);
  word_t seen = s->word;
  frees(span_threshold(s) + 1);
  CHECK(span_make_hot(s, OWNER, seen));
  CHECK_INT(s->used, ==, n - span_threshold(s) - 2);
}

static void collecting_takes_the_whole_list_if_it_is_long_enough(void) {
  full_span();
  for (uint32_t i = 0; i < 7; i++) frees(i);
  CHECK(!span_collect(s, 7));
  check_word(1, SPAN_HOT, 7, head_of(blocks[6]));
  CHECK(span_collect(s, 6));
  CHECK_INT(s->word, ==, unit_word(1, SPAN_HOT, 0, 0)); /* no change of state, no generation */
  CHECK_INT(s->used, ==, n - 7);
  for (uint32_t i = 7; i-- > 0;) CHECK(fast_pop(s) == blocks[i]);
  CHECK(!span_collect(s, 0));
}

/* ---- settling, clearing ------------------------------------------------------------------------------------------------ */

static void settling_makes_it_what_its_counts_say(void) {
  word_t w;
  full_span();
  leave();
  CHECK_INT(span_settle(s, OWNER, &w), ==, STEP_NONE);
  check_word(2, SPAN_FLOATING, 0, 0);
  for (uint32_t i = 0; i <= span_threshold(s); i++) owner_frees(i);
  CHECK_INT(span_settle(s, OWNER, &w), ==, STEP_REUSABLE);
  CHECK_INT(w, ==, unit_word(3, SPAN_REUSABLE, 0, 0));
  CHECK_INT(span_settle(s, OWNER, &w), ==, STEP_NONE);
  for (uint32_t i = span_threshold(s) + 1; i < n; i++) owner_frees(i);
  CHECK_INT(span_settle(s, OWNER, &w), ==, STEP_FREE);
  CHECK_INT(w, ==, unit_word(4, SPAN_FREE, 0, 0));
  CHECK_INT(span_settle(s, OWNER, &w), ==, STEP_NONE);
  check_word(4, SPAN_FREE, 0, 0);
}

static void settling_counts_both_kinds_of_frees(void) {
  word_t w;
  full_span();
  leave();
  for (uint32_t i = 0; i < n / 2; i++) owner_frees(i);
  for (uint32_t i = n / 2; i < n; i++) span_queue(s, blocks[i]);
  CHECK_INT(span_settle(s, OWNER, &w), ==, STEP_FREE);
  check_word(3, SPAN_FREE, n - n / 2, head_of(blocks[n - 1]));
}

static void nobody_settles_a_hot_span_or_one_of_another_heap(void) {
  word_t w;
  full_span();
  for (uint32_t i = 0; i < n; i++) owner_frees(i);
  CHECK_INT(span_settle(s, OWNER, &w), ==, STEP_NONE);
  s->used = n;
  leave();
  s->used = 0;
  CHECK_INT(span_settle(s, OTHER, &w), ==, STEP_NONE);
  check_word(2, SPAN_FLOATING, 0, 0);
  s->owner |= OWNER_SHARED;
  CHECK_INT(span_settle(s, OWNER, &w), ==, STEP_FREE);
}

static void clear_from(long state) {
  full_span();
  s->word = unit_word(9, (span_state)state, 3, 77);
  CHECK(span_clear(s));
  CHECK_INT(s->word, ==, unit_word(10, SPAN_FREE, 0, 0));
}

static void clearing_frees_it_from_any_state_in_use(void) { unit_each(clear_from, SPAN_HOT, SPAN_FREE); }

static void only_one_clears_it(void) {
  full_span();
  CHECK(span_clear(s));
  word_t before = s->word;
  CHECK(!span_clear(s));
  CHECK_INT(s->word, ==, before);
}

static void whoever_looked_before_a_change_of_state_cannot_act_after_it(void) {
  word_t w;
  bool first;
  full_span();
  word_t seen = leave();
  for (uint32_t i = 0; i <= span_threshold(s); i++) span_free_public(s, blocks[i], &w, &first);
  CHECK(span_make_hot(s, OWNER, s->word));
  while (s->free) fast_pop(s);
  leave();
  CHECK_INT(word_state(s->word), ==, word_state(seen)); /* same state, list and count as then */
  CHECK_INT(word_count(s->word), ==, word_count(seen));
  CHECK(!word_cas_full(&s->word, seen, word_with_list(seen, 1, 1)));
}

UNIT_MAIN(CASE(opening_makes_it_hot_and_empty), CASE(the_generation_wraps_after_24_bits),
          CASE(carving_gives_ascending_blocks_a_page_at_a_time_up_to_the_limit),
          CASE(carving_remembers_how_far_pages_were_dirty_before), CASE(a_full_span_becomes_floating),
          CASE(a_span_with_more_than_the_threshold_free_becomes_reusable), CASE(an_empty_span_becomes_free),
          CASE(remote_frees_count_as_free_when_it_leaves), CASE(the_mark_includes_the_remote_frees_of_the_moment),
          CASE(a_free_into_a_hot_span_only_queues), CASE(the_queue_is_linked_last_in_first),
          CASE(the_first_free_into_a_floating_span_shares_it), CASE(it_makes_the_span_reusable_and_then_free_once_each),
          CASE(queueing_never_changes_the_state), CASE(a_reusable_span_becomes_hot_with_its_remote_blocks_at_hand),
          CASE(the_remote_list_becomes_the_spare_one_where_there_are_local_blocks),
          CASE(with_both_lists_in_use_it_stays_on_the_word), CASE(only_a_reusable_span_can_be_made_hot),
          CASE(nor_one_that_had_another_life_meanwhile), CASE(a_free_since_it_was_seen_does_not_matter),
          CASE(collecting_takes_the_whole_list_if_it_is_long_enough), CASE(settling_makes_it_what_its_counts_say),
          CASE(settling_counts_both_kinds_of_frees), CASE(nobody_settles_a_hot_span_or_one_of_another_heap),
          CASE(clearing_frees_it_from_any_state_in_use), CASE(only_one_clears_it),
          CASE(whoever_looked_before_a_change_of_state_cannot_act_after_it))
