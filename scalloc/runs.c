/*
 * runs.c - two sets of free runs: clean, by length with boundary tags in the span table; dirty, a bounded list.
 *
 * Only the first and the last slot of a free run say RUN; those between keep what they were. The word of a run's ends changes
 * to and from RUN only under the lock, so a neighbour may be examined under it.
 */
#include "runs.h"

#include "lock.h"
#include "options.h"

enum { EXACT = 64, BUCKETS = EXACT + 20, DIRTY_MAX = 64 };

static spin_lock lock;
static uint32_t clean[BUCKETS];   /* first run of each length 1 .. 64, then of each power of two above */
static uint32_t dirty[DIRTY_MAX]; /* first runs, the oldest in front */
static unsigned dirty_count;
static size_t dirty_bytes;
static volatile word_t free_spans;

static unsigned bucket_of(uint32_t count) { return count <= EXACT ? count - 1 : EXACT + log2_floor(count) - 6; }

static void insert_clean(uint32_t first, uint32_t count) {
  span *s = span_at(first), *last = span_at(first + count - 1);
  unsigned b = bucket_of(count);
  s->run = count;
  s->run_clean = last->run_clean = 1;
  last->run_head = s->run_head = first;
  span_set_state(s, SPAN_RUN);
  if (last != s) span_set_state(last, SPAN_RUN);
  s->link[LIST_SET] = (span_link){.next = clean[b], .prev = 0};
  if (clean[b]) span_at(clean[b])->link[LIST_SET].prev = first;
  clean[b] = first;
}

static void remove_clean(uint32_t first) {
  span *s = span_at(first), *last = span_at(first + s->run - 1);
  span_link at = s->link[LIST_SET];
  if (at.next) span_at(at.next)->link[LIST_SET].prev = at.prev;
  if (at.prev)
    span_at(at.prev)->link[LIST_SET].next = at.next;
  else
    clean[bucket_of(s->run)] = at.next;
  span_set_state(s, SPAN_FREE);
  if (last != s) span_set_state(last, SPAN_FREE);
}

static bool is_clean_run(uint32_t index) {
  return index != 0 && index < arena_high_water() && span_state_now(span_at(index)) == SPAN_RUN && span_at(index)->run_clean;
}

static void give_clean(uint32_t first, uint32_t count) {
  if (is_clean_run(first - 1)) {
    uint32_t before = span_at(first - 1)->run_head;
    count += span_at(before)->run;
    remove_clean(before);
    first = before;
  }
  if (is_clean_run(first + count)) {
    uint32_t behind = first + count;
    count += span_at(behind)->run;
    remove_clean(behind);
  }
  insert_clean(first, count);
}

/* First fit among the runs of the shortest bucket that can hold `count`. */
static uint32_t find_clean(uint32_t count) {
  for (unsigned b = bucket_of(count); b < BUCKETS; b++)
    for (uint32_t i = clean[b]; i != 0; i = span_at(i)->link[LIST_SET].next)
      if (span_at(i)->run >= count) return i;
  return 0;
}

static uint32_t take_clean(uint32_t count) {
  uint32_t first = find_clean(count), length;
  if (first == 0) return 0;
  length = span_at(first)->run;
  remove_clean(first);
  if (length > count) insert_clean(first + count, length - count);
  span_at(first)->run = count;
  span_at(first)->run_clean = 1;
  return first;
}

static uint32_t remove_dirty(unsigned at) {
  uint32_t first = dirty[at], count = span_at(first)->run;
  for (dirty_count--; at < dirty_count; at++) dirty[at] = dirty[at + 1];
  dirty_bytes -= span_at(first)->run_dirty;
  span_at(first)->dirty = span_at(first + count - 1)->dirty = SPAN_BYTES; /* whoever finds them free after a fork */
  span_set_state(span_at(first), SPAN_FREE);
  if (count > 1) span_set_state(span_at(first + count - 1), SPAN_FREE);
  return first;
}

/*
 * The warm run whose dirty part comes closest to what is needed, address space being less scarce than backed pages. A run with
 * far more is left to others, but `growing` takes the one with most: it is going to need it.
 */
static uint32_t take_warm(uint32_t count, size_t bytes, bool growing) {
  unsigned best = DIRTY_MAX;
  size_t least = growing ? SIZE_MAX : bytes + 2 * SPAN_BYTES;
  for (unsigned i = 0; i < dirty_count; i++) {
    const span *s = span_at(dirty[i]);
    size_t off = s->run_dirty > bytes ? s->run_dirty - bytes : bytes - s->run_dirty;
    if (growing) off = SIZE_MAX / 2 - s->run_dirty;
    if (s->run < count || off >= least) continue;
    least = off;
    best = i;
  }
  return best == DIRTY_MAX ? 0 : remove_dirty(best);
}

/* What was found leaves the free runs. */
static uint32_t taken(uint32_t first) {
  if (first == 0) return 0;
  span_set_state(span_at(first), SPAN_LARGE);
  word_store_relaxed(&free_spans, word_load_relaxed(&free_spans) - span_at(first)->run);
  return first;
}

/* Free runs of tracked builds are inaccessible. False: the OS refused, the run is free as before. */
static bool open_run(uint32_t first, uint32_t count) {
  if (!TRACKED || first == 0 || !span_at(first)->run_clean || os_open(arena_span_start(first), (size_t)count << SPAN_SHIFT))
    return true;
  span_set_state(span_at(first), SPAN_FREE);
  runs_give(first, count, true);
  return false;
}

uint32_t runs_take(uint32_t count, size_t bytes, bool growing) {
  if (word_load_acquire(&free_spans) < count) return 0;
  lock_take(&lock);
  uint32_t first = take_warm(count, bytes, growing);
  if (first == 0) first = take_clean(count);
  first = taken(first);
  lock_give(&lock);
  return open_run(first, span_at(first)->run) ? first : 0;
}

uint32_t runs_take_single(void) {
  uint32_t first = 0;
  if (word_load_acquire(&free_spans) == 0) return 0;
  lock_take(&lock);
  for (unsigned i = 0; i < dirty_count && first == 0; i++)
    if (span_at(dirty[i])->run == 1) first = remove_dirty(i);
  if (first == 0) first = take_clean(1);
  first = taken(first);
  lock_give(&lock);
  return open_run(first, 1) ? first : 0;
}

static bool give_dirty(uint32_t first, uint32_t count) {
  span *s = span_at(first), *last = span_at(first + count - 1);
  if (dirty_count == DIRTY_MAX) return false;
  if (dirty_bytes + s->run_dirty > RUNS_WARM_BYTES && options.purge_delay_ms >= 0) return false;
  s->run = count;
  s->run_clean = last->run_clean = 0;
  s->run_head = last->run_head = first;
  s->stamp = os_now_ms();
  span_set_state(s, SPAN_RUN);
  if (last != s) span_set_state(last, SPAN_RUN);
  dirty[dirty_count++] = first;
  dirty_bytes += s->run_dirty;
  return true;
}

bool runs_give(uint32_t first, uint32_t count, bool is_clean) {
  bool given = true;
  lock_take(&lock);
  if (is_clean)
    give_clean(first, count);
  else
    given = give_dirty(first, count);
  if (given) word_store_relaxed(&free_spans, word_load_relaxed(&free_spans) + count);
  lock_give(&lock);
  return given;
}

bool runs_extend(uint32_t end, uint32_t count) {
  bool found = false;
  if (word_load_acquire(&free_spans) < count) return false;
  lock_take(&lock);
  if (is_clean_run(end) && span_at(end)->run_head == end && span_at(end)->run >= count) {
    uint32_t length = span_at(end)->run;
    remove_clean(end);
    if (length > count) insert_clean(end + count, length - count);
    word_store_relaxed(&free_spans, word_load_relaxed(&free_spans) - count);
    found = true;
  }
  lock_give(&lock);
  return found && open_run(end, count);
}

uint32_t runs_take_dirty(uint32_t now, uint32_t age) {
  uint32_t first = 0;
  lock_take(&lock);
  if (dirty_count > 0 && span_is_old(span_at(dirty[0]), now, age)) first = remove_dirty(0);
  if (first != 0) word_store_relaxed(&free_spans, word_load_relaxed(&free_spans) - span_at(first)->run);
  lock_give(&lock);
  return first;
}

bool runs_have_dirty(void) {
  lock_take(&lock);
  bool have = dirty_count != 0;
  lock_give(&lock);
  return have;
}

size_t runs_spans(void) { return word_load_acquire(&free_spans); }

void runs_reset(void) {
  for (unsigned b = 0; b < BUCKETS; b++) clean[b] = 0;
  dirty_count = 0;
  dirty_bytes = 0;
  word_store_relaxed(&free_spans, 0);
  lock_give(&lock);
}
