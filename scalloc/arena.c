/*
 * arena.c - reserves the address space, opens it in steps, hands out fresh spans.
 *
 * Data: the zones. Each grows by compare-and-swap on its bound after the pages were opened; two threads opening the same
 * step do the same thing twice, harmlessly. The linearisation point of arena_take is the CAS on arena.next.
 */
#include "arena.h"

#include <errno.h>

#include "options.h"
#include "os.h"
#include "signpost.h"

/* Before it is made the arena is where no address lies: whoever frees NULL or a foreign block just then may read a new `opened`
   beside this old base, and must not take the block for his. */
arena_state arena = {.base = (uintptr_t)1 << 63};

typedef struct {
  char *base;
  size_t bytes;
  volatile word_t opened, used;
} zone;

static zone table_zone, heap_zone, note_zone, live_zone; /* the last two are empty but in tracked builds */
static volatile word_t ready;                            /* 0 not begun, 1 being made, 2 made */
static volatile word_t charged;                          /* bytes, while there is a limit */

enum { GUARD = 1 << 16, HEAP_ZONE_SHIFT = 9, HEAP_ZONE_MIN = 1 << 24, HEAP_ZONE_STEP = 1 << 20 };

static size_t round_up(size_t n, size_t to) { return (n + to - 1) & ~(to - 1); }

/* One attempt at an arena of `bytes`, a power of two or any multiple of the span size. */
static bool reserve(size_t bytes) {
  size_t table = round_up((bytes >> SPAN_SHIFT) << SLOT_SHIFT, GUARD);
  size_t heaps = bytes >> HEAP_ZONE_SHIFT > HEAP_ZONE_MIN ? bytes >> HEAP_ZONE_SHIFT : HEAP_ZONE_MIN;
  size_t notes = TRACKED ? round_up((bytes >> GRANULE_SHIFT) * sizeof *arena.notes, GUARD) : 0;
  size_t live = TRACKED ? round_up(bytes >> GRANULE_SHIFT >> 3, GUARD) : 0, side = TRACKED ? notes + GUARD + live + GUARD : 0;
  size_t all = GUARD + table + GUARD + heaps + GUARD + side + SPAN_BYTES + bytes;
  char *start = os_reserve(os_arena_hint(all), all);
  if (!start) return false;
  os_advise_reserved(start, all);
  table_zone = (zone){.base = start + GUARD, .bytes = table};
  heap_zone = (zone){.base = start + GUARD + table + GUARD, .bytes = heaps};
  note_zone = (zone){.base = heap_zone.base + heaps + GUARD, .bytes = notes};
  live_zone = (zone){.base = note_zone.base + notes + GUARD, .bytes = live};
  arena.base = round_up((uintptr_t)heap_zone.base + heaps + GUARD + side, SPAN_BYTES);
  arena.notes = (volatile unsigned *)(void *)note_zone.base;
  arena.live = (volatile word_t *)(void *)live_zone.base;
  arena.table = table_zone.base;
  arena.heaps = heap_zone.base;
  arena.spans = (uint32_t)(bytes >> SPAN_SHIFT);
  word_store_release(&arena.next, 1);
  return true;
}

/* The ladder: what was asked for or 32 TB, at most half of what RLIMIT_AS leaves, halved until the OS agrees. */
static bool reserve_some(void) {
  size_t most = options.arena_bytes ? options.arena_bytes : ARENA_BYTES_MAX, left = os_address_space_left();
  if (most > ARENA_BYTES_MAX) most = ARENA_BYTES_MAX;
  if (UNDER_TSAN && most > ARENA_BYTES_TSAN) most = ARENA_BYTES_TSAN;
  if (os_under_valgrind() && most > ARENA_BYTES_VALGRIND) most = ARENA_BYTES_VALGRIND;
  if (most > left / 2) most = left / 2;
  if (most < ARENA_BYTES_MIN) most = ARENA_BYTES_MIN;
  for (size_t bytes = most & ~(SPAN_BYTES - 1);; bytes = bytes / 2 & ~(SPAN_BYTES - 1)) {
    if (bytes < ARENA_BYTES_MIN) return false;
    if (reserve(bytes)) return true;
  }
}

bool arena_init(void) {
  while (word_load_acquire(&ready) != 2) {
    if (!word_cas_full(&ready, 0, 1)) {
      os_yield();
      continue;
    }
    options_freeze();
    bool made = reserve_some();
    word_store_release(&ready, made ? 2 : 0);
    if (!made) {
      errno = ENOMEM;
      return false;
    }
  }
  return true;
}

void arena_after_fork(void) {
  if (word_load_acquire(&ready) == 1) word_store_release(&ready, 0);
}

/* Raises a bound that only grows to at least `to`. */
static void raise_to(volatile word_t *bound, word_t to) {
  word_t now = word_load_acquire(bound);
  while (now < to && !word_cas_full(bound, now, to)) now = word_load_acquire(bound);
}

/* Opens a zone up to `upto` bytes, by whole steps where there is room for them. */
static bool zone_open(zone *z, size_t upto, size_t step) {
  size_t now = word_load_acquire(&z->opened), to = round_up(upto, step);
  if (upto <= now) return true;
  if (to > z->bytes) to = z->bytes;
  if (upto > to || !os_open(z->base + now, to - now)) return false;
  os_advise_opened(z->base + now, to - now);
  raise_to(&z->opened, to);
  return true;
}

/* What tracked builds keep about the spans below `end`. */
static bool open_side(size_t end) {
  size_t granules = end << SPAN_SHIFT >> GRANULE_SHIFT;
  return zone_open(&note_zone, granules * sizeof *arena.notes, GUARD) && zone_open(&live_zone, granules >> 3, GUARD);
}

/* In slot 0, as soon as it can be written. */
static void put_signpost(void) {
  signpost *sign = (signpost *)(void *)arena.table;
  word_store_relaxed(&sign->self, (word_t)sign);
  word_store_relaxed(&sign->arena, (word_t)&arena);
  word_store_relaxed(&sign->limit, options.limit_bytes);
  word_store_relaxed(&sign->tracked, TRACKED);
  word_store_release(&sign->magic, SIGNPOST_MAGIC);
}

/* Opens slots and spans so that indices below `end` may be used, in steps of `step` spans. */
static bool open_spans(uint32_t end, uint32_t step) {
  size_t now = word_load_acquire(&arena.opened), to = round_up(end, step);
  if (end <= now >> SPAN_SHIFT) return true;
  if (to > arena.spans) to = arena.spans;
  if (!zone_open(&table_zone, to << SLOT_SHIFT, GUARD)) return false;
  if (now == 0) put_signpost();
  if (TRACKED && !open_side(to)) return false;
  char *start = (char *)arena.base + now;
  if (!os_open(start, (to << SPAN_SHIFT) - now)) return false;
  os_advise_opened(start, (to << SPAN_SHIFT) - now);
  probe(arena_grow, start, (to << SPAN_SHIFT) - now);
  raise_to(&arena.opened, to << SPAN_SHIFT);
  return true;
}

static bool open_upto(uint32_t end) {
  return open_spans(end, OPEN_STEP_SPANS) || open_spans(end, OPEN_STEP_SPANS_SMALL) || open_spans(end, 1);
}

uint32_t arena_take(uint32_t count) {
  for (;;) {
    word_t next = word_load_acquire(&arena.next);
    if (next == 0 || count > arena.spans - next || !open_upto((uint32_t)next + count)) return 0;
    if (word_cas_full(&arena.next, next, next + count)) return (uint32_t)next;
  }
}

bool arena_extend(uint32_t end, uint32_t count) {
  if (arena_high_water() != end || count > arena.spans - end || !open_upto(end + count)) return false;
  return word_cas_full(&arena.next, end, (word_t)end + count);
}

void *arena_metadata(size_t bytes) {
  for (;;) {
    word_t at = word_load_acquire(&heap_zone.used);
    if (!zone_open(&heap_zone, at + bytes, HEAP_ZONE_STEP)) return NULL;
    if (word_cas_full(&heap_zone.used, at, at + bytes)) return heap_zone.base + at;
  }
}

bool arena_charge(size_t bytes) {
  if (options.limit_bytes == 0) return true;
  for (;;) {
    word_t now = word_load_acquire(&charged);
    if (bytes > options.limit_bytes || now > options.limit_bytes - bytes) return false;
    if (word_cas_full(&charged, now, now + bytes)) return true;
  }
}

void arena_discharge(size_t bytes) {
  if (options.limit_bytes != 0) word_add_full(&charged, (word_t)0 - bytes);
}

void arena_recharge(size_t bytes) { word_store_release(&charged, bytes); }
