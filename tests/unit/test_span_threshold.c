/*
 * test_span_threshold.c - with n blocks and a threshold of t percent, the floor(t n)th free leaves a span floating and one more
 * makes it reusable: for every class, by frees of the owner, of others, and of both.
 */
#include "unit.h"

#include "fast.h"

static _Alignas(64) char owner[64];
#define OWNER ((heap *)(void *)owner)

static const long thresholds[] = {0, 20, 25, 50, 80, 100};
static void *blocks[16384];
static span *s;
static uint32_t n;

static void full_span(unsigned class_index) {
  s = span_at(arena_take(1));
  span_open(s, OWNER, class_index);
  for (n = 0;; n++) {
    if (s->free == NULL && !span_carve(s)) break;
    CHECK_INT(n, <, LENGTH(blocks));
    blocks[n] = fast_pop(s);
  }
  CHECK_INT(n, ==, (s->limit - s->first) / s->block);
}

/* What a free of the owner does: a plain one, and a look at the span when it meets the mark. */
static span_step owner_frees(void *block) {
  word_t w;
  bool first;
  if (s->owner & OWNER_SHARED) return span_free_public(s, block, &w, &first);
  bool met = s->used - 1 == s->notify;
  if (met) s->notify = word_count(s->word);
  *(void **)block = s->free;
  s->free = block;
  s->used--;
  return met ? span_settle(s, OWNER, &w) : STEP_NONE;
}

/* What a free of another thread does, and its owner with the mail. */
static span_step other_frees(void *block) {
  word_t w;
  bool first;
  span_step step = span_free_public(s, block, &w, &first);
  return first && step == STEP_NONE ? span_settle(s, OWNER, &w) : step;
}

typedef enum { BY_OWNER, BY_OTHERS, OWNER_THEN_OTHERS, HALF_WHILE_HOT, KINDS } free_kind;

static span_step free_one(free_kind kind, uint32_t i, uint32_t turn) {
  bool by_owner = kind == BY_OWNER || (kind == OWNER_THEN_OTHERS && i < turn);
  return by_owner ? owner_frees(blocks[i]) : other_frees(blocks[i]);
}

/* Frees all blocks of a span one by one and holds each step to the definition. */
static void free_all(unsigned class_index, long t, free_kind kind, uint32_t turn) {
  word_t w;
  full_span(class_index);
  uint32_t most = (uint32_t)((uint64_t)n * (uint64_t)t / 100), freed = 0;
  CHECK_INT(span_threshold(s), ==, most);
  if (turn > n) turn = n;
  while (kind == HALF_WHILE_HOT && freed < most / 2) CHECK_INT(other_frees(blocks[freed++]), ==, STEP_NONE);
  CHECK_INT(span_leave_hot(s, &w), ==, STEP_NONE);
  while (freed < n) {
    CHECK_INT(word_state(s->word), ==, freed > most ? SPAN_REUSABLE : SPAN_FLOATING);
    span_step step = free_one(kind, freed, turn);
    freed++;
    CHECK_INT(step, ==, freed == n ? STEP_FREE : freed == most + 1 ? STEP_REUSABLE : STEP_NONE);
  }
  CHECK_INT(word_state(s->word), ==, SPAN_FREE);
}

static void with_threshold(long t) {
  CHECK(scalloc_option_set("SCALLOC_REUSE_THRESHOLD", t));
  unit_arena((size_t)16 << 30);
  for (unsigned c = 0; c < CLASSES; c++) {
    free_all(c, t, BY_OWNER, 0);
    free_all(c, t, BY_OTHERS, 0);
    free_all(c, t, HALF_WHILE_HOT, 0);
    full_span(c);
    uint32_t most = span_threshold(s), turns[] = {1, most / 2, most, most + 1, most + 2, n - 1};
    for (size_t i = 0; i < LENGTH(turns); i++) free_all(c, t, OWNER_THEN_OTHERS, turns[i]);
  }
}

static void with_each_threshold(long i) { with_threshold(thresholds[i]); }

static void the_threshold_is_exact_for_every_class_and_kind_of_free(void) {
  unit_each(with_each_threshold, 0, LENGTH(thresholds));
}

/* What the span holds when it leaves hot decides by the same figures. */
static void leave_with(long t) {
  word_t w;
  CHECK(scalloc_option_set("SCALLOC_REUSE_THRESHOLD", t));
  unit_arena((size_t)4 << 30);
  for (unsigned c = 0; c < CLASSES; c++) {
    for (int more = 0; more < 2; more++) {
      full_span(c);
      uint32_t freed = span_threshold(s) + (uint32_t)more;
      if (freed > n) continue;
      for (uint32_t i = 0; i < freed; i++) owner_frees(blocks[i]);
      CHECK_INT(span_leave_hot(s, &w), ==, freed == n ? STEP_FREE : more ? STEP_REUSABLE : STEP_NONE);
    }
  }
}

static void leave_with_each(long i) { leave_with(thresholds[i]); }

static void it_is_exact_when_a_span_leaves_hot(void) { unit_each(leave_with_each, 0, LENGTH(thresholds)); }

UNIT_MAIN(CASE(the_threshold_is_exact_for_every_class_and_kind_of_free), CASE(it_is_exact_when_a_span_leaves_hot))
