/*
 * handshakes.c - what threads hand to each other beside blocks: spans whose release was put off, bits of the poll word, mutators
 * that attach while a cycle turns, pictures of a heap at work.
 */
#include "glue_api.h"

/* ---- releases that were put off --------------------------------------------------------------------------------------- */

enum { PUT_OFF = 64 };
static atomic_uint put_off[PUT_OFF];
static atomic_bool over;
static atomic_long released_late, put_off_all;

/* Known to the other threads before this hook returns. */
static bool put_it_off(void *ud, scalloc_rt_span span, const scalloc_rt_span_info *info, enum scalloc_rt_why why) {
  (void)ud, (void)info;
  if (why == SCALLOC_RT_DESTROY) return true;
  atomic_fetch_add(&put_off_all, 1);
  for (unsigned i = span;; i++) {
    unsigned none = 0;
    if (atomic_compare_exchange_strong(&put_off[i % PUT_OFF], &none, span)) return false;
    if (i % 1000 == 0) sched_yield();
  }
}

static void release_later(void) {
  for (bool more = true; more;) {
    more = !atomic_load(&over);
    for (size_t i = 0; i < PUT_OFF; i++) {
      unsigned span = atomic_load_explicit(&put_off[i], memory_order_relaxed) ? atomic_exchange(&put_off[i], 0) : 0;
      if (span == 0) continue;
      scalloc_rt_span_release(span);
      atomic_fetch_add(&released_late, 1);
      more = true;
    }
  }
}

static void put_off_or_release(unsigned number, void *context) {
  world *w = context;
  if (number > 0) {
    release_later();
    return;
  }
  for (long round = 0; round < scaled(UNDER_TSAN ? 100 : 400); round++) {
    for (int i = 0; i < 60; i++) fill(world_alloc(w), w->size);
    fill(scalloc_rt_alloc_large(w->mutator, 0, 100000), 100000);
    scalloc_rt_retire(w->mutator);
    cycle(w->heap);
    scalloc_rt_sweep(w->heap, w->mutator, SIZE_MAX);
  }
  scalloc_rt_detach(w->mutator);
  cycle(w->heap);
  sweep_all(w->heap);
  atomic_store(&over, true);
}

static void releases_put_off(void) {
  scalloc_rt_heap_conf conf = {.size = sizeof conf, .hooks = {.span_release = put_it_off}};
  world w = world_new(&conf, 0, 20000);
  in_threads(3, put_off_or_release, &w);
  printf("  %ld put off, %ld released later\n", atomic_load(&put_off_all), atomic_load(&released_late));
  CHECK_INT(atomic_load(&put_off_all), ==, atomic_load(&released_late));
  CHECK_INT(atomic_load(&released_late), >, 100);
  glue_stats s = glue_now(w.heap);
  CHECK_INT(glue_spans(s) + s.committed, ==, 0);
  CHECK_INT(s.released, ==, atomic_load(&released_late));
  world_end(&w);
  check_ends();
}

/* As long as it is put off it is the heap's: seen as DEFERRED, nothing lives there, its memory counts; destroy ends it. */
static bool always_put_off(void *ud, scalloc_rt_span span, const scalloc_rt_span_info *info, enum scalloc_rt_why why) {
  (void)ud, (void)span, (void)info;
  atomic_fetch_add(&put_off_all, why == SCALLOC_RT_DEAD);
  return false;
}
static void put_off_till_the_end(void) {
  scalloc_rt_heap_conf conf = {.size = sizeof conf, .hooks = {.span_release = always_put_off}};
  world w = world_new(&conf, 0, 20000);
  void *blocks[100];
  for (size_t i = 0; i < LENGTH(blocks); i++) blocks[i] = world_alloc(&w);
  scalloc_rt_detach(w.mutator);
  long long committed = glue_now(w.heap).committed;
  for (int round = 0; round < 3; round++) {
    cycle(w.heap);
    sweep_all(w.heap);
    glue_stats s = glue_now(w.heap);
    CHECK_INT(s.deferred, ==, glue_spans(s));
    CHECK_INT(s.deferred, ==, atomic_load(&put_off_all)); /* told once */
    CHECK(s.committed == committed && s.live == 0 && s.released == 0);
    for (size_t i = 0; i < LENGTH(blocks); i++) CHECK(!is_live(w.heap, blocks[i]));
    check_heap();
  }
  world_end(&w);
  check_ends();
}

/* ---- bits of the poll word -------------------------------------------------------------------------------------------------- */

static world polled;
static atomic_long stops;

static int defer_in_commit(void *ud, void *start, size_t bytes) {
  (void)ud, (void)start, (void)bytes;
  CHECK(scalloc_rt_defer_stop(polled.mutator)); /* as a signal would that comes now */
  return 0;
}
static bool count_stops(void *ud, scalloc_rt_mutator *m, size_t bytes, int why) {
  (void)ud, (void)bytes;
  if (why == SCALLOC_RT_STOP) atomic_fetch_add(&stops, 1);
  CHECK(m == polled.mutator && !scalloc_rt_defer_stop(m));
  return false;
}

static void set_bits_or_allocate(unsigned number, void *context) {
  const long *rounds = context;
  if (number == 0) {
    for (long i = 0; i < *rounds; i++) scalloc_rt_free(polled.mutator, scalloc_rt_alloc_large(polled.mutator, 0, 4096));
    atomic_store(&over, true);
    return;
  }
  uint32_t bit = 1u << (number * 8);
  while (!atomic_load(&over)) {
    __atomic_fetch_or(&polled.mutator->poll, bit, __ATOMIC_SEQ_CST);
    for (int i = 0; i < 20; i++) CHECK(__atomic_load_n(&polled.mutator->poll, __ATOMIC_SEQ_CST) & bit);
    __atomic_fetch_and(&polled.mutator->poll, ~bit, __ATOMIC_SEQ_CST);
    for (int i = 0; i < 20; i++) CHECK(!(__atomic_load_n(&polled.mutator->poll, __ATOMIC_SEQ_CST) & bit));
  }
}

/* The upper bits are the runtime's: other threads set and clear them, while stops are deferred. */
static void bits_of_the_poll_word(void) {
  long rounds = scaled(UNDER_TSAN ? 5000 : 100000);
  scalloc_rt_heap_conf conf = {.size = sizeof conf, .hooks = {.commit = defer_in_commit, .pressure = count_stops}};
  polled = world_new(&conf, SCALLOC_RT_UNCOLLECTABLE, 64);
  polled.mutator->budget = INT64_MAX;
  atomic_store(&over, false);
  in_threads(3, set_bits_or_allocate, &rounds);
  CHECK_INT(atomic_load(&stops), ==, rounds);
  CHECK_INT(polled.mutator->poll, ==, 0);
  world_end(&polled);
  check_ends();
}

/* ---- a stop that is deferred in a pressure hook ------------------------------------------------------------------------------- */

static unsigned other_slot;
static size_t other_size;
static int stop_calls;
static bool deferring;

static int defer_once(void *ud, void *start, size_t bytes) {
  (void)ud, (void)start, (void)bytes;
  if (deferring) CHECK(scalloc_rt_defer_stop(polled.mutator));
  deferring = false;
  return 0;
}
static bool allocate_under_pressure(void *ud, scalloc_rt_mutator *m, size_t bytes, int why) {
  (void)ud, (void)bytes;
  if (why == SCALLOC_RT_STOP) {
    stop_calls++;
    return true;
  }
  deferring = true;
  CHECK(scalloc_rt_alloc(m, other_slot, other_size));
  CHECK(!deferring && stop_calls == 0); /* never in itself, but ... */
  m->budget = INT64_MAX;
  return false;
}
static void a_stop_in_a_pressure_hook_is_not_lost(void) {
  scalloc_rt_heap_conf conf = {.size = sizeof conf, .hooks = {.commit = defer_once, .pressure = allocate_under_pressure}};
  polled = world_new(&conf, 0, 64);
  other_slot = slot_for(polled.heap, 0, 5000, &other_size);
  polled.mutator->budget = 0;
  world_alloc(&polled);
  CHECK_INT(stop_calls, ==, 1); /* ... before the slow path is over */
  CHECK_INT(polled.mutator->poll, ==, 0);
  world_end(&polled);
  check_ends();
}

/* ---- threads that come while a cycle turns -------------------------------------------------------------------------------------- */

/* Mutators that do not allocate are parked: they may come and go at any time. */
static void come_and_go_or_turn(unsigned number, void *context) {
  world *w = context;
  for (long i = 0; i < scaled(3000) && number < 2; i++) scalloc_rt_detach(scalloc_rt_attach(w->heap, NULL));
  for (long i = 0; i < scaled(3000) && number == 2; i++) {
    scalloc_rt_cycle_begin(w->heap);
    if (i % 3)
      scalloc_rt_cycle_end(w->heap);
    else
      scalloc_rt_cycle_abort(w->heap);
  }
  for (long i = 0; i < scaled(3000) && number == 3; i++) scalloc_rt_sweep(w->heap, NULL, 3);
}
static void come_while_a_cycle_turns(void) {
  world w = world_new(NULL, 0, 5000);
  for (int i = 0; i < 500; i++) world_alloc(&w);
  in_threads(4, come_and_go_or_turn, &w);
  scalloc_rt_retire(w.mutator);
  cycle(w.heap);
  sweep_all(w.heap);
  CHECK_INT(glue_now(w.heap).committed, ==, 0);
  world_end(&w);
  check_ends();
}

/* ---- blocks of the caller ------------------------------------------------------------------------------------------------------- */

enum { OWNED = 300 };
static void *owned[OWNED];

/* Thread 0 and 1 move holes up and down in spans where blocks of the others lie. */
static void move_holes_or_resolve(unsigned number, void *context) {
  world *w = context;
  rng random = {number};
  if (number >= 2) {
    for (double end = now() + (double)scaled(2000) / 1000; now() < end;)
      for (size_t k = number % 2; k < OWNED; k += 2) CHECK(is_live(w->heap, owned[k]));
    atomic_store(&over, true);
    return;
  }
  scalloc_rt_mutator *m = scalloc_rt_attach(w->heap, NULL);
  void *mine[500] = {NULL};
  while (!atomic_load(&over)) {
    void **place = &mine[rng_below(&random, LENGTH(mine))];
    scalloc_rt_free(m, *place);
    *place = rng_percent(&random, 50) ? scalloc_rt_alloc(m, w->slot, w->size) : NULL;
    if (rng_percent(&random, 2)) scalloc_rt_retire(m);
  }
  for (size_t i = 0; i < LENGTH(mine); i++) scalloc_rt_free(m, mine[i]);
  scalloc_rt_detach(m);
}

/* Whoever owns a block may ask for it while mutators run, and it is always there. */
static void resolved_by_their_owner(void) {
  world w = world_new(NULL, SCALLOC_RT_UNCOLLECTABLE, 9000);
  void *holes[3 * OWNED];
  for (size_t i = 0; i < LENGTH(holes); i++) {
    holes[i] = world_alloc(&w);
    if (i % 3 == 0) owned[i / 3] = holes[i];
  }
  scalloc_rt_retire(w.mutator);
  for (size_t i = 0; i < LENGTH(holes); i++)
    if (i % 3 != 0) scalloc_rt_free(NULL, holes[i]);
  atomic_store(&over, false);
  in_threads(4, move_holes_or_resolve, &w);
  for (size_t i = 0; i < OWNED; i++) scalloc_rt_free(NULL, owned[i]);
  CHECK_INT(glue_spans(glue_now(w.heap)), ==, 0);
  world_end(&w);
  check_ends();
}

/* ---- pictures ------------------------------------------------------------------------------------------------------------------- */

static int look(void *ud, scalloc_rt_span span, const scalloc_rt_span_info *info) {
  ++*(size_t *)ud;
  return span == 0 || info->kind < 0;
}

static void work_or_look(unsigned number, void *context) {
  world *w = context;
  if (number < 3) {
    scalloc_rt_mutator *m = scalloc_rt_attach(w->heap, NULL);
    for (long i = 0; !atomic_load(&over); i++) {
      void *block = i % 50 ? scalloc_rt_alloc(m, w->slot, w->size) : scalloc_rt_alloc_large(m, 0, 5000);
      scalloc_rt_free(m, block);
      if (i % 100 == 0) scalloc_rt_retire(m);
    }
    scalloc_rt_detach(m);
    return;
  }
  char json[4000];
  size_t seen = 0, pictures = 0;
  for (; pictures < (size_t)scaled(20000); pictures++) {
    scalloc_rt_stats_json(w->heap, json, sizeof json);
    CHECK(strstr(json, "\"kinds\":["));
    CHECK_INT(scalloc_rt_each_span(w->heap, SCALLOC_RT_ANY, look, &seen), ==, 0);
  }
  atomic_store(&over, true);
  printf("  %zu pictures of %zu spans\n", pictures, seen);
}
static void pictures_of_a_heap_at_work(void) {
  world w = world_new(NULL, SCALLOC_RT_UNCOLLECTABLE, 5000);
  if (UNDER_TSAN) exit(SKIP_CODE); /* a picture reads what changes */
  atomic_store(&over, false);
  in_threads(4, work_or_look, &w);
  CHECK_INT(glue_spans(glue_now(w.heap)), ==, 0);
  world_end(&w);
  check_ends();
}

PARTS_MAIN(PART(releases_put_off), PART(put_off_till_the_end), PART(bits_of_the_poll_word),
           PART(a_stop_in_a_pressure_hook_is_not_lost), PART(come_while_a_cycle_turns), PART(resolved_by_their_owner),
           PART(pictures_of_a_heap_at_work))
