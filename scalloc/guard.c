/* guard.c - guarded blocks. Owns the queue of those that were freed, under its lock, and the number of all. */
#include "guard.h"

#if TRACKED
#include "canary.h"
#include "fault.h"
#include "large.h"
#include "live.h"
#include "options.h"
#include "os.h"

enum { GUARD_HELD = 64, GUARD_MOST = 512, GUARD_SHARE = 16 }; /* each costs up to two mappings, and a span of the arena */

static spin_lock lock;
static uint32_t held[GUARD_HELD]; /* spans, oldest first from held_first */
static unsigned held_first, held_count;
static volatile word_t guarded; /* live and held */
thread_word unsigned turn;

bool guard_wanted(size_t alignment, size_t size) {
  if (options.guard_sample == 0 || size == 0 || size > QUARANTINE_BLOCK || alignment > PAGE) return false;
  if (++turn < options.guard_sample) return false;
  turn = 0;
  return word_load_relaxed(&guarded) < GUARD_MOST && word_load_relaxed(&guarded) < arena.spans / GUARD_SHARE;
}

static size_t round_up(size_t n, size_t to) { return (n + to - 1) & ~(to - 1); }

char *guard_take(heap *h, size_t alignment, size_t size) {
  bool zeroed;
  size_t bytes = round_up(size, alignment), pages = round_up(bytes, os_page_size());
  char *start = heap_allocate_large(h, pages, 1, false, &zeroed);
  if (start == NULL) return NULL;
  span *s = span_of_inside(start);
  if (!zeroed || s->large_bytes != pages || !os_close(start + pages, ((size_t)s->run << SPAN_SHIFT) - pages)) {
    heap_free_any(h, start);
    return NULL;
  }
  os_catch_faults(guard_report);
  s->first = (uint32_t)(pages - bytes);
  s->bump = 1;
  word_add_full(&guarded, 1);
  return start + s->first;
}

/* Puts a span into the queue, 0: none, and takes the oldest one out if the queue is full or nothing was put. 0: none taken. */
static uint32_t exchange(uint32_t index) {
  uint32_t oldest = 0;
  lock_take(&lock);
  if (held_count > 0 && (index == 0 || held_count == GUARD_HELD)) {
    oldest = held[held_first];
    held_first = (held_first + 1) % GUARD_HELD;
    held_count--;
  }
  if (index != 0) {
    held[(held_first + held_count) % GUARD_HELD] = index;
    held_count++;
  }
  lock_give(&lock);
  return oldest;
}

/* From now on the span is that of any large block. */
static void forget(span *s) {
  s->bump = 0;
  word_add_full(&guarded, (word_t)0 - 1);
}

static void release(uint32_t index) {
  if (index == 0) return;
  forget(span_at(index));
  large_release(span_at(index));
}

/* In front of the block lies the beginning of its first page. */
static void verify_front(const span *s) {
  const char *start = span_start(s), *bad = canary_not_zero(start, start + s->first);
  if (bad) fault_underflow(start + s->first, (size_t)(start + s->first - bad));
}

void guard_ended(span *s) {
  verify_front(s);
  forget(s);
}

void guard_put(span *s) {
  char *start = span_start(s);
  verify_front(s);
  heap *h = owner_heap(word_load_acquire(&s->owner));
  if (h) heap_unlink(h, s);
  word_store_relaxed(&s->owner, 0);
  os_close(start, s->large_bytes);
  os_purge(start, s->large_bytes);
  release(exchange(span_index(s)));
}

void guard_flush(void) {
  uint32_t index;
  while ((index = exchange(0)) != 0) release(index);
}

void guard_after_fork(void) { lock_give(&lock); }

void guard_report(const void *address) {
  if (!span_has(address)) return;
  span *s = span_of_inside(address), *head = span_state_now(s) == SPAN_LARGE ? s : large_head(s);
  if (head == NULL && span_state_now(s) != SPAN_HOT && span_state_now(s) != SPAN_FLOATING && span_state_now(s) != SPAN_REUSABLE)
    fault_access(address, NULL, 0, false);
  if (head == NULL || !guard_is(head)) return;
  const char *block = span_start(head) + head->first;
  fault_access(address, block, head->large_bytes - head->first - half_load_relaxed(note_of(block)), live_is(block));
}
#endif
