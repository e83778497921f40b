/*
 * threads.c - several threads on one heap: cycles with cooperative stops, background sweepers, frees by others, pressure, limits,
 * mutators that come and go. Clean under ThreadSanitizer: 17 of docs/runtime-tests.md.
 */
#include "glue_api.h"

/* ---- a stop of all mutators, cooperative -------------------------------------------------------------------------------- */

typedef struct barrier {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  unsigned mutators, stopped; /* running ones are mutators - stopped */
  bool wanted;
  atomic_bool poll;
} barrier;

#define BARRIER_INIT                                                                                                           \
  { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0, false, false }

static void join_in(barrier *b) {
  pthread_mutex_lock(&b->lock);
  while (b->wanted) pthread_cond_wait(&b->changed, &b->lock);
  b->mutators++;
  pthread_mutex_unlock(&b->lock);
}

static void leave(barrier *b) {
  pthread_mutex_lock(&b->lock);
  b->mutators--;
  pthread_cond_broadcast(&b->changed);
  pthread_mutex_unlock(&b->lock);
}

static void safe_point(barrier *b) {
  if (!atomic_load_explicit(&b->poll, memory_order_relaxed)) return;
  pthread_mutex_lock(&b->lock);
  b->stopped++;
  pthread_cond_broadcast(&b->changed);
  while (b->wanted) pthread_cond_wait(&b->changed, &b->lock);
  b->stopped--;
  pthread_mutex_unlock(&b->lock);
}

static void stop_all(barrier *b) {
  pthread_mutex_lock(&b->lock);
  b->wanted = true;
  atomic_store(&b->poll, true);
  while (b->stopped < b->mutators) pthread_cond_wait(&b->changed, &b->lock);
  pthread_mutex_unlock(&b->lock);
}

static void go_on(barrier *b) {
  pthread_mutex_lock(&b->lock);
  b->wanted = false;
  atomic_store(&b->poll, false);
  pthread_cond_broadcast(&b->changed);
  pthread_mutex_unlock(&b->lock);
}

/* ---- mutators, a collector, sweepers -------------------------------------------------------------------------------------- */

enum { MUTATORS = 4, ROOTS = 200, SLOTS = 3, SHELF = 100 };

typedef struct node { /* a list; what it is made of tells its size */
  struct node *next;
  uint64_t check;
  size_t size;
} node;

static barrier world_stop = BARRIER_INIT;
static scalloc_rt_heap *heap;
static unsigned slot[SLOTS];
static size_t size_of[SLOTS];
static node *roots[MUTATORS][ROOTS];
static atomic_bool over;
static atomic_long collections, swept_aside, handed_out, told, disclaimed;
static unsigned rooted_slot; /* UNCOLLECTABLE; 0: none of these */
static size_t rooted_size;
static atomic_uintptr_t shelf[SHELF]; /* such blocks, freed by whoever takes them */

static uint64_t check_of(const node *n) { return mix((uint64_t)(uintptr_t)n ^ n->size ^ (uint64_t)(uintptr_t)n->next << 1); }

static node *node_new(scalloc_rt_mutator *m, size_t kind, node *next) {
  node *n = kind == SLOTS ? scalloc_rt_alloc_large(m, 0, 70000) : scalloc_rt_alloc(m, slot[kind], size_of[kind]);
  CHECK(n != NULL);
  n->size = kind == SLOTS ? 70000 : size_of[kind];
  n->next = next;
  n->check = check_of(n);
  memset(n + 1, 0xaa, n->size - sizeof *n < 64 ? n->size - sizeof *n : 64);
  return n;
}

static size_t node_check(const node *n) {
  size_t length = 0;
  for (; n; n = n->next, length++) CHECK(n->check == check_of(n));
  return length;
}

static void use_shelf(scalloc_rt_mutator *m, rng *random) {
  void *block = rng_percent(random, 60) ? scalloc_rt_alloc(m, rooted_slot, rooted_size) : NULL;
  if (block) fill(block, rooted_size);
  block = (void *)atomic_exchange(&shelf[rng_below(random, SHELF)], (uintptr_t)block);
  if (block) CHECK(intact(block, rooted_size));
  scalloc_rt_free(m, block);
}

static void mutate(unsigned number) {
  rng random = {number};
  join_in(&world_stop);
  scalloc_rt_mutator *m = scalloc_rt_attach(heap, NULL);
  CHECK(m != NULL);
  long made = 0;
  for (; !atomic_load_explicit(&over, memory_order_relaxed); made++) {
    node **root = &roots[number][rng_below(&random, ROOTS)];
    size_t kind = rng_below(&random, 500);
    *root = node_new(m, kind == 0 ? SLOTS : kind % SLOTS, rng_percent(&random, 90) ? *root : NULL);
    if (rooted_slot && made % 3 == 0) use_shelf(m, &random);
    if (made % 64 == 0) {
      CHECK(node_check(*root) >= 1);
      safe_point(&world_stop);
    }
    if (made % 5000 == 4999 && rng_percent(&random, 30)) { /* a thread ends and another begins */
      scalloc_rt_detach(m);
      leave(&world_stop);
      join_in(&world_stop);
      CHECK(m = scalloc_rt_attach(heap, NULL));
    }
    if (made % 1000 == 0 && rng_percent(&random, 20)) scalloc_rt_retire(m);
  }
  atomic_fetch_add(&handed_out, made);
  scalloc_rt_detach(m);
  leave(&world_stop);
}

static atomic_uint next_root; /* markers share the roots */

static void mark_roots(unsigned number, void *unused) {
  (void)unused;
  scalloc_rt_ref ref;
  scalloc_rt_marker marker = scalloc_rt_marker_of(heap, false);
  uintptr_t cookie;
  for (size_t i = number; i < SHELF; i += 2)
    if (atomic_load(&shelf[i])) scalloc_rt_mark(ref_of(heap, (void *)atomic_load(&shelf[i])));
  for (unsigned i; (i = atomic_fetch_add(&next_root, 1)) < MUTATORS * ROOTS;)
    for (node *n = roots[i / ROOTS][i % ROOTS]; n; n = n->next) {
      bool first;
      if (i % 3 == 0)
        first = scalloc_rt_mark_live(&marker, n, &cookie);
      else if (i % 3 == 1)
        first = scalloc_rt_mark_block(n, &ref);
      else
        first = (CHECK(scalloc_rt_resolve(heap, (char *)n + 3, true, &ref)), scalloc_rt_mark(ref));
      if (!first) break;
    }
}

static void collect(void) {
  rng random = {99};
  while (!atomic_load(&over)) {
    sleep_ms(2);
    stop_all(&world_stop);
    scalloc_rt_cycle_begin(heap);
    atomic_store(&next_root, 0);
    in_threads(2, mark_roots, NULL);
    if (rng_percent(&random, 10))
      scalloc_rt_cycle_abort(heap);
    else
      scalloc_rt_cycle_end(heap);
    go_on(&world_stop);
    atomic_fetch_add(&collections, 1);
  }
}

static void sweep_aside(void) {
  rng random = {98};
  while (!atomic_load(&over)) {
    atomic_fetch_add(&swept_aside, (long)scalloc_rt_sweep(heap, NULL, 1 + rng_below(&random, 20)));
    sched_yield();
  }
}

static void one_of_the_crew(unsigned number, void *context) {
  (void)context;
  if (number < MUTATORS)
    mutate(number);
  else if (number == MUTATORS)
    collect();
  else if (number < MUTATORS + 3)
    sweep_aside();
  else
    for (double end = now() + (double)scaled(UNDER_TSAN ? 4000 : 2000) / 1000; !atomic_load(&over); sleep_ms(5))
      if (now() > end) atomic_store(&over, true);
}

static void run_cycles(const scalloc_rt_heap_conf *conf, unsigned flags) {
  CHECK(heap = scalloc_rt_heap_create(conf));
  int kind = kind_with(heap, flags);
  const size_t sizes[SLOTS] = {sizeof(node), 150, 4000};
  for (size_t i = 0; i < SLOTS; i++) slot[i] = slot_for(heap, kind, sizes[i], &size_of[i]);
  if (conf) rooted_slot = slot_for(heap, kind_with(heap, SCALLOC_RT_UNCOLLECTABLE), 500, &rooted_size);
  in_threads(MUTATORS + 4, one_of_the_crew, NULL);
  printf("  %ld blocks, %ld collections, %ld spans swept aside\n", atomic_load(&handed_out), atomic_load(&collections),
         atomic_load(&swept_aside));
  CHECK(atomic_load(&collections) > 5 && atomic_load(&handed_out) > 1000);
  check_heap();
  for (size_t i = 0; i < MUTATORS * ROOTS; i++) node_check(roots[i / ROOTS][i % ROOTS]);
  for (size_t i = 0; i < SHELF; i++) scalloc_rt_free(NULL, (void *)atomic_exchange(&shelf[i], 0));
  for (int i = 0; i == 0 || (i < 10 && atomic_load(&disclaimed) > 0); i++) { /* some dead stay for another cycle */
    cycle(heap);
    sweep_all(heap);
  }
  CHECK_INT(glue_now(heap).live, ==, 0);
  CHECK_INT(glue_now(heap).committed, ==, 0);
  scalloc_rt_heap_destroy(heap);
  check_ends();
}

static void cycles_under_load(void) { run_cycles(NULL, 0); }

static void tell(void *ud, scalloc_rt_span span, const scalloc_rt_span_info *info, const uint64_t *dead, uint32_t n) {
  uint32_t seen = 0;
  (void)ud, (void)span;
  for (uint32_t i = 0; i < info->blocks; i++) seen += (uint32_t)(dead[i / 64] >> i % 64 & 1);
  CHECK(seen == n && n > 0);
  atomic_fetch_add(&told, n);
}
static bool disclaim(void *ud, scalloc_rt_ref ref, void *object) {
  const node *n = object;
  (void)ud, (void)ref;
  CHECK(n->check == check_of(n)); /* nobody has it yet */
  return atomic_fetch_add(&disclaimed, 1) % 50 != 0;
}

/* With hooks that hear of every death, and roots that are freed by hand meanwhile. */
static void cycles_under_load_with_hooks(void) {
  scalloc_rt_heap_conf conf = {.size = sizeof conf, .hooks = {.span_swept = tell, .disclaim = disclaim}};
  run_cycles(&conf, SCALLOC_RT_DISCLAIM);
  printf("  %ld told, %ld asked\n", atomic_load(&told), atomic_load(&disclaimed));
  CHECK_INT(atomic_load(&told), ==, atomic_load(&handed_out)); /* each death once */
}

/* ---- freed by others ------------------------------------------------------------------------------------------------------ */

enum { QUEUE = 256 };
static atomic_uintptr_t queue[2][QUEUE];
static atomic_long made_all, freed_all;

/* Threads 0 and 1 make blocks and put them into the queue of the other pair; 2 and 3 take them out and free them. */
static void produce_or_consume(unsigned number, void *context) {
  world *w = context;
  rng random = {number};
  atomic_uintptr_t *mine = queue[number % 2];
  long made = 0, freed = 0;
  scalloc_rt_mutator *m = number < 3 ? scalloc_rt_attach(w->heap, NULL) : NULL; /* 3 frees without one */
  for (long i = 0; i < scaled(UNDER_TSAN ? 60000 : 300000); i++) {
    atomic_uintptr_t *place = &mine[rng_below(&random, QUEUE)];
    void *block = NULL;
    if (number < 2) {
      size_t large = rng_below(&random, 300);
      CHECK(block = large == 0 ? scalloc_rt_alloc_large(m, 0, 20000) : scalloc_rt_alloc(m, w->slot, w->size));
      fill(block, w->size);
      made++;
    }
    block = (void *)atomic_exchange(place, (uintptr_t)block);
    if (block == NULL) continue;
    CHECK(intact(block, w->size));
    scalloc_rt_free(m, block);
    freed++;
    if (i % 20000 == 0 && m) scalloc_rt_retire(m);
  }
  scalloc_rt_detach(m);
  atomic_fetch_add(&made_all, made);
  atomic_fetch_add(&freed_all, freed);
}

static void freed_by_others(unsigned flags) {
  world w = world_new(NULL, flags, 700);
  atomic_store(&made_all, 0), atomic_store(&freed_all, 0);
  in_threads(4, produce_or_consume, &w);
  glue_stats s = glue_now(w.heap);
  long left = 0;
  for (size_t i = 0; i < 2 * QUEUE; i++) {
    void *block = (void *)atomic_exchange(&queue[i / QUEUE][i % QUEUE], 0);
    left += block != NULL;
    scalloc_rt_free(NULL, block);
  }
  printf("  %ld made, %ld freed, %ld left, %lld spans\n", atomic_load(&made_all), atomic_load(&freed_all), left, glue_spans(s));
  CHECK_INT(atomic_load(&made_all), ==, atomic_load(&freed_all) + left);
  CHECK_INT(glue_now(w.heap).live, ==, 0);
  check_heap();
  if (!(flags & SCALLOC_RT_UNCOLLECTABLE)) cycle(w.heap), sweep_all(w.heap);
  CHECK_INT(glue_spans(glue_now(w.heap)), ==, 0);
  CHECK_INT(glue_now(w.heap).committed, ==, 0);
  world_end(&w);
  check_ends();
}

static void freed_by_others_uncollectable(void) { freed_by_others(SCALLOC_RT_UNCOLLECTABLE); }
static void freed_by_others_explicit(void) { freed_by_others(SCALLOC_RT_EXPLICIT_FREE); }

/* ---- pressure and limit from several threads at once ------------------------------------------------------------------------ */

static pthread_mutex_t collecting = PTHREAD_MUTEX_INITIALIZER;
static atomic_long pressed[SCALLOC_RT_STOP + 1], at_once, most_at_once;
static barrier pressure_stop = BARRIER_INIT;

typedef struct pressed_thread {
  scalloc_rt_heap *heap;
  int64_t budget;
} pressed_thread;

/* Whoever is pressed collects, if nobody else does; the others wait as stopped ones. Nothing lives but what is in hand. */
static bool collect_when_pressed(void *ud, scalloc_rt_mutator *m, size_t bytes, int why) {
  (void)ud, (void)bytes;
  const pressed_thread *t = m->rt;
  long here = atomic_fetch_add(&at_once, 1) + 1;
  if (here > atomic_load(&most_at_once)) atomic_store(&most_at_once, here);
  atomic_fetch_add(&pressed[why], 1);
  leave(&pressure_stop);
  pthread_mutex_lock(&collecting);
  stop_all(&pressure_stop);
  cycle(t->heap);
  go_on(&pressure_stop);
  pthread_mutex_unlock(&collecting);
  join_in(&pressure_stop);
  m->budget = t->budget;
  atomic_fetch_sub(&at_once, 1);
  return true;
}

static void allocate_much(unsigned number, void *context) {
  world *w = context;
  join_in(&pressure_stop);
  pressed_thread me = {.heap = w->heap, .budget = number % 2 ? INT64_MAX : 300000}; /* some go up to the limit */
  scalloc_rt_mutator *m = scalloc_rt_attach(w->heap, &me);
  m->budget = me.budget;
  for (long i = 0; i < scaled(UNDER_TSAN ? 40000 : 200000); i++) {
    char *block = i % 3000 == (long)number ? scalloc_rt_alloc_large(m, 0, 300000) : scalloc_rt_alloc(m, w->slot, w->size);
    CHECK(block != NULL);
    block[0] = block[w->size - 1] = (char)number;
    safe_point(&pressure_stop);
  }
  scalloc_rt_detach(m);
  leave(&pressure_stop);
}

static bool pressed_enough(void) {
  return atomic_load(&pressed[SCALLOC_RT_BUDGET]) > 10 && atomic_load(&pressed[SCALLOC_RT_LIMIT]) > 10;
}

static void pressure_from_all_sides(void) {
  scalloc_rt_heap_conf conf = {.size = sizeof conf, .hooks = {.pressure = collect_when_pressed}, .limit = 8 * MB};
  world w = world_new(&conf, 0, 1200);
  scalloc_rt_detach(w.mutator);
  for (int round = 0; round < 100 && !pressed_enough(); round++) in_threads(4, allocate_much, &w); /* as threads meet or not */
  printf("  budget %ld, limit %ld, at once %ld\n", atomic_load(&pressed[SCALLOC_RT_BUDGET]),
         atomic_load(&pressed[SCALLOC_RT_LIMIT]), atomic_load(&most_at_once));
  CHECK(pressed_enough());
  CHECK(glue_now(w.heap).committed <= 8 * (long long)MB);
  cycle(w.heap);
  sweep_all(w.heap);
  CHECK_INT(glue_now(w.heap).committed, ==, 0);
  world_end(&w);
  check_ends();
}

/* ---- mutators, slots and kinds that come while others work ------------------------------------------------------------------- */

static void make_slots_and_use_them(unsigned number, void *context) {
  scalloc_rt_heap *shared = context;
  rng random = {number};
  for (int k = 0; k < 5; k++) {
    scalloc_rt_mutator *m = scalloc_rt_attach(shared, NULL);
    CHECK(m != NULL);
    int kind = kind_with(shared, SCALLOC_RT_UNCOLLECTABLE);
    for (int i = 0; i < 200; i++) {
      size_t rounded;
      unsigned s = slot_for(shared, i % 2 ? kind : 0, 1 + rng_below(&random, 20000), &rounded);
      void *block = scalloc_rt_alloc(m, s, rounded);
      CHECK(block != NULL && is_live(shared, block));
      fill(block, rounded);
      CHECK(intact(block, rounded));
      scalloc_rt_free(m, block);
    }
    scalloc_rt_detach(m);
  }
}

static void slots_made_by_all(void) {
  for (long round = 0; round < scaled(10); round++) {
    scalloc_rt_heap *shared = scalloc_rt_heap_create(NULL);
    kind_with(shared, SCALLOC_RT_UNCOLLECTABLE);
    in_threads(4, make_slots_and_use_them, shared);
    CHECK_INT(glue_spans(glue_now(shared)), ==, 0);
    scalloc_rt_heap_destroy(shared);
  }
  check_ends();
}

PARTS_MAIN(PART(cycles_under_load), PART(cycles_under_load_with_hooks), PART(freed_by_others_uncollectable),
           PART(freed_by_others_explicit), PART(pressure_from_all_sides), PART(slots_made_by_all))
