/* Where blocks come from: fresh spans ascend, foreign frees go back to the owner, in batches; the dead leave their spans to us. */
#include "../test.h"
#include <pthread.h>

enum { MOST_BLOCKS = 400000 };
static const size_t sizes[] = {16 - TAIL,   48 - TAIL,    64 - TAIL,     256 - TAIL,   1000 - TAIL,
                               6144 - TAIL, 32768 - TAIL, 100000 - TAIL, 262144 - TAIL};

static uintptr_t span_of(const void *block) { return (uintptr_t)block >> SPAN_SHIFT; }

static void blocks_of_a_fresh_span_ascend(void) {
  for (size_t i = 0; i < LENGTH(sizes); i++) {
    scalloc_heap *heap = scalloc_heap_new();
    unsigned char *last = scalloc_heap_malloc(heap, sizes[i]);
    size_t stride = 0, in_order = 1, count = 3 * 2097152 / (sizes[i] + TAIL), spans = 1;
    for (size_t k = 1; k < count; k++) {
      unsigned char *block = scalloc_heap_malloc(heap, sizes[i]);
      if (k == 1) stride = (size_t)(block - last);
      in_order += k > 1 && block == last + stride;
      spans += span_of(block) != span_of(last);
      last = block;
    }
    CHECK_INT(stride, >=, sizes[i] + TAIL);
    CHECK_INT(stride, <=, (sizes[i] + TAIL) * 5 / 4 + 15);
    CHECK_INT(in_order, >=, count - spans); /* all but the first of each span, and those where spans adjoin */
    CHECK_INT(spans, <=, 5);
    scalloc_heap_destroy(heap);
  }
}

/* ---- a second thread that frees and allocates -------------------------------------------------------------------------- */

static void *blocks[MOST_BLOCKS], *foreign[MOST_BLOCKS];

typedef struct job {
  size_t from, to, keep; /* frees blocks[from] to blocks[to - 1], but every keep-th if keep > 0 */
  size_t size, wanted;   /* then allocates so many of that size */
} job;

static void *free_then_allocate(void *argument) {
  const job *j = argument;
  for (size_t i = j->from; i < j->to; i++) {
    if (j->keep > 0 && i % j->keep == 0) continue;
    scalloc_free(blocks[i]);
    blocks[i] = NULL;
  }
  for (size_t i = 0; i < j->wanted; i++) CHECK(foreign[i] = scalloc_malloc(j->size));
  for (size_t i = 0; i < j->wanted; i++)
    for (size_t at = 0; at < j->size; at += 4096) ((unsigned char *)foreign[i])[at] = 1;
  return NULL;
}

static void by_another_thread(job j) {
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, free_then_allocate, &j) == 0 && pthread_join(thread, NULL) == 0);
}

static bool is_span_of_ours(const void *block, const uintptr_t *spans, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (span_of(block) == spans[i]) return true;
  return false;
}

/* Two thirds of our blocks are freed by a thread that then allocates the same size: it gets none of our spans. */
static void who_frees_does_not_get_the_memory(size_t size) {
  uintptr_t spans[64] = {0};
  size_t count = 3 * 2097152 / (size + TAIL), span_count = 0;
  for (size_t i = 0; i < count; i++) {
    CHECK(blocks[i] = scalloc_malloc(size));
    if (!is_span_of_ours(blocks[i], spans, span_count)) spans[span_count++] = span_of(blocks[i]);
    CHECK(span_count < LENGTH(spans));
  }
  by_another_thread((job){0, count, 3, size, count / 2});
  for (size_t i = 0; i < count / 2; i++) CHECK(!is_span_of_ours(foreign[i], spans, span_count));
  size_t reused = 0;
  for (size_t i = 0; i < count; i++) { /* the owner gets it back */
    if (blocks[i]) continue;
    CHECK(blocks[i] = scalloc_malloc(size));
    reused += is_span_of_ours(blocks[i], spans, span_count);
  }
  CHECK_INT(reused, >, 0);
  for (size_t i = 0; i < count; i++) scalloc_free(blocks[i]);
  for (size_t i = 0; i < count / 2; i++) scalloc_free(foreign[i]);
}

/* Is there memory for another block of the same size behind this one, in the same span? */
static bool has_room_behind(const unsigned char *block, size_t stride) {
  scalloc_block found;
  const unsigned char *next = block + stride;
  return span_of(next) == span_of(block) && scalloc_find(next, &found) && found.start == next && found.size == stride;
}

/* Fills a span to its last block; returns how many it holds, the blocks are the last of `blocks` before *end. */
static size_t fill_hot_span(size_t size, size_t *end) {
  size_t starts[3], spans = 0, at = 0, stride = 0;
  for (; spans < 3; at++) {
    CHECK(at < MOST_BLOCKS && (blocks[at] = scalloc_malloc(size)));
    if (at == 0 || span_of(blocks[at]) != span_of(blocks[at - 1])) starts[spans++] = at;
    if (at == 1) stride = (size_t)((char *)blocks[1] - (char *)blocks[0]);
  }
  size_t typical = starts[2] - starts[1]; /* spans may differ by a few blocks */
  while (at - starts[2] < typical - typical / 32 || has_room_behind(blocks[at - 1], stride)) {
    CHECK(blocks[at++] = scalloc_malloc(size));
    CHECK(span_of(blocks[at - 1]) == span_of(blocks[starts[2]]));
  }
  *end = at;
  return at - starts[2];
}

/* The hot span is exhausted and `percent` of it are freed elsewhere: enough of them refill it, too few do not. */
static void foreign_frees_refill_the_hot_span(size_t size, size_t percent, bool enough) {
  stats before = stats_now();
  size_t end, n = fill_hot_span(size, &end), freed = n * percent / 100;
  uintptr_t hot = span_of(blocks[end - 1]);
  by_another_thread((job){end - n, end - n + freed, 0, size, 0});
  stats full = stats_now();
  void *block = scalloc_malloc(size);
  CHECK((span_of(block) == hot) == enough);
  if (enough) { /* and not only one: all that were freed come before any other span is asked */
    CHECK_INT(stats_now().pooled, ==, full.pooled);
    CHECK_INT(stats_now().opened, ==, full.opened);
    for (size_t i = 1; i < freed; i++) CHECK(span_of(blocks[end - n + i] = scalloc_malloc(size)) == hot);
  }
  scalloc_free(block);
  for (size_t i = 0; i < end; i++) scalloc_free(blocks[i]);
  check_all_returned(before);
}

/* ---- threads that are gone --------------------------------------------------------------------------------------------- */

typedef struct life {
  size_t size, count;
  bool frees; /* nine of ten of its blocks, before it goes; otherwise we do, after */
} life;

static void *live(void *argument) {
  const life *l = argument;
  for (size_t i = 0; i < l->count; i++) CHECK(blocks[i] = scalloc_malloc(l->size));
  for (size_t i = 0; l->frees && i < l->count; i++)
    if (i % 10 != 0) scalloc_free(blocks[i]);
  return NULL;
}

/* The memory a dead thread left free, between blocks that live on, is used before a fresh span is opened. */
static void spans_of_the_dead_are_adopted(size_t size, bool it_frees) {
  life l = {size, 3 * 2097152 / size, it_frees};
  pthread_t thread;
  stats before = stats_now();
  CHECK(pthread_create(&thread, NULL, live, &l) == 0 && pthread_join(thread, NULL) == 0);
  for (size_t i = 0; !it_frees && i < l.count; i++)
    if (i % 10 != 0) scalloc_free(blocks[i]);
  stats left = stats_now();
  CHECK_INT(left.hot, ==, before.hot);
  CHECK_INT(left.floating + left.reusable, >=, 3);
  scalloc_heap *hungry[64]; /* have taken all spans from the pool, which would be a source too */
  size_t eaters = 0;
  for (; stats_now().pooled > 0; eaters++) {
    CHECK(eaters < LENGTH(hungry) && (hungry[eaters] = scalloc_heap_new()));
    CHECK(scalloc_heap_malloc(hungry[eaters], 48));
  }
  for (size_t i = 0; i < l.count; i++)
    if (i % 10 != 0) CHECK(blocks[i] = scalloc_malloc(size));
  stats after = stats_now();
  CHECK_INT(after.opened, <=, left.opened + 1);
  CHECK_INT(after.adoptions, >, before.adoptions);
  for (size_t i = 0; i < l.count; i++) scalloc_free(blocks[i]);
  while (eaters > 0) scalloc_heap_destroy(hungry[--eaters]);
  check_all_returned(before);
}

int main(void) {
  without_quarantine();
  CHECK(scalloc_option_set("SCALLOC_REUSE_THRESHOLD", 50));
  scalloc_free(scalloc_malloc(1));
  for (int it_frees = 0; it_frees < 2; it_frees++) {
    spans_of_the_dead_are_adopted(1000, it_frees);
    spans_of_the_dead_are_adopted(32768, it_frees);
  }
  blocks_of_a_fresh_span_ascend();
  for (size_t i = 0; i < LENGTH(sizes); i++) {
    who_frees_does_not_get_the_memory(sizes[i]);
    check_heap();
    foreign_frees_refill_the_hot_span(sizes[i], 70, true);
    foreign_frees_refill_the_hot_span(sizes[i], 100, true);
    foreign_frees_refill_the_hot_span(sizes[i], 30, false);
  }
  return 0;
}
