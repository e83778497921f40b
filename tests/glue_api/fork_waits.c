/*
 * fork_waits.c - what a fork waits for, and what not: hooks that fork, mutators in the hands of another thread, releases that
 * were put off, hooks about what orphans leave.
 */
#include "glue_api.h"

static world single;
static void *single_blocks[100];
static atomic_bool prepared;

static void use_single(void) { world_use(&single); }

static void use_another_heap(void) {
  world w = world_new(NULL, 0, 100);
  for (int i = 0; i < 1000; i++) fill(world_alloc(&w), w.size);
  world_end(&w);
}
static bool forks_when_asked;
static bool fork_in_release(void *ud, scalloc_rt_span span, const scalloc_rt_span_info *info, enum scalloc_rt_why why) {
  (void)ud, (void)span, (void)info;
  if (why == SCALLOC_RT_DEAD && forks_when_asked) {
    forks_when_asked = false;
    in_child(use_another_heap); /* the span is in this thread's hands still */
  }
  return true;
}
/* From a hook of a region with a mutator, and of one without. */
static void fork_in_the_release_hook(void) {
  for (int with = 0; with < 2; with++) {
    scalloc_rt_heap_conf conf = {.size = sizeof conf, .hooks = {.span_release = fork_in_release}};
    single = world_new(&conf, 0, 333);
    world_alloc(&single);
    scalloc_rt_retire(single.mutator);
    cycle(single.heap);
    forks_when_asked = true;
    alarm(20);
    scalloc_rt_sweep(single.heap, with ? single.mutator : NULL, 10);
    alarm(0);
    CHECK(!forks_when_asked);
    use_single();
    world_end(&single);
  }
  check_ends();
}

static atomic_bool at_work;
static scalloc_rt_mutator *lent_away;

static void stay_long(void *ud, scalloc_rt_span span, const scalloc_rt_span_info *info, const uint64_t *dead, uint32_t n) {
  (void)ud, (void)span, (void)info, (void)dead, (void)n;
  atomic_store(&at_work, true);
  sleep_ms(100);
}
static void see_block_0(void) {
  CHECK(is_live(single.heap, single_blocks[0]));
  check_heap();
}
static void fork_or_sweep(unsigned number, void *unused) {
  (void)unused;
  if (number == 0) {
    CHECK(lent_away = scalloc_rt_attach(single.heap, NULL));
    atomic_store(&prepared, true);
    wait_until(&at_work);
    in_child(see_block_0);
    return;
  }
  wait_until(&prepared);
  scalloc_rt_sweep(single.heap, lent_away, 1);
}
/* The mutator was attached by the thread that forks, and another is in a slow path of it. */
static void fork_while_ones_mutator_is_at_work_elsewhere(void) {
  if (UNDER_TSAN) exit(SKIP_CODE);
  scalloc_rt_heap_conf conf = {.size = sizeof conf, .hooks = {.span_swept = stay_long}};
  single = world_new(&conf, 0, 333);
  for (size_t i = 0; i < LENGTH(single_blocks); i++) single_blocks[i] = world_alloc(&single);
  scalloc_rt_retire(single.mutator);
  cycle_keeping(single.heap, single_blocks, 1);
  in_threads(2, fork_or_sweep, NULL);
  world_end(&single);
  check_ends();
}

static scalloc_rt_span late;
static bool put_off(void *ud, scalloc_rt_span span, const scalloc_rt_span_info *info, enum scalloc_rt_why why) {
  (void)ud, (void)info, (void)why;
  late = span;
  return false;
}
static void release_late(void) {
  check_heap();
  scalloc_rt_fork_child();
  scalloc_rt_span_release(late);
  check_heap();
}
static void prepare_or_release(unsigned number, void *unused) {
  (void)unused;
  if (number == 0) {
    wait_until(&prepared);
    scalloc_rt_span_release(late);
    return;
  }
  scalloc_rt_fork_prepare();
  atomic_store(&prepared, true);
  sleep_ms(50);
  in_child(release_late);
  scalloc_rt_fork_parent();
}
/* Who releases holds nothing when the fork comes. */
static void release_while_a_fork_is_prepared(void) {
  if (UNDER_TSAN) exit(SKIP_CODE);
  atomic_store(&prepared, false);
  scalloc_rt_heap_conf conf = {.size = sizeof conf, .hooks = {.span_release = put_off}};
  single = world_new(&conf, 0, 333);
  world_alloc(&single);
  scalloc_rt_retire(single.mutator);
  cycle(single.heap);
  sweep_all(single.heap);
  CHECK(late != 0);
  in_threads(2, prepare_or_release, NULL);
  world_end(&single);
  check_ends();
}

static pthread_mutex_t runtime_lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool locked, forked;
static int released_in_child;

static bool release_under_lock(void *ud, scalloc_rt_span span, const scalloc_rt_span_info *info, enum scalloc_rt_why why) {
  (void)ud, (void)span, (void)info, (void)why;
  pthread_mutex_lock(&runtime_lock);
  pthread_mutex_unlock(&runtime_lock);
  released_in_child++;
  return true;
}
static void settle_orphans(void) {
  CHECK_INT(released_in_child, ==, 0);
  pthread_mutex_init(&runtime_lock, NULL); /* as the runtime's own handler would, which runs after the library's */
  CHECK_INT(scalloc_rt_sweep(single.heap, NULL, SIZE_MAX), ==, 1);
  CHECK_INT(released_in_child, ==, 1);
  CHECK_INT(glue_now(single.heap).committed, ==, 0);
  check_heap();
}
static void fork_or_hold_the_lock(unsigned number, void *unused) {
  (void)unused;
  if (number == 0) {
    wait_until(&locked);
    in_child(settle_orphans);
    atomic_store(&forked, true);
    return;
  }
  scalloc_rt_mutator *m = scalloc_rt_attach(single.heap, NULL);
  scalloc_rt_free(m, scalloc_rt_alloc(m, single.slot, single.size));
  pthread_mutex_lock(&runtime_lock);
  atomic_store(&locked, true);
  wait_until(&forked);
  pthread_mutex_unlock(&runtime_lock);
  scalloc_rt_detach(m);
}
/* No hook is called in the handler of the child: a span that an orphan leaves empty is released by the next sweep. */
static void orphans_are_settled_after_the_fork(void) {
  if (UNDER_TSAN) exit(SKIP_CODE);
  scalloc_rt_heap_conf conf = {.size = sizeof conf, .hooks = {.span_release = release_under_lock}};
  single = world_new(&conf, SCALLOC_RT_UNCOLLECTABLE, 333);
  in_threads(2, fork_or_hold_the_lock, NULL);
  world_end(&single);
  check_ends();
}

PARTS_MAIN(PART(fork_in_the_release_hook), PART(fork_while_ones_mutator_is_at_work_elsewhere),
           PART(release_while_a_fork_is_prepared), PART(orphans_are_settled_after_the_fork))
