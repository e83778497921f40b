/*
 * eager.c - the free of the last block of a span that is not hot puts the span into the pool before it returns, whoever
 * executes it, and a heap that asks for another size can have that very span.
 *
 *   eager [--rounds N]   rounds of the race at the end
 */
#include "../test.h"
#include <pthread.h>
#include <semaphore.h>

enum { FULL = 4, MOST_BLOCKS = (FULL + 1) * 2097152 / 16 };

static const size_t sizes[] = {16 - TAIL,    56 - TAIL,     64 - TAIL,     256 - TAIL,    1000 - TAIL,   6144 - TAIL,
                               32768 - TAIL, 100000 - TAIL, 262144 - TAIL, 524288 - TAIL, 1048576 - TAIL};

/* ---- a thread that owns spans and does what it is told, otherwise nothing --------------------------------------------- */

typedef enum order { FILL, FREE, LEAVE } order;

static struct {
  pthread_t thread;
  sem_t told, did;
  order order;
  size_t size;
  void **list; /* FREE: what */
  size_t count;
} owner;

static void *blocks[MOST_BLOCKS];
static size_t count, starts[FULL + 2]; /* blocks[starts[i]] .. blocks[starts[i + 1] - 1] lie in the i-th span */

static uintptr_t span_of(const void *block) { return (uintptr_t)block >> SPAN_SHIFT; }

/* Fills FULL spans; the first block of the next one is the last that is allocated. */
static void fill_spans(size_t size) {
  size_t spans = 0;
  for (count = 0; spans <= FULL; count++) {
    CHECK(count < MOST_BLOCKS && (blocks[count] = scalloc_malloc(size)));
    if (count == 0 || span_of(blocks[count]) != span_of(blocks[count - 1])) starts[spans++] = count;
  }
  starts[spans] = count;
}

static void *obey(void *argument) {
  for (;;) {
    sem_wait(&owner.told);
    order told = owner.order;
    if (told == FILL) fill_spans(owner.size);
    for (size_t i = 0; told == FREE && i < owner.count; i++) scalloc_free(owner.list[i]);
    sem_post(&owner.did);
    if (told == LEAVE) return argument;
  }
}

static void begin(order given) {
  owner.order = given;
  sem_post(&owner.told);
}

static void finish(void) {
  while (sem_wait(&owner.did) != 0) continue;
}

static void tell(order given) { begin(given), finish(); }

static void tell_to_free(void **list, size_t length) {
  owner.list = list;
  owner.count = length;
  tell(FREE);
}

static void hire(size_t size) {
  CHECK(pthread_create(&owner.thread, NULL, obey, NULL) == 0);
  owner.size = size;
  tell(FILL);
}

static void dismiss(void) {
  tell(LEAVE);
  CHECK(pthread_join(owner.thread, NULL) == 0);
}

/* ---- who frees what -------------------------------------------------------------------------------------------------- */

typedef enum freer { FOREIGN, OWNER, OWNER_THEN_FOREIGN, FOREIGN_THEN_OWNER, ALTERNATING, ORPHAN, CASES } freer;

static void free_here(void **list, size_t length) {
  for (size_t i = 0; i < length; i++) scalloc_free(list[i]);
}

/* All blocks of the list but the last, which is the next call's. Returns whether the owner is to free that one. */
static bool free_most(freer who, void **list, size_t length) {
  size_t half = (length - 1) / 2, rest = length - 1 - half;
  switch (who) {
  case OWNER:
    return tell_to_free(list, length - 1), true;
  case OWNER_THEN_FOREIGN:
    return tell_to_free(list, half), free_here(list + half, rest), false;
  case FOREIGN_THEN_OWNER:
    return free_here(list, half), tell_to_free(list + half, rest), true;
  case ALTERNATING:
    for (size_t at = 0, part = length / 7 + 1, turn = 0; at < length - 1; at += part, turn++) {
      if (part > length - 1 - at) part = length - 1 - at;
      if (turn % 2)
        tell_to_free(list + at, part);
      else
        free_here(list + at, part);
    }
    return false;
  default:
    return free_here(list, length - 1), false;
  }
}

static void check_another_size_can_have_it(size_t size) {
  stats before = stats_now();
  scalloc_heap *heap = scalloc_heap_new();
  CHECK(scalloc_heap_malloc(heap, size == 100000 ? 48 : 100000) != NULL);
  CHECK_INT(stats_now().opened, ==, before.opened);
  scalloc_heap_destroy(heap);
}

static void one_span(freer who, size_t size, size_t index) {
  void **list = blocks + starts[index];
  size_t length = starts[index + 1] - starts[index];
  stats full = stats_now();
  bool by_owner = free_most(who, list, length);
  stats almost = stats_now();
  CHECK_INT(almost.pooled, ==, full.pooled);
  CHECK_INT(almost.floating + almost.reusable, ==, full.floating + full.reusable);
  if (by_owner)
    tell_to_free(list + length - 1, 1);
  else
    scalloc_free(list[length - 1]);
  stats empty = stats_now();
  if (empty.pooled != full.pooled + 1)
    test_fail(__FILE__, __LINE__, "size %zu, case %d, span %zu: pooled %lld -> %lld", size, (int)who, index, full.pooled,
              empty.pooled);
  CHECK_INT(empty.floating + empty.reusable, ==, full.floating + full.reusable - 1);
  CHECK_INT(empty.opened, ==, full.opened);
  check_another_size_can_have_it(size);
}

static void last_free_returns_the_span(freer who, size_t size) {
  stats before = stats_now();
  hire(size);
  if (who == ORPHAN) dismiss();
  for (size_t i = 0; i < FULL; i++) one_span(who, size, (i + 2) % FULL);
  if (who == FOREIGN || who == ORPHAN)
    free_here(blocks + starts[FULL], count - starts[FULL]);
  else
    tell_to_free(blocks + starts[FULL], count - starts[FULL]);
  if (who != ORPHAN) dismiss(); /* the span that is hot to the end goes with its owner */
  stats after = stats_now();
  CHECK_INT(after.hot + after.floating + after.reusable, ==, before.hot + before.floating + before.reusable);
  check_all_returned(before);
}

/*
 * Owner and stranger free the blocks of the same spans at the same time. Whoever is last: after a purge, with the owner
 * standing still, no span but the hot one is left outside the pool.
 */
static void race(size_t size, long rounds) {
  static void *odd[MOST_BLOCKS];
  stats before = stats_now();
  hire(size);
  for (long round = 0; round < rounds; round++) {
    size_t half = 0, other = 0, full = starts[FULL];
    for (size_t i = 0; i < full; i++) {
      if ((i + (size_t)round) % 2)
        odd[half++] = blocks[i];
      else
        blocks[other++] = blocks[i];
    }
    owner.list = odd;
    owner.count = half;
    begin(FREE);
    free_here(blocks, other);
    finish();
    scalloc_purge();
    stats after = stats_now();
    CHECK_INT(after.floating + after.reusable, ==, before.floating + before.reusable);
    tell_to_free(blocks + full, count - full);
    tell(FILL);
  }
  tell_to_free(blocks, count);
  dismiss();
  check_all_returned(before);
}

int main(int argc, char **argv) {
  without_quarantine();
  long rounds = option_number(argc, argv, "--rounds", 300);
  CHECK(sem_init(&owner.told, 0, 0) == 0 && sem_init(&owner.did, 0, 0) == 0);
  scalloc_free(scalloc_malloc(1));
  for (size_t i = 0; i < LENGTH(sizes); i++)
    for (int who = 0; who < CASES; who++) last_free_returns_the_span((freer)who, sizes[i]);
  for (size_t i = 0; i < LENGTH(sizes); i++) race(sizes[i], sizes[i] < 1000 ? rounds / 30 + 1 : rounds);
  return 0;
}
