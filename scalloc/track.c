/*
 * track.c - hands blocks out and takes them back (track.h).
 *
 * The order of the steps keeps a child of a fork whole whatever another thread was doing: a block is live only when it is
 * complete, and carries NOTE_FREED only when it is zero. A block between the two is neither, and may stay so for ever.
 */
#include "track.h"

#if TRACKED
#include <errno.h>
#include <string.h>

#include "canary.h"
#include "fault.h"
#include "guard.h"
#include "large.h"
#include "live.h"
#include "os.h"
#include "quarantine.h"
#include "thread.h"
#include "tools.h"

/* ---- a block as the program and the allocator see it -------------------------------------------------------------------- */

typedef struct {
  span *s;
  char *start;
  size_t size, capacity; /* asked for; what there is */
  bool large;
} view;

static size_t capacity_of(const span *s) { return span_state_now(s) == SPAN_LARGE ? s->large_bytes - s->first : s->block; }

/* Of a block that is live, or was until this thread took it. */
static view view_of(span *s, void *block) {
  size_t capacity = capacity_of(s), slack = half_load_relaxed(note_of(block));
  return (view){
      .s = s, .start = block, .size = capacity - slack, .capacity = capacity, .large = span_state_now(s) == SPAN_LARGE};
}

/* Where the blocks of a span lie, or did until its heap ended: from the first to behind the last one. */
static char *blocks_of(const span *s, char **end) {
  char *start = span_start(s) + s->first;
  *end = span_state_now(s) == SPAN_LARGE ? start + 1 : span_start(s) + s->bump;
  return start;
}

static void verify_tail(view v) {
  const char *bad = canary_damage(v.start + v.size, v.start + v.capacity);
  if (bad) fault_overflow(v.start, v.size, (size_t)(bad - v.start));
}

void track_verify_free(char *block, size_t bytes) {
  const char *bad = canary_not_zero(block, block + bytes);
  if (bad) fault_late_write(block, bytes, (size_t)(bad - block));
}

/* Ends the life of the block at `address`, for this thread alone; no block there: the end of the process. */
static view claim(void *address, block_use use) {
  span *s = span_of(address);
  if (s == NULL) fault_outside(address);
  if ((uintptr_t)address % 8 != 0 || !live_take(address)) fault_no_block(address, use);
  view v = view_of(s, address);
  tool_access(v.start + v.size, v.capacity - v.size);
  verify_tail(v);
  return v;
}

/* ---- out ------------------------------------------------------------------------------------------------------------------ */

/* The program's again, or for the first time: everything from `size` on is zero. */
static void set_size(char *block, size_t size, size_t capacity) {
  half_store_release(note_of(block), (unsigned)(capacity - size));
  canary_write(block + size, block + capacity);
}

static void *hand_out(void *block, size_t size) {
  span *s = span_of_inside(block);
  bool large = span_state_now(s) == SPAN_LARGE;
  size_t capacity = capacity_of(s);
  if (!large) tool_access(block, capacity);
  if (!large || !s->run_clean) track_verify_free(block, capacity);
  set_size(block, size, capacity);
  tool_handed_out(block, size, capacity);
  live_set(block);
  return block;
}

static void *take(heap *h, size_t alignment, size_t bytes) {
  bool zeroed;
  if (alignment > 16) return heap_allocate_aligned(h, alignment, bytes);
  if (bytes > LARGE_MIN) return heap_allocate_large(h, bytes, 1, false, &zeroed);
  return heap_allocate_class(h, alignment < 16 ? class_of(bytes) : class_of_malloc(bytes));
}

static void *no_memory(void) {
  errno = ENOMEM;
  return NULL;
}

static void *allocate(heap *h, size_t alignment, size_t size) {
  int saved = errno;
  if (size > PTRDIFF_MAX - TRACK_TAIL) return no_memory();
  void *block = guard_wanted(alignment, size) ? guard_take(h, alignment, size) : NULL;
  if (block == NULL) block = take(h, alignment, size + TRACK_TAIL);
  if (block == NULL && quarantine_flush(h)) block = take(h, alignment, size + TRACK_TAIL);
  if (block == NULL) return NULL;
  errno = saved;
  return hand_out(block, size);
}

/* An operation of the calling thread where the program names no heap. */
static heap *begin(heap *h) { return h ? h : thread_use(); }
static void end(heap *named, heap *used) {
  if (named == NULL && used != NULL) thread_done(used);
  tool_resume();
}

void *track_allocate(heap *named, size_t alignment, size_t size) {
  tool_pause();
  heap *h = begin(named);
  void *block = h ? allocate(h, alignment, size) : NULL;
  end(named, h);
  return block;
}

/* ---- back ----------------------------------------------------------------------------------------------------------------- */

/* Zero and marked as freed; what is left to do is to put it where free blocks are. */
static void clear(view v) {
  if (!v.large) {
    memset(v.start, 0, v.capacity);
    half_store_release(note_of(v.start), NOTE_FREED);
  }
  tool_taken_back(v.start, v.capacity, v.large);
  if (v.large) os_catch_faults(guard_report); /* its memory is about to be closed */
}

static void put_back(heap *user, view v) {
  clear(v);
  if (v.large && guard_is(v.s))
    guard_put(v.s);
  else if (v.large || !quarantine_put(user, v.s, v.start))
    heap_free_any(user, v.start);
}

static void verify_size(view v, size_t said) {
  if (said != ANY_SIZE && said != v.size) fault_size(v.start, v.size, said);
}

/* Blocks of an exclusive heap come back to it; other heaps take any. */
static void verify_heap(const heap *user, view v) {
  if (user && user->kind == HEAP_EXCLUSIVE && owner_heap(word_load_relaxed(&v.s->owner)) != user) fault_heap(v.start);
}

void track_free(heap *user, void *block, size_t size) {
  if (block == NULL) return;
  int saved = errno;
  tool_pause();
  if (user == NULL) user = thread_heap_or_null();
  view v = claim(block, USE_FREE);
  verify_heap(user, v);
  verify_size(v, size);
  put_back(user, v);
  tool_resume();
  errno = saved;
}

void track_ended(span *s) {
  char *end, *at = blocks_of(s, &end);
  tool_pause();
  for (; (at = live_next(at, end)) != NULL; at += GRANULE) {
    view v = view_of(s, at);
    live_take(at);
    tool_access(v.start + v.size, v.capacity - v.size);
    verify_tail(v);
    clear(v);
  }
  if (guard_is(s)) guard_ended(s);
  tool_resume();
}

/* ---- a new size ----------------------------------------------------------------------------------------------------------- */

/* Stays where it is: fits, and is not so much smaller that a move would pay. */
static bool stays(view v, size_t size, size_t alignment) {
  size_t bytes = size + TRACK_TAIL;
  if (v.large) return !guard_is(v.s) && bytes > GROWING_MIN && large_resize(v.s, bytes);
  if ((uintptr_t)v.start % alignment != 0) return false;
  return bytes <= v.capacity && (bytes > v.capacity / 2 || v.capacity <= 64);
}

/* The capacity may have changed before. Bytes that come to the block or leave it are zero, but for those that a large one has
   had before. */
static void *resize_in_place(view v, size_t size) {
  size_t capacity = capacity_of(v.s), kept = size < v.size ? size : v.size;
  memset(v.start + kept, 0, (capacity < v.capacity ? capacity : v.capacity) - kept);
  memset(v.start + size, 0, capacity - size);
  set_size(v.start, size, capacity);
  tool_resized(v.start, v.size, size, capacity);
  live_set(v.start);
  return v.start;
}

static void *allocate_to_move(heap *h, view v, size_t size, size_t alignment) {
  bool zeroed, grows = size > v.size && size + TRACK_TAIL > GROWING_MIN && arena_is_roomy();
  if (!grows) return allocate(h, alignment, size);
  void *block = heap_allocate_large(h, size + TRACK_TAIL, 1, true, &zeroed);
  return block ? hand_out(block, size) : NULL;
}

static void *resize(heap *h, void *block, size_t osize, size_t size, size_t alignment) {
  int saved = errno;
  if (size > PTRDIFF_MAX - TRACK_TAIL) return no_memory();
  view v = claim(block, USE_REALLOC);
  verify_heap(h, v);
  verify_size(v, osize);
  if (stays(v, size, alignment)) return resize_in_place(v, size);
  void *moved = h ? allocate_to_move(h, v, size, alignment) : NULL;
  if (moved == NULL && size <= v.size) { /* a shrink never fails */
    errno = saved;
    return resize_in_place(v, size);
  }
  if (moved == NULL) { /* as if nothing had been tried */
    tool_resized(v.start, v.size, v.size, v.capacity);
    live_set(v.start);
    return NULL;
  }
  memcpy(moved, v.start, size < v.size ? size : v.size);
  put_back(h, v);
  return moved;
}

void *track_resize(heap *named, void *block, size_t osize, size_t size, size_t alignment) {
  tool_pause();
  heap *h = begin(named);
  void *result = resize(h, block, osize, size, alignment);
  end(named, h);
  return result;
}

/* ---- looking ---------------------------------------------------------------------------------------------------------------- */

size_t track_usable_size(const void *block) {
  span *s = span_of(block);
  if (s == NULL) return 0;
  if ((uintptr_t)block % 8 != 0 || !live_is(block)) fault_no_block(block, USE_SIZE);
  return capacity_of(s) - half_load_relaxed(note_of(block));
}

void track_describe(scalloc_block *block) {
  const span *s = span_of_inside(block->start);
  heap *owner = owner_heap(word_load_acquire(&s->owner));
  block->live = live_is(block->start);
  if (block->live) block->size = capacity_of(s) - half_load_relaxed(note_of(block->start));
  if (owner && owner->kind != HEAP_THREAD && owner->kind != HEAP_ORPHANS && block->size <= LARGE_MIN)
    block->heap = owner; /* a block of 1 MB has no class, with its tail */
}

bool track_describe_large(const span *s, const void *address, scalloc_block *block) {
  block->start = span_start(s) + s->first;
  block->size = s->large_bytes - s->first;
  if ((const char *)address < (const char *)block->start) return false;
  track_describe(block);
  return true;
}

size_t track_live_bytes(const span *s) {
  size_t sum = 0;
  char *end, *at = blocks_of(s, &end);
  for (; (at = live_next(at, end)) != NULL; at += GRANULE) sum += capacity_of(s) - half_load_relaxed(note_of(at));
  return sum;
}

static const char *find_fault(const span *s, const void **where) {
  char *end, *start = blocks_of(s, &end);
  size_t step = capacity_of(s);
  uint32_t live = 0;
  for (char *at = span_start(s); (at = live_next(at, span_start(s) + SPAN_BYTES)) != NULL; at += GRANULE, live++) {
    *where = at;
    if (at < start || at >= end || (size_t)(at - start) % step != 0) return "marked as live, but no block";
    size_t slack = half_load_relaxed(note_of(at));
    if ((slack < TRACK_TAIL && !guard_is(s)) || slack > step) return "live block with a bad size";
    if (canary_damage(at + step - slack, at + step)) return "bytes behind a live block were written";
  }
  *where = start;
  if (span_state_now(s) == SPAN_LARGE) return NULL; /* not live: held back, or in flight at a fork */
  if (live > half_load_relaxed(&s->used) - word_count(word_load_acquire(&s->word)))
    return "more blocks marked as live than are";
  for (char *at = start; at < end; at += step) {
    *where = at;
    if (!live_is(at) && half_load_relaxed(note_of(at)) & NOTE_FREED && canary_not_zero(at, at + step))
      return "free block that was written";
  }
  return NULL;
}

const char *track_fault(const span *s, const void **where) {
  tool_pause();
  const char *what = find_fault(s, where);
  tool_resume();
  return what;
}
#endif
