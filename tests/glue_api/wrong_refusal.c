/*
 * wrong_refusal.c - 12 of docs/runtime-tests.md: an operating system that refuses the reservation of the arena or of the tables
 * beside it, or memory in them; on the operating system of the unit tests.
 */
#include "unit.h"

#include <scalloc/runtime_glue.h>

enum { SIZE = 20000, BLOCKS = 600 };

typedef struct life {
  scalloc_rt_heap *heap;
  scalloc_rt_mutator *mutator;
  unsigned slot;
  size_t size, got;
} life;

/* Makes a heap and as many blocks as it gives; what it refuses is NULL and ENOMEM. False: there is no heap. */
static bool begin(life *l) {
  *l = (life){.got = 0};
  errno = 0;
  l->heap = scalloc_rt_heap_create(NULL);
  if (l->heap == NULL) {
    CHECK_INT(errno, ==, ENOMEM);
    return false;
  }
  CHECK_INT(scalloc_rt_kind_new(l->heap, NULL), ==, 0);
  l->slot = scalloc_rt_slot(l->heap, 0, SIZE, &l->size);
  l->mutator = scalloc_rt_attach(l->heap, NULL);
  if (l->mutator == NULL) {
    CHECK_INT(errno, ==, ENOMEM);
    scalloc_rt_heap_destroy(l->heap);
    return false;
  }
  return true;
}

static size_t fill_up(life *l, size_t most) {
  size_t got = 0;
  for (void *block; got < most; got++) {
    errno = 0;
    if ((block = scalloc_rt_alloc(l->mutator, l->slot, l->size)) == NULL) {
      CHECK_INT(errno, ==, ENOMEM);
      break;
    }
    fill(block, l->size);
  }
  void *large = scalloc_rt_alloc_large(l->mutator, 0, 9 * MB);
  if (large) fill(large, 9 * MB);
  return got + (large != NULL);
}

static void end(life *l) {
  scalloc_rt_heap_destroy(l->heap);
  scalloc_purge();
  check_heap();
  CHECK_INT(stats_now().committed, ==, 0);
}

static void whole_life(void) {
  life l;
  CHECK(begin(&l));
  CHECK_INT(fill_up(&l, BLOCKS), ==, BLOCKS + 1);
  scalloc_rt_retire(l.mutator);
  scalloc_rt_cycle_begin(l.heap);
  scalloc_rt_cycle_end(l.heap);
  CHECK_INT(fill_up(&l, BLOCKS), ==, BLOCKS + 1);
  end(&l);
}

/* Call n is refused, and with `on` all after it: until the calls are granted again there is less, and then all is well. */
static void refuse_from(os_call call, long n, bool on) {
  life l;
  os_fake_refuse(call, n, on);
  bool begun = begin(&l);
  if (begun) fill_up(&l, BLOCKS);
  printf("  call %ld of kind %d refused%s: %s\n", n, (int)call, on ? " and all after" : "", begun ? "a heap" : "no heap");
  os_fake_refuse(call, 0, false);
  if (begun) end(&l);
  whole_life();
}

static void reserve_once(long n) { refuse_from(OS_RESERVE, n, false); }
static void reserve_all(long n) { refuse_from(OS_RESERVE, n, true); }
static void open_once(long n) { refuse_from(OS_OPEN, n, false); }
static void open_all(long n) { refuse_from(OS_OPEN, n, true); }
static void purge_all(long n) { refuse_from(OS_PURGE, n, true); }

/* One call after the other, each in a process of its own. The first reservations are the arena's and its tables', then come the
   bits of the glue. */
static void reservations_refused_once(void) { unit_each(reserve_once, 1, 8); }
static void reservations_refused_from_one_on(void) { unit_each(reserve_all, 1, 8); }
static void openings_refused_once(void) { unit_each(open_once, 1, 30); }
static void openings_refused_from_one_on(void) { unit_each(open_all, 1, 30); }
static void purges_refused(void) { unit_each(purge_all, 1, 8); }

/* The reservation of the bits is the one that the glue makes: refused as often as it is asked, it is had in the end. */
static void bits_refused_again_and_again(void) {
  life l;
  scalloc_free(scalloc_malloc(1)); /* the arena is there */
  os_fake_refuse(OS_RESERVE, 1, true);
  for (int i = 0; i < 100; i++) CHECK(!begin(&l));
  CHECK_INT(os_fake_refused(OS_RESERVE), ==, 100);
  os_fake_refuse(OS_RESERVE, 0, false);
  size_t reserved = os_fake_bytes(OS_RESERVE);
  whole_life();
  whole_life();
  printf("  bits: %zu KB reserved\n", (os_fake_bytes(OS_RESERVE) - reserved) / KB);
}

/* ... and when their reservation is had, but not a page of it, the next attempt must not reserve again and again. */
static void bits_not_opened(void) {
  life l;
  scalloc_free(scalloc_malloc(1));
  size_t reserved = os_fake_bytes(OS_RESERVE);
  os_fake_refuse(OS_OPEN, 1, true);
  CHECK(!begin(&l));
  size_t once = os_fake_bytes(OS_RESERVE) - reserved;
  for (int i = 0; i < 10; i++) CHECK(!begin(&l));
  CHECK_INT(os_fake_bytes(OS_RESERVE) - reserved, ==, once);
  os_fake_refuse(OS_OPEN, 0, false);
  whole_life();
}

/* An arena of 64 MB: spans run out, what dies makes room for as many again. */
static void small_arena(void) {
  life l;
  unit_arena(64 * MB);
  CHECK(begin(&l));
  size_t first = fill_up(&l, SIZE_MAX);
  CHECK_INT(first, >=, 100);
  for (int round = 0; round < 5; round++) {
    scalloc_rt_retire(l.mutator);
    scalloc_rt_cycle_begin(l.heap);
    scalloc_rt_cycle_end(l.heap);
    CHECK_INT(fill_up(&l, SIZE_MAX), >=, first - 1);
  }
  end(&l);
}

UNIT_MAIN(CASE(whole_life), CASE(reservations_refused_once), CASE(reservations_refused_from_one_on),
          CASE(openings_refused_once), CASE(openings_refused_from_one_on), CASE(purges_refused),
          CASE(bits_refused_again_and_again), CASE(bits_not_opened), CASE(small_arena))
