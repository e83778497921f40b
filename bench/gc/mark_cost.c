/* mark_cost: the price of one scalloc_rt_mark, scalloc_rt_mark_block and scalloc_rt_resolve, on random blocks of so many spans.
 * No block is written to or read, so only scalloc's own tables are met. */
#include "raw.h"

#include <errno.h>
#include <stdlib.h>

static long spans = 512, size = 64, sample = 1 << 20, rounds = 5;

struct item {
  scalloc_rt_ref ref;
  void *block;
};

struct list {
  struct item *items;
  uint64_t n, room, met, random;
};

/* Keeps a fair sample of at most `room` blocks. */
static void keep(void *ud, scalloc_rt_ref ref, void *block) {
  struct list *list = ud;
  uint64_t place = list->met++;
  if (list->n < list->room)
    list->n++;
  else
    place = program_random(&list->random) % list->met;
  if (place < list->room) list->items[place] = (struct item){ref, block};
}

static void shuffle(struct list *list) {
  for (uint64_t i = list->n - 1; i > 0; i--) {
    uint64_t k = program_random(&list->random) % (i + 1);
    struct item item = list->items[i];
    list->items[i] = list->items[k], list->items[k] = item;
  }
}

/* Nanoseconds a call; what the calls returned as true is counted into *hits. */
static double time_marks(const struct list *list, uint64_t *hits) {
  double began = program_now();
  for (uint64_t i = 0; i < list->n; i++) *hits += scalloc_rt_mark(list->items[i].ref);
  return (program_now() - began) * 1e9 / (double)list->n;
}

static double time_mark_blocks(const struct list *list, uint64_t *hits) {
  scalloc_rt_ref ref;
  double began = program_now();
  for (uint64_t i = 0; i < list->n; i++) *hits += scalloc_rt_mark_block(list->items[i].block, &ref);
  return (program_now() - began) * 1e9 / (double)list->n;
}

static double time_resolves(scalloc_rt_heap *heap, const struct list *list, uint64_t *hits) {
  scalloc_rt_ref ref;
  double began = program_now();
  for (uint64_t i = 0; i < list->n; i++) *hits += scalloc_rt_resolve(heap, list->items[i].block, false, &ref);
  return (program_now() - began) * 1e9 / (double)list->n;
}

/* A block of every span is marked before, so that the first touch of a span in a cycle is no part of it. */
static void touch_spans(const struct list *all) {
  for (uint64_t i = 0; i < all->n; i++) scalloc_rt_mark(all->items[i].ref);
}

struct list_of_spans {
  struct list every, first;
};

static void meet(void *ud, scalloc_rt_ref ref, void *block) {
  struct list_of_spans *lists = ud;
  if (ref.block == 0)
    keep(&lists->first, ref, block);
  else
    keep(&lists->every, ref, block);
}

static void expect(uint64_t got, uint64_t wanted, const char *what) {
  if (got != wanted) program_fail(what, 0);
}

enum { FIRST, AGAIN, BLOCK_FIRST, BLOCK_AGAIN, RESOLVE, TOUCH, PARTS, MOST_ROUNDS = 100 };
static double results[PARTS][MOST_ROUNDS];

static void one_round(struct raw *raw, const struct list_of_spans *lists, long i) {
  const struct list *list = &lists->every;
  uint64_t hits = 0;
  scalloc_rt_cycle_begin(raw->heap);
  double began = program_now();
  touch_spans(&lists->first);
  results[TOUCH][i] = (program_now() - began) * 1e9 / (double)lists->first.n;
  results[FIRST][i] = time_marks(list, &hits);
  results[AGAIN][i] = time_marks(list, &hits);
  expect(hits, list->n, "mark_cost: a block was not marked exactly once");
  scalloc_rt_cycle_abort(raw->heap);
  scalloc_rt_cycle_begin(raw->heap);
  touch_spans(&lists->first);
  results[BLOCK_FIRST][i] = time_mark_blocks(list, &hits);
  results[BLOCK_AGAIN][i] = time_mark_blocks(list, &hits);
  expect(hits, 2 * list->n, "mark_cost: mark_block did not mark exactly once");
  scalloc_rt_cycle_abort(raw->heap);
  results[RESOLVE][i] = time_resolves(raw->heap, list, &hits);
  expect(hits, 3 * list->n, "mark_cost: a block was not found");
}

static struct list list_of(uint64_t room) {
  struct list list = {.items = malloc(room * sizeof *list.items), .room = room, .random = 88172645463325252};
  if (!list.items) program_fail("list of blocks", errno);
  return list;
}

int main(int argc, char **argv) {
  const program_option options[] = {{"spans", &spans, 1, 1 << 18, "spans"},
                                    {"size", &size, 16, 4096, "bytes of a block"},
                                    {"sample", &sample, 1, 1 << 26, "most blocks marked in a round"},
                                    {"rounds", &rounds, 1, MOST_ROUNDS, "rounds; their median counts"},
                                    {NULL, NULL, 0, 0, NULL}};
  static const char *const names[] = {"mark_first_ns",       "mark_again_ns", "mark_block_first_ns",
                                      "mark_block_again_ns", "resolve_ns",    "span_touch_ns"};
  program_options(argc, argv, "The price of marking random blocks.", options);
  struct raw raw;
  raw_open(&raw, SCALLOC_RT_NOSCAN, (size_t)size);
  struct list_of_spans lists = {list_of((uint64_t)sample), list_of((uint64_t)spans)};
  uint64_t blocks = raw_fill(&raw, (uint64_t)spans, meet, &lists);
  shuffle(&lists.every);
  shuffle(&lists.first);
  for (long i = 0; i < rounds; i++) one_round(&raw, &lists, i);
  report_begin("mark_cost");
  report_count("spans", raw.spans);
  report_count("blocks", blocks);
  report_count("marked", lists.every.n);
  for (int part = 0; part < PARTS; part++) report_number(names[part], raw_median(results[part], (unsigned)rounds));
  report_end();
  return 0;
}
