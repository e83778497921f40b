/*
 * large.c - runs of spans as blocks. A run in use: its first slot is LARGE and knows the length; the others are TAIL and know
 * the first. A slot behind a run that shrank or ended may still say TAIL, so a tail counts only if its head covers it.
 */
#include "large.h"

#include "os.h"
#include "purge.h"
#include "runs.h"

enum { HEADROOM = 4 }; /* a growing block gets a run of so many times its length: address space alone */

static size_t whole_pages(size_t size) { return (size + PAGE - 1) & ~(size_t)(PAGE - 1); }
static uint32_t spans_for(size_t size) { return (uint32_t)((size + SPAN_BYTES - 1) >> SPAN_SHIFT); }

static void use_bytes(span *s, size_t bytes) {
  s->large_bytes = bytes;
  if (bytes > s->run_dirty) s->run_dirty = bytes;
}

/*
 * A long run has a mark on every tail only at its beginning; further on, where the index is a multiple of TAIL_STEP. So a huge
 * block that is hardly used does not cost a slot per span.
 */
enum { TAILS_DENSE = 4096, TAIL_STEP = 512 };
_Static_assert(TAILS_DENSE >= 2 * TAIL_STEP, "a step back from a tail without a mark stays in the run");

static void mark_tails(uint32_t first, uint32_t from, uint32_t to) {
  for (uint32_t i = first + from; i < first + to; i++) {
    if (i - first >= TAILS_DENSE && i % TAIL_STEP != 0) continue;
    span_at(i)->run_head = first;
    span_set_state(span_at(i), SPAN_TAIL);
  }
}

/* The head that a tail's mark names, if it covers span `index`. */
static span *head_of(span *tail, uint32_t index) {
  if (span_state_now(tail) != SPAN_TAIL || tail->run_head >= index) return NULL;
  span *head = span_at(tail->run_head);
  span_state state = span_state_now(head);
  return (state == SPAN_LARGE || state == SPAN_LENT) && index - tail->run_head < head->run ? head : NULL;
}

span *large_head(span *s) {
  uint32_t index = span_index(s);
  span *head = head_of(s, index);
  return head ? head : head_of(span_at(index / TAIL_STEP * TAIL_STEP), index);
}

void large_repair(span *s) {
  size_t most = (size_t)s->run << SPAN_SHIFT;
  if (s->large_bytes == 0 || s->large_bytes > most) s->large_bytes = most;
  if (s->run_dirty < s->large_bytes) s->run_dirty = s->large_bytes;
  mark_tails(span_index(s), 1, s->run);
}

/* `count` contiguous spans from the free runs, a fresh part of the arena, or the pool turned into runs. */
static uint32_t take_run(uint32_t count, size_t bytes, bool growing) {
  uint32_t first = runs_take(count, bytes, growing);
  if (first == 0 && (first = arena_take(count)) != 0) {
    span_at(first)->run = count;
    span_at(first)->run_clean = 1;
    span_set_state(span_at(first), SPAN_LARGE);
  }
  if (first == 0) {
    purge_pool_into_runs(); /* and merges the warm runs */
    first = runs_take(count, bytes, growing);
  }
  return first;
}

static void give_clean(uint32_t first, uint32_t count) {
  span_set_state(span_at(first), SPAN_FREE);
  runs_give(first, count, true);
}

/* A run with room for an aligned one; what lies before and behind it goes back. */
static uint32_t take_aligned_run(uint32_t count, size_t alignment) {
  uint32_t extra = (uint32_t)(alignment >> SPAN_SHIFT) - 1, first = take_run(count + extra, SPAN_BYTES, false), before, all;
  if (first == 0) return 0;
  bool clean = span_at(first)->run_clean;
  all = span_at(first)->run;
  before = (uint32_t)(((alignment - (uintptr_t)arena_span_start(first)) & (alignment - 1)) >> SPAN_SHIFT);
  if (!clean) { /* a warm run cannot be cut as it is */
    if (!purge_run(first, all)) {
      purge_keep_run(first, all);
      return 0;
    }
    arena_discharge(span_at(first)->charged);
    span_at(first)->charged = 0;
  }
  span *s = span_at(first + before);
  s->run = count;
  s->run_clean = 1;
  span_set_state(s, SPAN_LARGE);
  if (before) give_clean(first, before);
  if (all > before + count) give_clean(first + before + count, all - before - count);
  return first + before;
}

span *large_take(size_t size, size_t alignment, bool headroom, bool *zeroed) {
  if (size > (size_t)arena.spans << SPAN_SHIFT) return NULL;
  uint32_t count = spans_for(size), first = 0;
  if (alignment > SPAN_BYTES && alignment >> SPAN_SHIFT >= arena.spans) return NULL;
  if (alignment > SPAN_BYTES)
    first = take_aligned_run(count, alignment);
  else if (headroom && count < arena.spans >> 12)
    first = take_run(count * HEADROOM, size, true);
  if (first == 0 && alignment <= SPAN_BYTES) first = take_run(count, size, headroom);
  if (first == 0) return NULL;
  span *s = span_at(first);
  s->block = 0;
  if (TRACKED) s->first = s->bump = 0;
  s->notify = 0;
  half_store_relaxed(&s->used, 1); /* a plain free of the block takes the slow path */
  s->in_list = 0;
  word_store_relaxed(&s->owner, 0);
  if (s->run_clean) s->charged = s->run_dirty = 0;
  *zeroed = s->run_clean;
  if (!purge_charge(s, whole_pages(size))) {
    span_set_state(s, SPAN_FREE);
    if (*zeroed)
      runs_give(first, s->run, true);
    else
      purge_keep_run(first, s->run);
    return NULL;
  }
  use_bytes(s, whole_pages(size));
  mark_tails(first, 1, s->run);
  return s;
}

void large_release(span *s) {
  purge_keep_run(span_index(s), s->run);
  purge_tick();
}

/* Gives back the spans behind the first `keep` of a run. */
static void cut(span *s, uint32_t keep) {
  uint32_t first = span_index(s), behind = s->run - keep;
  if (!purge_run(first + keep, behind)) return;
  if (TRACKED) os_close(arena_span_start(first + keep), (size_t)behind << SPAN_SHIFT);
  s->run = keep;
  if (s->run_dirty > (size_t)keep << SPAN_SHIFT) s->run_dirty = (size_t)keep << SPAN_SHIFT;
  span_set_state(span_at(first + keep), SPAN_FREE);
  runs_give(first + keep, behind, true);
}

bool large_resize(span *s, size_t size) {
  if (size > (size_t)arena.spans << SPAN_SHIFT) return false;
  size_t bytes = whole_pages(size);
  uint32_t count = spans_for(bytes), have = s->run, first = span_index(s);
  if (count > have) {
    size_t charged = s->charged;
    if (!purge_charge(s, bytes)) return false;
    if (!runs_extend(first + have, count - have) && !arena_extend(first + have, count - have)) {
      arena_discharge(s->charged - charged);
      s->charged = charged;
      return false;
    }
    mark_tails(first, have, count);
    s->run = count;
  } else {
    if (!purge_charge(s, bytes)) return false;
    size_t idle = s->large_bytes > bytes ? s->large_bytes - bytes : 0;
    if (idle >= SPAN_BYTES / 2 && os_purge(span_start(s) + bytes, s->run_dirty - bytes)) s->run_dirty = bytes;
    if (idle > 0 && count < have / 2) cut(s, count);
    size_t kept = s->run_dirty > bytes ? s->run_dirty : bytes; /* pages that stay backed stay charged */
    if (kept < s->charged) {
      arena_discharge(s->charged - kept);
      s->charged = kept;
    }
  }
  use_bytes(s, bytes);
  return true;
}
