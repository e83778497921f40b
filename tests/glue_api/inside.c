/*
 * inside.c - what meets a thread inside a slow path: hooks of other threads, deferred stops, hopeless requests beside it.
 */
#include "glue_api.h"

static world w;

/* ---- nobody who frees or resolves waits for a hook ---------------------------------------------------------------------- */

static void *live[2];
static scalloc_rt_span span_of_live[2];
static atomic_int hooks_entered;

static void resolve_in_the_other(void *ud, scalloc_rt_span span, const scalloc_rt_span_info *info, const uint64_t *dead,
                                 uint32_t n) {
  (void)ud, (void)info, (void)dead, (void)n;
  if (span != span_of_live[0] && span != span_of_live[1]) return;
  atomic_fetch_add(&hooks_entered, 1);
  while (atomic_load(&hooks_entered) < 2) sched_yield();
  CHECK(is_live(w.heap, live[span == span_of_live[0]]));
}

static void sweep_one(unsigned number, void *unused) {
  (void)number, (void)unused;
  scalloc_rt_sweep(w.heap, NULL, 1);
}

/* Two spans with a block each that lives, the rest dead. */
static void two_spans(const scalloc_rt_hooks *hooks, unsigned flags) {
  scalloc_rt_heap_conf conf = {.size = sizeof conf, .hooks = *hooks};
  w = world_new(&conf, flags, 20000);
  live[0] = world_alloc(&w);
  span_of_live[0] = ref_of(w.heap, live[0]).span;
  do live[1] = world_alloc(&w);
  while ((span_of_live[1] = ref_of(w.heap, live[1]).span) == span_of_live[0]);
  world_alloc(&w);
  scalloc_rt_retire(w.mutator);
  cycle_keeping(w.heap, live, 2);
}

static void hooks_of_two_spans_look_at_each_other(void) {
  alarm(20);
  two_spans(&(scalloc_rt_hooks){.span_swept = resolve_in_the_other}, 0);
  in_threads(2, sweep_one, NULL);
  CHECK_INT(atomic_load(&hooks_entered), ==, 2);
  world_end(&w);
  check_ends();
}

static pthread_mutex_t runtime_lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool in_hook, locked;

static void take_the_lock(void *ud, scalloc_rt_span span, const scalloc_rt_span_info *info, const uint64_t *dead, uint32_t n) {
  (void)ud, (void)info, (void)dead, (void)n;
  if (span != span_of_live[0]) return;
  atomic_store(&in_hook, true);
  pthread_mutex_lock(&runtime_lock);
  pthread_mutex_unlock(&runtime_lock);
}

static void sweep_or_free(unsigned number, void *unused) {
  (void)unused;
  if (number == 0) {
    wait_until(&locked);
    scalloc_rt_sweep(w.heap, NULL, SIZE_MAX);
    return;
  }
  pthread_mutex_lock(&runtime_lock);
  atomic_store(&locked, true);
  wait_until(&in_hook);
  CHECK(is_live(w.heap, live[0]));
  scalloc_rt_free(NULL, live[0]);
  pthread_mutex_unlock(&runtime_lock);
}

/* The hook wants a lock of the runtime, whose holder frees a block of the span by hand. */
static void hook_waits_for_who_frees(void) {
  alarm(20);
  two_spans(&(scalloc_rt_hooks){.span_swept = take_the_lock}, SCALLOC_RT_EXPLICIT_FREE);
  in_threads(2, sweep_or_free, NULL);
  CHECK(!is_live(w.heap, live[0]) && is_live(w.heap, live[1]));
  cycle(w.heap);
  sweep_all(w.heap);
  CHECK_INT(glue_now(w.heap).committed, ==, 0);
  world_end(&w);
  check_ends();
}

/* ---- a stop while a large block is on its way to the caller ---------------------------------------------------------------- */

typedef enum { COLLECTS, RETIRES, ALLOCATES, ALLOCATES_LARGE, WAYS } way;
static way stop_does;
static bool armed;
static int stops;

static int stop_in_commit(void *ud, void *start, size_t bytes) {
  (void)ud, (void)start, (void)bytes;
  if (armed) CHECK(scalloc_rt_defer_stop(w.mutator) && scalloc_rt_defer_stop(w.mutator)); /* asked twice, told once */
  armed = false;
  return 0;
}
static bool collect_when_stopped(void *ud, scalloc_rt_mutator *m, size_t bytes, int why) {
  (void)ud, (void)bytes;
  if (why != SCALLOC_RT_STOP) return false;
  stops++;
  if (stop_does == RETIRES) scalloc_rt_retire(m);
  if (stop_does == ALLOCATES) world_alloc(&w);
  if (stop_does == ALLOCATES_LARGE) CHECK(scalloc_rt_alloc_large(m, 0, 3 * MB));
  cycle(w.heap);
  sweep_all(w.heap);
  return true;
}
static void large_block_outlives_a_stop(void) {
  for (stop_does = 0; stop_does < WAYS; stop_does++) {
    scalloc_rt_heap_conf conf = {.size = sizeof conf, .hooks = {.commit = stop_in_commit, .pressure = collect_when_stopped}};
    w = world_new(&conf, 0, 200);
    armed = true;
    stops = 0;
    void *block = scalloc_rt_alloc_large(w.mutator, 0, 3 * MB);
    CHECK_INT(stops, ==, 1);
    CHECK(is_live(w.heap, block));
    cycle(w.heap); /* and until the next slow path */
    CHECK(is_live(w.heap, block));
    scalloc_rt_retire(w.mutator);
    cycle(w.heap);
    CHECK(!is_live(w.heap, block));
    world_end(&w);
  }
  check_ends();
}

/* ---- bytes that the pressure hook is told ------------------------------------------------------------------------------------ */

static size_t bytes_told;
static bool allocates_in_hook;
static size_t bytes_in_hook;

static int stop_at_each_span(void *ud, void *start, size_t bytes) {
  (void)ud, (void)start, (void)bytes;
  CHECK(scalloc_rt_defer_stop(w.mutator));
  return 0;
}
static bool add_up(void *ud, scalloc_rt_mutator *m, size_t bytes, int why) {
  (void)ud;
  bytes_told += bytes;
  for (int i = 0; allocates_in_hook && why == SCALLOC_RT_BUDGET && i < 10; i++, bytes_in_hook += 100000)
    CHECK(scalloc_rt_alloc_large(m, 0, 99000));
  if (why == SCALLOC_RT_BUDGET) m->budget = 2000000;
  return true;
}

/* Each byte is told once, in a call for whatever reason, also those of the hook's own blocks. Large blocks: no open holes. */
static void each_byte_is_told_once(void) {
  for (int in_hook_too = 0; in_hook_too < 2; in_hook_too++) {
    scalloc_rt_heap_conf conf = {.size = sizeof conf, .hooks = {.commit = stop_at_each_span, .pressure = add_up}};
    size_t real;
    allocates_in_hook = in_hook_too;
    bytes_told = bytes_in_hook = 0;
    w = world_new(&conf, 0, 200);
    w.mutator->budget = 2000000;
    size_t all = 0;
    for (int i = 0; i < 200; i++, all += real) {
      void *block = scalloc_rt_alloc_large(w.mutator, 0, 99000);
      scalloc_rt_block(ref_of(w.heap, block), &real);
    }
    all += bytes_in_hook / 100000 * real;
    allocates_in_hook = false;
    CHECK(scalloc_rt_alloc_large(w.mutator, 0, 99000)); /* one more call tells the rest */
    CHECK_INT(bytes_told, ==, all + real);
    world_end(&w);
  }
  check_ends();
}

/* ---- hopeless requests ----------------------------------------------------------------------------------------------------------- */

static atomic_bool over;

static void ask_too_much_or_little(unsigned number, void *unused) {
  scalloc_rt_mutator *m = scalloc_rt_attach(w.heap, NULL);
  (void)unused;
  if (number > 0) {
    while (!atomic_load(&over)) CHECK(scalloc_rt_alloc_large(m, 0, (size_t)1 << 40) == NULL);
  } else {
    for (long i = 0; i < scaled(100000); i++) {
      void *block = scalloc_rt_alloc_large(m, 0, 8192);
      CHECK(block != NULL);
      scalloc_rt_free(m, block);
    }
    atomic_store(&over, true);
  }
  scalloc_rt_detach(m);
}

static void hopeless_requests_harm_nobody(void) {
  scalloc_rt_heap_conf conf = {.size = sizeof conf, .limit = 64 * MB};
  w = world_new(&conf, SCALLOC_RT_UNCOLLECTABLE, 200);
  in_threads(3, ask_too_much_or_little, NULL);
  world_end(&w);
  check_ends();
}

PARTS_MAIN(PART(hooks_of_two_spans_look_at_each_other), PART(hook_waits_for_who_frees), PART(large_block_outlives_a_stop),
           PART(each_byte_is_told_once), PART(hopeless_requests_harm_nobody))
