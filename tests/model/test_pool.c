/*
 * test_pool.c - the pool and the purge: spans put, taken and stolen, purged and put back, none lost and none in two hands.
 */
#include "explore_private.h"
#include "pool.h"
#include "purge.h"
#include "world.h"

enum { SPANS = 6 };

static uint32_t owner[SPANS + 1]; /* ghost: 0 = in the pool, else who has the span */
static uint32_t made;

static void got(span *s, uint32_t who) {
  if (owner[span_index(s)] != 0) model_fail("span %u is in two hands", span_index(s));
  model_ghost(&owner[span_index(s)], who);
}

static void put(span *s, unsigned stack) {
  model_ghost(&owner[span_index(s)], 0);
  pool_put(s, stack);
}

/* `count` empty spans, the first `dirty` of them with backed pages; span i on stack (i - 1) % 2 but for `keep` last ones. */
static void begin(unsigned count, unsigned dirty, unsigned keep) {
  world_begin();
  for (made = 1; made <= count; made++) {
    span *s = span_at(arena_take(1));
    span_set_state(s, SPAN_FREE);
    if (made <= dirty) s->dirty = 1 << 16;
    if (made + keep > count)
      owner[made] = 9;
    else
      pool_put(s, made - 1);
  }
}

static void one_stack(unsigned count) {
  world_begin();
  for (made = 1; made <= count; made++) {
    span_set_state(span_at(arena_take(1)), SPAN_FREE);
    pool_put(span_at(made), 0);
  }
}

static void not_purged(char *start, size_t bytes) {
  uint32_t i = (uint32_t)(((uintptr_t)start - arena.base) >> SPAN_SHIFT);
  if (bytes != SPAN_BYTES || owner[i] != 0) model_fail("span %u is purged in somebody's hands", i);
}

static void dirty_2(void) {
  begin(2, 2, 0);
  model_on_purge = not_purged;
}
static void dirty_2_of_3(void) {
  begin(3, 3, 1);
  model_on_purge = not_purged;
}
static void clean_1_of_2(void) { begin(2, 0, 1); }
static void clean_2_of_3(void) { begin(3, 0, 1); }
static void stack_of_3(void) { one_stack(3); }
static void all_out(void) { begin(2, 0, 2); }

/* Nothing in the pool, but its summary says there may be. */
static void emptied_1(void) {
  begin(2, 0, 1);
  owner[1] = 9;
  pool_take(0, 1);
  made = 3;
  pool_put(span_at(1), 1);
  pool_take(1, 1);
}

/* ---- acts ------------------------------------------------------------------------------------------------------------- */

static void take(unsigned hint) {
  span *s = pool_take(hint, 1);
  if (s) got(s, model_thread() + 1);
  model_forget((uintptr_t)s);
}

static void take_dirty(unsigned hint) {
  span *s = pool_take_dirty(hint, 1);
  if (s) got(s, model_thread() + 1);
  model_forget((uintptr_t)s);
}

static void take_0(void) { take(0); }
static void take_1(void) { take(1); }
static void take_dirty_0(void) { take_dirty(0); }
static void take_two(void) {
  take(0);
  take(0);
}
static void put_last(void) { put(span_at(made - 1), 1); }
static void put_last_0(void) { put(span_at(made - 1), 0); }
static void put_before_last(void) { put(span_at(made - 2), 0); }
static void purge(void) { purge_all(); }

/* Takes three, gives the first back: the top is what it was, what lay below is gone. */
static void turn_round(void) {
  span *s = pool_take(0, 1), *t = pool_take(0, 1), *v = pool_take(0, 1);
  if (s) got(s, 2);
  if (t) got(t, 2);
  if (v) got(v, 2);
  if (s) put(s, 0);
}

/* Every span is found, once: in somebody's hands or by taking. */
static void all_there(void) {
  span *s;
  while ((s = pool_take(0, 1)) != NULL) got(s, 8);
  for (uint32_t i = 1; i < made; i++)
    if (owner[i] == 0) model_fail("span %u is lost", i);
}

static const scenario scenarios[] = {
    {"put against take", clean_1_of_2, {put_last, take_0}, all_there, false},
    {"put against take of the same stack", clean_1_of_2, {put_last_0, take_0}, all_there, false},
    {"put against the take that empties", clean_1_of_2, {put_last_0, take_two}, all_there, false},
    {"put against a take from the empty pool", emptied_1, {put_last, take_1}, all_there, false},
    {"put against two takes", clean_2_of_3, {put_last, take_0, take_1}, all_there, false},
    {"two puts against a take", all_out, {put_last, put_before_last, take_two}, all_there, false},
    {"two thieves", clean_1_of_2, {take_1, take_1}, all_there, false},
    {"a stack turned round under a take", stack_of_3, {take_0, turn_round}, all_there, false},
    {"purge against take", dirty_2, {purge, take_dirty_0}, all_there, false},
    {"purge against put and take", dirty_2_of_3, {purge, put_last_0, take_0}, all_there, false},
    {"purge against purge", dirty_2, {purge, purge}, all_there, false},
};

int main(int argc, char **argv) { return model_main(argc, argv, scenarios, sizeof scenarios / sizeof *scenarios); }
