/* Limits of a heap for Lua: armed, soft, hard, for one block; budgets, injected failures, and what is counted of all that. */
#include "lua_limits.h"

static scalloc_lua_heap *new_heap(scalloc_lua_config config) {
  config.size = sizeof config;
  scalloc_lua_heap *heap = scalloc_lua_heap_new(&config);
  CHECK(heap != NULL);
  return heap;
}

static void *grow(scalloc_lua_heap *heap, void *block, size_t osize, size_t nsize) {
  return scalloc_lua_alloc(heap, block, osize, nsize);
}

static void release(scalloc_lua_heap *heap, void *block, size_t size) {
  CHECK(scalloc_lua_alloc(heap, block, size, 0) == NULL);
}

/* ---- the hard limit ------------------------------------------------------------------------------------------------------ */

static void a_limit_acts_to_the_byte_and_only_while_armed(void) {
  static const size_t sizes[] = {1, 8, 24, 56, 100, 1000, 1024, 1025, 5000, 200000, 3000000};
  for (size_t i = 0; i < LENGTH(sizes); i++) {
    size_t size = sizes[i];
    scalloc_lua_heap *heap = new_heap((scalloc_lua_config){.hard_limit = 2 * size});
    void *a = grow(heap, NULL, 5, size), *b = grow(heap, NULL, 5, size), *c = grow(heap, NULL, 5, size);
    CHECK(a && b && c); /* not armed */
    release(heap, c, size);
    scalloc_lua_arm(heap);
    errno = 0;
    CHECK(grow(heap, NULL, 5, 1) == NULL && errno == ENOMEM);
    CHECK(grow(heap, a, size, size + 1) == NULL);
    CHECK_INT(scalloc_lua_used(heap), ==, 2 * size); /* nothing is charged for a refusal */
    release(heap, b, size);
    CHECK(grow(heap, NULL, 5, size + 1) == NULL);
    CHECK((b = grow(heap, NULL, 5, size)) != NULL);
    release(heap, b, size);
    CHECK(grow(heap, a, size, 2 * size + 1) == NULL);
    CHECK((a = grow(heap, a, size, 2 * size)) != NULL);
    scalloc_lua_disarm(heap);
    CHECK((b = grow(heap, NULL, 5, size)) != NULL);
    CHECK_INT(scalloc_lua_used(heap), ==, 3 * size);
    scalloc_lua_heap_destroy(heap);
  }
}

static void arms_nest(void) {
  scalloc_lua_heap *heap = new_heap((scalloc_lua_config){.hard_limit = 100});
  scalloc_lua_disarm(heap); /* one too many is ignored */
  scalloc_lua_arm(heap);
  scalloc_lua_arm(heap);
  CHECK_INT(stats_of(heap).armed, ==, 2);
  CHECK(grow(heap, NULL, 0, 200) == NULL);
  scalloc_lua_disarm(heap);
  CHECK(grow(heap, NULL, 0, 200) == NULL);
  scalloc_lua_disarm(heap);
  CHECK(grow(heap, NULL, 0, 200) != NULL);
  scalloc_lua_heap_destroy(heap);
}

/* Frees and shrinks above the limit always succeed, and memory that they give back can be had again below it. */
static void a_limit_may_be_below_what_is_used(void) {
  scalloc_lua_heap *heap = new_heap((scalloc_lua_config){0});
  void *blocks[10];
  for (size_t i = 0; i < 10; i++) CHECK((blocks[i] = grow(heap, NULL, 0, 1000)) != NULL);
  scalloc_lua_arm(heap);
  scalloc_lua_limit(heap, 0, 5000);
  CHECK_INT(scalloc_lua_used(heap), ==, 10000);
  CHECK(grow(heap, NULL, 0, 1) == NULL);
  CHECK((blocks[0] = grow(heap, blocks[0], 1000, 1)) != NULL);
  CHECK((blocks[0] = grow(heap, blocks[0], 1, 1)) != NULL); /* no growth */
  for (size_t i = 5; i < 10; i++) release(heap, blocks[i], 1000);
  CHECK_INT(scalloc_lua_used(heap), ==, 4001);
  CHECK(grow(heap, blocks[0], 1, 1001) == NULL || scalloc_lua_used(heap) == 5001);
  CHECK((blocks[0] = grow(heap, blocks[0], 1, 1000)) != NULL);
  CHECK_INT(scalloc_lua_used(heap), ==, 5000);
  CHECK(grow(heap, NULL, 0, 1) == NULL);
  scalloc_lua_limit(heap, 0, 5001);
  CHECK(grow(heap, NULL, 0, 1) != NULL);
  scalloc_lua_limit(heap, 0, 0);
  CHECK(grow(heap, NULL, 0, 5 * MB) != NULL);
  CHECK_INT(scalloc_lua_peak(heap, false), ==, 5001 + 5 * MB);
  scalloc_lua_heap_destroy(heap);
}

/* Use and peak stay exact while the limits are moved about between all kinds of calls. */
static void moving_limits_loses_no_byte(void) {
  enum { SLOTS = 500, OPS = 300000 };
  static void *blocks[SLOTS];
  static size_t sizes[SLOTS];
  rng random = {11};
  size_t used = 0, peak = 0, hard = SIZE_MAX, refused = 0;
  bool armed = false;
  scalloc_lua_heap *heap = new_heap((scalloc_lua_config){0});
  for (size_t op = 0; op < OPS; op++) {
    size_t i = rng_below(&random, SLOTS), size = rng_log(&random, rng_percent(&random, 98) ? 11 : 21);
    if (rng_percent(&random, 3)) {
      size_t soft = rng_percent(&random, 30) ? rng_below(&random, 2 * used + 1) : 0;
      hard = rng_percent(&random, 20) ? SIZE_MAX : 1 + used / 2 + rng_below(&random, used + 1000);
      scalloc_lua_limit(heap, soft, hard == SIZE_MAX ? 0 : hard);
      if (rng_percent(&random, 50)) (armed ? scalloc_lua_disarm : scalloc_lua_arm)(heap), armed = !armed;
    }
    if (blocks[i] && rng_percent(&random, 40)) {
      release(heap, blocks[i], sizes[i]), blocks[i] = NULL;
      used -= sizes[i];
    } else {
      size_t old = blocks[i] ? sizes[i] : 0;
      void *block = grow(heap, blocks[i], blocks[i] ? old : 5, size);
      bool allowed = size <= old || !armed || used - old + size <= hard;
      CHECK((block != NULL) == allowed);
      refused += !allowed;
      if (block) blocks[i] = block, sizes[i] = size, used += size - old;
      if (used > peak) peak = used;
    }
    CHECK_INT(scalloc_lua_used(heap), ==, used);
    if (op % 64 == 0) CHECK_INT(scalloc_lua_peak(heap, false), ==, peak);
    if (op % 10000 == 0) {
      CHECK_INT(scalloc_lua_peak(heap, true), ==, peak);
      peak = used;
    }
  }
  CHECK_INT(refused, >, OPS / 100);
  CHECK_INT(stats_of(heap).refusals, ==, refused);
  scalloc_lua_heap_destroy(heap);
  check_heap();
}

static void one_block_may_be_limited(void) {
  static const size_t most[] = {16, 500, 1024, 1025, 40000, 2000000};
  for (size_t i = 0; i < LENGTH(most); i++) {
    scalloc_lua_heap *heap = new_heap((scalloc_lua_config){.max_block = most[i]});
    CHECK(grow(heap, NULL, 0, most[i] + 1) != NULL);
    scalloc_lua_arm(heap);
    for (int k = 0; k < 10; k++) {
      CHECK(grow(heap, NULL, 0, most[i] + 1) == NULL);
      void *block = grow(heap, NULL, 0, most[i]);
      CHECK(block != NULL);
      CHECK(grow(heap, block, most[i], most[i] + 1) == NULL);
      if (k % 2) release(heap, block, most[i]);
    }
    CHECK_INT(stats_of(heap).max_block, ==, most[i]);
    scalloc_lua_disarm(heap);
    CHECK(grow(heap, NULL, 0, most[i] + 1) != NULL);
    scalloc_lua_heap_destroy(heap);
  }
}

/* ---- the soft limit ------------------------------------------------------------------------------------------------------ */

static struct {
  int calls;
  size_t used, limit;
  scalloc_lua_heap *heap;
} pressed;

static void note_pressure(void *userdata, scalloc_lua_heap *heap, size_t used, size_t limit) {
  CHECK(userdata == &pressed);
  pressed.calls++;
  pressed.used = used;
  pressed.limit = limit;
  pressed.heap = heap;
}

static void pressure_is_told_once_per_crossing(void) {
  scalloc_lua_config config = {.soft_limit = 1000, .on_pressure = note_pressure, .userdata = &pressed};
  scalloc_lua_heap *heap = new_heap(config);
  void *big = grow(heap, NULL, 0, 2000);
  CHECK_INT(pressed.calls, ==, 0); /* not armed */
  release(heap, big, 2000);
  scalloc_lua_arm(heap);
  for (int round = 1; round <= 20; round++) {
    void *a = grow(heap, NULL, 0, 1000), *b[50];
    CHECK_INT(pressed.calls, ==, round - 1); /* at the limit, not above */
    for (size_t i = 0; i < LENGTH(b); i++) {
      b[i] = grow(heap, NULL, 4, 24);
      CHECK_INT(pressed.calls, ==, round);
    }
    CHECK_INT(pressed.used, ==, 1024);
    CHECK_INT(pressed.limit, ==, 1000);
    CHECK(pressed.heap == heap);
    release(heap, a, 1000);
    for (size_t i = 0; i < 8; i++) release(heap, b[i], 24); /* 1008 in use: not below it */
    a = grow(heap, NULL, 0, 5000);
    CHECK_INT(pressed.calls, ==, round);
    release(heap, a, 5000);
    for (size_t i = 8; i < LENGTH(b); i++) release(heap, b[i], 24);
  }
  CHECK_INT(stats_of(heap).pressures, ==, 20);
  big = grow(heap, NULL, 0, 2000);
  CHECK_INT(pressed.calls, ==, 21);
  big = grow(heap, big, 2000, 3000); /* a growth in place or by moving, still above */
  CHECK_INT(pressed.calls, ==, 21);
  big = grow(heap, big, 3000, 900);
  big = grow(heap, big, 900, 3000);
  CHECK_INT(pressed.calls, ==, 22);
  scalloc_lua_limit(heap, 2500, 2999); /* set anew; a refused growth does not cross it */
  CHECK(grow(heap, NULL, 0, 1) == NULL);
  CHECK_INT(pressed.calls, ==, 22);
  scalloc_lua_limit(heap, 2500, 0);
  CHECK(grow(heap, NULL, 0, 8) != NULL);
  CHECK_INT(pressed.calls, ==, 23);
  CHECK_INT(pressed.limit, ==, 2500);
  scalloc_lua_heap_destroy(heap);
}

static void grow_under_pressure(void *userdata, scalloc_lua_heap *heap, size_t used, size_t limit) {
  ++*(int *)userdata;
  (void)used, (void)limit;
  void *block = grow(heap, NULL, 0, 64); /* against the rules, and yet nothing nests */
  release(heap, block, 64);
}

static void pressure_does_not_nest(void) {
  int calls = 0;
  scalloc_lua_heap *heap =
      new_heap((scalloc_lua_config){.soft_limit = 100, .on_pressure = grow_under_pressure, .userdata = &calls});
  scalloc_lua_arm(heap);
  CHECK(grow(heap, NULL, 0, 120) != NULL);
  CHECK_INT(calls, ==, 1);
  CHECK_INT(scalloc_lua_used(heap), ==, 120);
  scalloc_lua_heap_destroy(heap);
}

/* ---- refusals, emergencies, failures --------------------------------------------------------------------------------------- */

static void check_counts(scalloc_lua_heap *heap, unsigned refusals, unsigned emergencies, unsigned failures) {
  scalloc_lua_stats s = stats_of(heap);
  CHECK_INT(s.refusals, ==, refusals);
  CHECK_INT(s.emergencies, ==, emergencies);
  CHECK_INT(s.failures, ==, failures);
}

/* As luaM_realloc_ does it: refused, garbage freed, asked again. */
static void an_emergency_is_no_failure(void) {
  scalloc_lua_heap *heap = new_heap((scalloc_lua_config){.hard_limit = 1000});
  scalloc_lua_arm(heap);
  void *a = grow(heap, NULL, 5, 900), *b;
  CHECK(grow(heap, NULL, 5, 200) == NULL);
  check_counts(heap, 1, 0, 1); /* as long as nobody asks again */
  release(heap, a, 900);
  CHECK((b = grow(heap, NULL, 5, 200)) != NULL);
  check_counts(heap, 1, 1, 0);
  CHECK(grow(heap, b, 200, 1001) == NULL && grow(heap, b, 200, 1001) == NULL); /* twice the same: an error in Lua */
  check_counts(heap, 3, 2, 1);
  CHECK(grow(heap, b, 200, 1001) == NULL); /* a third one is another request */
  CHECK((a = grow(heap, NULL, 4, 24)) != NULL);
  check_counts(heap, 4, 2, 2);
  CHECK(grow(heap, b, 200, 1002) == NULL && grow(heap, NULL, 5, 999) == NULL);
  check_counts(heap, 6, 2, 4);
  CHECK((a = grow(heap, a, 24, 25)) != NULL);
  check_counts(heap, 6, 2, 4);
  scalloc_lua_heap_destroy(heap);
}

/* ---- injected failures ----------------------------------------------------------------------------------------------------- */

static void growths_fail_from_the_nth_on(void) {
  scalloc_lua_heap *heap = new_heap((scalloc_lua_config){0});
  void *block = grow(heap, NULL, 5, 56);
  for (long n = 0; n < 20; n++) {
    scalloc_lua_fail_after(heap, n);
    for (long i = 0; i < n; i++) {
      void *other = i % 3 == 0 ? NULL : block; /* new blocks and growing ones count alike */
      void *got = grow(heap, other, other ? 56 : 5, other ? 64 : 24);
      CHECK(got != NULL);
      if (other)
        block = grow(heap, got, 64, 56); /* shrinks do not */
      else
        release(heap, got, 24);
    }
    CHECK(grow(heap, NULL, 5, 1) == NULL && grow(heap, block, 56, 57) == NULL && grow(heap, NULL, 0, 3 * MB) == NULL);
    block = grow(heap, block, 56, 40);
    CHECK(block != NULL);
    scalloc_lua_fail_after(heap, -1);
    CHECK((block = grow(heap, block, 40, 56)) != NULL);
  }
  CHECK_INT(scalloc_lua_used(heap), ==, 56);
  scalloc_lua_heap_destroy(heap);
}

int main(void) {
  without_quarantine();
  scalloc_free(scalloc_malloc(1));
  a_limit_acts_to_the_byte_and_only_while_armed();
  arms_nest();
  a_limit_may_be_below_what_is_used();
  moving_limits_loses_no_byte();
  one_block_may_be_limited();
  pressure_is_told_once_per_crossing();
  pressure_does_not_nest();
  an_emergency_is_no_failure();
  states_within_limits();
  growths_fail_from_the_nth_on();
  return 0;
}
