/*
 * transitions.c - when a span becomes reusable, and when it is free.
 *
 *   threshold  property 14. Restated: n is the number of blocks that the real span has room for when it stops being hot. All
 *              68 classes, t in 0, 20, 25 (the default), 50, 80, 100 %, by frees of the owner, of another thread, of both.
 *   eager      property 15. Restated: the owner frees with plain stores while nobody else frees into the span. If its last
 *              free and the first foreign one coincide, the span is settled at the owner's next slow path
 *              (docs/decisions.md); in every other case it is in the pool when the free returns.
 */
#include "properties.h"

#include <sched.h>
#include <stdatomic.h>

enum { MOST = 1 << 18, POOL_MOST = 256 };

static void *blocks[MOST]; /* of one span, in the order of allocation */
static span *full;         /* that span */
static size_t count;       /* its blocks */
static void *next_block;   /* the one after them, in the span that is hot now */
static unsigned of_class;

typedef struct list {
  void **first;
  size_t count;
} list;

static void free_list(void *argument) {
  const list *l = argument;
  for (size_t i = 0; i < l->count; i++) scalloc_free(l->first[i]);
}

static void free_by(worker *who, size_t from, size_t to) {
  list l = {blocks + from, to - from};
  if (from < to) worker_do(who, free_list, &l);
}

/* A thread fills one span of its heap, which has none of that class yet, and begins the next. */
static void fill_span(void *unused) {
  (void)unused;
  heap *h = thread_use();
  void *block = heap_allocate_class(h, of_class);
  full = span_of(block);
  for (count = 0; span_of(block) == full; block = heap_allocate_class(h, of_class)) {
    CHECK_INT(count, <, MOST);
    blocks[count++] = block;
  }
  next_block = block;
  CHECK_INT(count, ==, span_blocks(full));
  CHECK_INT(span_state_now(full), ==, SPAN_FLOATING);
}

static void make_a_heap(void *unused) {
  (void)unused;
  CHECK(thread_use() != NULL);
}

/* ---- the pool, emptied for a while ------------------------------------------------------------------------------------ */

static span *drained[POOL_MOST];
static size_t drained_count;

static void drain_pool(void) {
  while ((drained[drained_count] = pool_take(0, 1)) != NULL) CHECK_INT(++drained_count, <, POOL_MOST);
}

static void restock_pool(void) {
  while (drained_count > 0) pool_put(drained[--drained_count], 0);
}

/* Spans whose pages are backed, which are taken before a real span grows. */
static void make_backed_spans(int n) {
  heap *h = heap_create(HEAP_USER);
  for (int i = 0; i < 2 * n; i++) CHECK(heap_allocate_class(h, CLASSES - 1) != NULL);
  heap_end(h);
}

/* ---- property 14 ------------------------------------------------------------------------------------------------------ */

typedef enum free_kind { BY_OWNER, BY_OTHER, BY_BOTH, KINDS } free_kind;

static void free_some(worker *owner, worker *other, free_kind kind, size_t from, size_t to) {
  size_t middle = kind == BY_BOTH ? from + (to - from) / 2 : kind == BY_OWNER ? to : from;
  free_by(owner, from, middle);
  free_by(other, middle, to);
}

/* What the owner's next blocks come from, once those of its hot span are used up. */
static void take_from_next(void *result) {
  heap *h = thread_use();
  span *hot_span = span_of(next_block), *s;
  for (void *chain = NULL;;) {
    void *block = heap_allocate_class(h, of_class);
    if ((s = span_of(block)) == hot_span) {
      chain = chain_push(chain, block);
      continue;
    }
    *(span **)result = s;
    scalloc_free(block);
    for (void *below; chain; chain = below) below = *(void **)chain, scalloc_free(chain);
    return;
  }
}

static void check_threshold(worker *owner, worker *other, free_kind kind) {
  size_t threshold = count * options.reuse_threshold / 100, most = threshold < count ? threshold : count - 1;
  CHECK_INT(span_threshold(full), ==, threshold);
  free_some(owner, other, kind, 0, most);
  CHECK_INT(span_state_now(full), ==, SPAN_FLOATING);
  census before = take_census();
  free_some(owner, other, kind, most, most + 1);
  if (most + 1 == count) {
    CHECK_INT(span_state_now(full), ==, SPAN_FREE);
    CHECK_INT(take_census().pooled, ==, before.pooled + 1);
    return;
  }
  CHECK_INT(span_state_now(full), ==, SPAN_REUSABLE);
  CHECK_INT(take_census().reusable, ==, before.reusable + 1);
  span *taken = NULL;
  worker_do(owner, take_from_next, &taken);
  CHECK(taken == full);
  census after = take_census();
  CHECK(after.all == before.all && after.hot == before.hot);
  CHECK_INT(after.pooled, >=, before.pooled); /* the one that was hot may be empty now */
  free_some(owner, other, kind, most + 1, count);
}

static void one_threshold(worker *other, unsigned c, free_kind kind) {
  worker owner;
  list last = {&next_block, 1};
  of_class = c;
  worker_start(&owner);
  worker_do(&owner, fill_span, NULL);
  check_threshold(&owner, other, kind);
  worker_do(&owner, free_list, &last);
  worker_stop(&owner);
  CHECK_INT(take_census().floating + take_census().reusable, ==, 0);
}

static void threshold_for_all_classes(void) {
  worker other;
  worker_start(&other);
  scalloc_free(scalloc_malloc(1));
  for (unsigned c = 0; c < CLASSES; c++) {
    one_threshold(&other, c, BY_OTHER);
    scalloc_purge(); /* no backed spans: the real span grows to its end */
  }
  make_backed_spans(8);
  for (unsigned c = 0; c < CLASSES; c++)
    for (int kind = 0; kind < KINDS; kind++) one_threshold(&other, c, (free_kind)kind);
  worker_stop(&other);
  check_heap();
}

static void threshold(void) {
  static const int percents[] = {0, 20, 25, 50, 80, 100};
  static char never[] = "SCALLOC_PURGE_DELAY_MS=-1";
  for (size_t i = 0; i < LENGTH(percents); i++) {
    char setting[64];
    snprintf(setting, sizeof setting, "SCALLOC_REUSE_THRESHOLD=%d", percents[i]);
    run_self_ok("threshold_for_all_classes", (char *[]){setting, never, NULL}, 0);
  }
}

/* ---- property 15: one after the other --------------------------------------------------------------------------------- */

typedef enum last_freer { OWNER, OTHER, OWNER_OTHER, OTHER_OWNER, ADOPTER, HEAPLESS, FREERS } last_freer;

/* The span that was emptied a moment ago, the only one in the pool, serves another class of another heap in another thread. */
static void another_class_gets(const span *s) {
  unsigned c = of_class == 20 ? 40 : 20;
  heap *h = heap_create(HEAP_USER);
  uint32_t opened = arena_high_water();
  CHECK(span_of(heap_allocate_class(h, c)) == s);
  CHECK_INT(s->class_index, ==, c);
  CHECK_INT(arena_high_water(), ==, opened);
  heap_end(h);
}

/* All blocks but the last; then that one, and the pool is looked at when the free has returned. */
static void empty_span(worker *owner, worker *other, last_freer who) {
  bool by_owner = who == OWNER || who == OTHER_OWNER;
  size_t half = who == OWNER || who == OTHER || who >= ADOPTER ? 0 : count / 2;
  free_by(by_owner ? other : owner, 0, half);
  free_by(by_owner ? owner : other, half, count - 1);
  CHECK(span_state_now(full) != SPAN_FREE);
  if (who >= ADOPTER && span_state_now(full) == SPAN_REUSABLE) /* whose it became with the free that crossed the threshold */
    CHECK((owner_heap(full->owner) == heap_orphans()) == (who == HEAPLESS));
  drain_pool();
  CHECK_INT(pooled_now(), ==, 0);
  free_by(by_owner ? owner : other, count - 1, count);
  CHECK_INT(pooled_now(), ==, 1);
  CHECK_INT(span_state_now(full), ==, SPAN_FREE);
  CHECK_INT(full->owner, ==, 0);
  another_class_gets(full);
  restock_pool();
}

static void one_last_free(unsigned c, last_freer who) {
  worker owner, other;
  list last = {&next_block, 1};
  of_class = c;
  worker_start(&owner);
  worker_do(&owner, fill_span, NULL);
  worker_start(&other);
  if (who == ADOPTER) worker_do(&other, make_a_heap, NULL);
  if (who >= ADOPTER) worker_stop(&owner);
  empty_span(&owner, &other, who);
  worker_do(&other, free_list, &last);
  worker_stop(&other);
  if (who < ADOPTER) worker_stop(&owner);
  CHECK_INT(take_census().floating + take_census().reusable, ==, 0);
}

/* ---- property 15: the last two blocks at once ------------------------------------------------------------------------- */

static atomic_int arrived;

typedef struct duel {
  void *block;
  int lead; /* held back a little */
} duel;

static void free_at_once(void *argument) {
  const duel *d = argument;
  atomic_fetch_add(&arrived, 1);
  for (unsigned spins = 0; atomic_load(&arrived) < 2;)
    if (++spins > 2000) sched_yield();
  for (volatile int i = 0; i < d->lead; i++) continue;
  scalloc_free(d->block);
}

static void settle_own(void *unused) {
  (void)unused;
  heap_settle(thread_heap); /* as the owner's next slow path does */
}

/* Two strangers, with the owner alive or gone; or a stranger and the owner. */
static void one_duel(worker *strangers, unsigned c, int round) {
  worker owner;
  bool orphan = round % 3 == 1, with_owner = round % 3 == 2;
  list last = {&next_block, 1};
  of_class = c;
  worker_start(&owner);
  worker_do(&owner, fill_span, NULL);
  if (round % 4 == 3)
    free_by(&strangers[0], 0, count - 2);
  else
    free_by(&owner, 0, count - 2);
  if (orphan) worker_stop(&owner);
  duel sides[2] = {{blocks[count - 2], round % 7 * 5}, {blocks[count - 1], round / 7 % 7 * 5}};
  atomic_store(&arrived, 0);
  worker *second = with_owner ? &owner : &strangers[1];
  worker_begin(&strangers[0], free_at_once, &sides[0]);
  worker_begin(second, free_at_once, &sides[1]);
  worker_finish(&strangers[0]), worker_finish(second);
  if (with_owner) worker_do(&owner, settle_own, NULL);
  CHECK_INT(span_state_now(full), ==, SPAN_FREE);
  census after = take_census();
  CHECK_INT(after.floating + after.reusable, ==, orphan ? 1 : 0); /* an orphan's hot span cooled down with one block in it */
  worker_do(&strangers[0], free_list, &last);
  if (!orphan) worker_stop(&owner);
}

static void eager(void) {
  static const unsigned few_blocks[] = {CLASSES - 1, CLASSES - 4, CLASSES - 5, CLASSES - 9}; /* 2, 3, 4 and 8 of them */
  long rounds = argument("--rounds", 150);
  scalloc_free(scalloc_malloc(1));
  make_backed_spans(8);
  for (unsigned c = 0; c < CLASSES; c++)
    for (int who = 0; who < FREERS; who++) one_last_free(c, (last_freer)who);
  worker strangers[2];
  for (int i = 0; i < 2; i++) worker_start(&strangers[i]), worker_do(&strangers[i], make_a_heap, NULL);
  for (size_t i = 0; i < LENGTH(few_blocks); i++)
    for (int round = 0; round < rounds; round++) one_duel(strangers, few_blocks[i], round);
  for (int i = 0; i < 2; i++) worker_stop(&strangers[i]);
  check_heap();
  printf("%d classes in %d ways, %ld duels for 2, 3, 4 and 8 blocks each\n", CLASSES, (int)FREERS, rounds);
}

MODES(MODE(threshold), MODE(threshold_for_all_classes), MODE(eager))
