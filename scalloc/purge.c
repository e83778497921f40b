/*
 * purge.c - sweeps the dirty stacks of the pool and the warm cache of runs for old entries.
 *
 * A stack is taken whole, so its spans are in the purger's hands alone while their pages are taken; the young ones go back in
 * their order. Entries lie youngest first. Free cells of nursery spans are a matter of cells.c.
 */
#include "purge.h"

#include <string.h>

#include "cells.h"
#include "options.h"
#include "os.h"
#include "pool.h"
#include "runs.h"
#include "tools.h"

static volatile word_t next_purge; /* ms, low 32 bits; bit 32 set once begun */
static volatile word_t purges;
static volatile unsigned thread_sleeps; /* the purging thread, until something is dirty */

size_t purge_count(void) { return word_load_acquire(&purges); }

/* What tracked builds keep about spans that are empty. */
static void purge_side(uint32_t first, uint32_t count) {
  size_t granules = SPAN_BYTES >> GRANULE_SHIFT, at = first * granules, n = count * granules;
  os_purge((void *)(uintptr_t)(arena.notes + at), n * sizeof *arena.notes);
  os_purge((char *)(uintptr_t)arena.live + at / 8, n / 8);
}

bool purge_run(uint32_t first, uint32_t count) {
  if (!os_purge(arena_span_start(first), (size_t)count << SPAN_SHIFT)) return false;
  if (TRACKED) purge_side(first, count);
  word_add_full(&purges, 1);
  probe(purge, arena_span_start(first), (size_t)count << SPAN_SHIFT);
  return true;
}

bool purge_part(char *start, size_t bytes) {
  if (!os_purge(start, bytes)) return false;
  word_add_full(&purges, 1);
  probe(purge, start, bytes);
  return true;
}

bool purge_charge(span *s, size_t bytes) {
  if (bytes <= s->charged) return true;
  size_t more = bytes - s->charged;
  if (!arena_charge(more)) {
    purge_all();
    if (!arena_charge(more)) return false;
  }
  s->charged = bytes;
  return true;
}

static void purged(span *s) {
  s->dirty = 0;
  arena_discharge(s->charged);
  s->charged = 0;
}

bool purge_span(span *s) {
  if (!purge_run(span_index(s), 1)) return false;
  purged(s);
  return true;
}

/* Purges the spans of a chain that are at least `age` ms old; the others go back, as do those that the OS kept. */
static size_t purge_chain(unsigned slot, unsigned n, uint32_t index, uint32_t now, uint32_t age) {
  uint32_t keep_first = 0, keep_last = 0;
  size_t bytes = 0;
  while (index != 0) {
    span *s = span_at(index);
    uint32_t next = half_load_relaxed(&s->pool_next);
    size_t dirty = s->dirty;
    if (span_is_old(s, now, age) && purge_span(s)) {
      bytes += dirty;
      pool_put(s, n);
    } else {
      if (keep_first == 0)
        keep_first = index;
      else
        half_store_relaxed(&span_at(keep_last)->pool_next, index);
      keep_last = index;
    }
    index = next;
  }
  if (keep_first != 0) pool_put_chain(slot, n, keep_first, keep_last);
  return bytes;
}

/* Spans that the OS keeps, or that are to stay as they are, go to the pool one by one. */
static void scatter(uint32_t first, uint32_t count) {
  size_t dirty = span_at(first)->run_dirty, charged = span_at(first)->charged;
  for (uint32_t i = first; i < first + count; i++) {
    span *s = span_at(i);
    s->dirty = (uint32_t)(dirty < SPAN_BYTES ? dirty : SPAN_BYTES);
    /* cppcheck-suppress knownConditionTrueFalse */
    s->charged = charged < s->dirty ? charged : s->dirty; /* a clean span of the pool is never purged, nor its charge */
    dirty -= s->dirty;
    charged -= s->charged;
    span_set_state(s, SPAN_FREE);
    pool_put(s, i);
  }
  arena_discharge(charged);
}

/*
 * Tracked builds: nobody may touch a free run, whose bytes are zero when it is taken again. Closed before it is purged, so that
 * a late write cannot come between. A refusal to close is harmless; without a purge the bytes are cleared.
 */
static bool shut_run(span *s, uint32_t count) {
  char *start = span_start(s);
  bool closed = os_close(start, (size_t)count << SPAN_SHIFT);
  if (purge_run(span_index(s), count)) return true;
  if (closed) os_open(start, (size_t)count << SPAN_SHIFT);
  memset(start, 0, s->run_dirty);
  return false;
}

/* The run's pages go back to the OS; if it keeps them, or they are to stay, the spans go to the pool. */
static void let_go(uint32_t first, uint32_t count) {
  span *s = span_at(first);
  if (TRACKED ? shut_run(s, count) : options.purge_delay_ms >= 0 && purge_run(first, count)) {
    purged(s);
    runs_give(first, count, true);
  } else {
    scatter(first, count);
  }
}

/* A place in the warm cache: if it is full, its oldest runs make room. False: the run is too large, or nothing is ever purged. */
static bool keep_warm(uint32_t first, uint32_t count) {
  bool bounded = options.purge_delay_ms >= 0;
  if (bounded && span_at(first)->run_dirty > RUNS_WARM_BYTES) return false;
  while (!runs_give(first, count, false)) {
    uint32_t oldest = bounded ? runs_take_dirty(os_now_ms(), 0) : 0;
    if (oldest == 0) return false;
    let_go(oldest, span_at(oldest)->run);
  }
  return true;
}

void purge_keep_run(uint32_t first, uint32_t count) {
  span *s = span_at(first);
  s->dirty = span_at(first + count - 1)->dirty = SPAN_BYTES; /* whoever finds them free after a fork */
  span_set_state(s, SPAN_FREE);
  if (TRACKED || !keep_warm(first, count)) let_go(first, count);
}

static size_t purge_older(uint32_t now, uint32_t age) {
  size_t bytes = 0;
  uint32_t first;
  for (unsigned slot = 0; slot < POOL_DIRTY_SLOTS; slot++)
    for (unsigned n = 0; n < pool_stacks(); n++) bytes += purge_chain(slot, n, pool_take_stack(slot, n), now, age);
  while ((first = runs_take_dirty(now, age)) != 0) {
    span *s = span_at(first);
    uint32_t count = s->run;
    if (!purge_run(first, count)) {
      purge_keep_run(first, count);
      break;
    }
    bytes += s->run_dirty;
    purged(s);
    runs_give(first, count, true);
  }
  return bytes + cells_purge(now, age);
}

static void full_barrier(void) { word_or_full(&purges, 0); }

/* The caller may just have made something dirty: a full barrier lies between that and the look at the thread. */
static void wake_thread(void) {
  full_barrier();
  if (half_load_relaxed(&thread_sleeps) == 0) return;
  half_store_release(&thread_sleeps, 0);
  os_wake(&thread_sleeps);
}

void purge_tick(void) {
  if (options.purge_delay_ms < 0) return;
  if (unlikely(options.purge_thread)) wake_thread();
  uint32_t delay = (uint32_t)options.purge_delay_ms, now = os_now_ms();
  word_t next = word_load_relaxed(&next_purge);
  if (next != 0 && delay != 0 && (int32_t)(now - (uint32_t)next) < 0) return;
  if (!word_cas_full(&next_purge, next, (word_t)1 << 32 | (uint32_t)(now + delay / 8 + 1))) return;
  if (next != 0 || delay == 0) purge_older(now, delay);
}

enum { PAUSE_MIN_MS = 10, PAUSE_MAX_MS = 3600000 };

_Noreturn void purge_forever(void) {
  long pause = options.purge_delay_ms / 8 + 2;
  pause = pause < PAUSE_MIN_MS ? PAUSE_MIN_MS : pause > PAUSE_MAX_MS ? PAUSE_MAX_MS : pause;
  for (;;) {
    while (pool_has_dirty() || runs_have_dirty()) {
      os_wait(&thread_sleeps, 0, (uint32_t)pause);
      purge_tick();
    }
    half_store_release(&thread_sleeps, 1);
    full_barrier(); /* pairs with the one in wake_thread */
    if (!pool_has_dirty() && !runs_have_dirty()) os_wait(&thread_sleeps, 1, PAUSE_MAX_MS);
    half_store_release(&thread_sleeps, 0);
  }
}

size_t purge_all(void) { return purge_older(os_now_ms(), 0); }

void purge_pool_into_runs(void) {
  span *s;
  purge_all();
  while ((s = pool_take(0, 1)) != NULL) {
    tool_access(span_start(s), SPAN_BYTES); /* large blocks are not watched byte by byte */
    s->run_dirty = s->dirty;
    if (!runs_give(span_index(s), 1, s->dirty == 0)) {
      pool_put(s, 0); /* dirty, and the OS does not take its pages */
      break;
    }
  }
}
