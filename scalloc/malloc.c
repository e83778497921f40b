/*
 * malloc.c - the public allocation functions: argument checks, errno, and the way to the fast path or past it.
 */
#include <errno.h>
#include <string.h>

#include "fast.h"
#include "guard.h"
#include "large.h"
#include "nursery.h"
#include "purge.h"
#include "quarantine.h"
#include "scalloc/scalloc.h"
#include "thread.h"
#include "tools.h"
#include "track.h"

static void *no_memory(void) {
  errno = ENOMEM;
  return NULL;
}

/* ---- allocation ------------------------------------------------------------------------------------------------------- */

void *heap_allocate_large(heap *h, size_t size, size_t alignment, bool headroom, bool *zeroed) {
  if (size > PTRDIFF_MAX) return no_memory();
  heap_rest(h, NULL);
  span *s = large_take(size, alignment, headroom, zeroed);
  if (s == NULL) { /* the heap's empty hot spans, charged, come before a refusal */
    heap_cool(h);
    s = large_take(size, alignment, headroom, zeroed);
  }
  if (s == NULL) {
    probe(out_of_memory, size, h);
    return no_memory();
  }
  if (h->kind != HEAP_THREAD) {
    word_store_release(&s->owner, (word_t)h);
    heap_link(h, s);
  }
  return span_start(s);
}

void *heap_allocate_class(heap *h, unsigned class_index) {
  void *block = fast_pop(h->hot[heap_hot_slot(class_index)]);
  if (block) return block;
  span *s = heap_refill(h, class_index);
  return s ? fast_pop(s) : NULL;
}

void *heap_allocate(heap *h, size_t size) {
  bool zeroed;
  if (size > LARGE_MIN) return heap_allocate_large(h, size, 1, false, &zeroed);
  return heap_allocate_class(h, class_of_malloc(size));
}

/* Ends an operation that thread_use began. */
static void *done(heap *h, void *result) {
  thread_done(h);
  return result;
}

static never_inline void *malloc_slow(size_t size) {
  heap *h = thread_use();
  return h ? done(h, heap_allocate(h, size)) : NULL;
}

void *scalloc_malloc(size_t size) {
  if (TRACKED) return track_allocate(NULL, 16, size);
  if (likely(size <= DIRECT_MAX)) {
    void *block = fast_alloc(thread_heap, (size + 15) & ~(size_t)15);
    if (likely(block != NULL)) return block;
  }
  return malloc_slow(size);
}

void *scalloc_heap_malloc(heap *h, size_t size) {
  if (TRACKED) return track_allocate(h, 16, size);
  if (likely(size <= DIRECT_MAX)) {
    void *block = fast_alloc(h, (size + 15) & ~(size_t)15);
    if (likely(block != NULL)) return block;
  }
  return heap_allocate(h, size);
}

/* Free memory is zero in tracked builds. */
static void *allocate_zeroed_tracked(heap *h, size_t bytes) {
  void *block = track_allocate(h, 16, bytes);
  if (block) tool_zeroed(block, bytes);
  return block;
}

static void *allocate_zeroed(heap *h, size_t count, size_t size) {
  size_t bytes;
  bool zeroed = false;
  if (__builtin_mul_overflow(count, size, &bytes)) return no_memory();
  if (TRACKED) return allocate_zeroed_tracked(h, bytes);
  void *block = bytes > LARGE_MIN ? heap_allocate_large(h, bytes, 1, false, &zeroed) : scalloc_heap_malloc(h, bytes);
  if (block && !zeroed) memset(block, 0, bytes);
  return block;
}

void *scalloc_calloc(size_t count, size_t size) {
  heap *h = thread_use();
  return h ? done(h, allocate_zeroed(h, count, size)) : NULL;
}

void *scalloc_heap_calloc(heap *h, size_t count, size_t size) { return allocate_zeroed(h, count, size); }

static bool is_alignment(size_t alignment) {
  if (alignment != 0 && (alignment & (alignment - 1)) == 0) return true;
  errno = EINVAL;
  return false;
}

void *heap_allocate_aligned(heap *h, size_t alignment, size_t size) {
  bool zeroed;
  if (!is_alignment(alignment)) return NULL;
  if (alignment <= 16) return heap_allocate(h, size);
  if (size > PTRDIFF_MAX || alignment > PTRDIFF_MAX) return no_memory();
  size_t rounded = size <= alignment ? alignment : (size + alignment - 1) & ~(alignment - 1);
  if (rounded > LARGE_MIN) return heap_allocate_large(h, size > LARGE_MIN ? size : LARGE_MIN + 1, alignment, false, &zeroed);
  /* Blocks lie at multiples of the power of two in their size, and the class of a multiple of a power of two is one again. */
  assert_that(class_size(class_of(rounded)) % alignment == 0);
  return heap_allocate_class(h, class_of(rounded));
}

/* A smaller alignment than malloc's is malloc's. */
static void *allocate_aligned_tracked(heap *h, size_t alignment, size_t size) {
  return is_alignment(alignment) ? track_allocate(h, alignment < 16 ? 16 : alignment, size) : NULL;
}

void *scalloc_aligned_alloc(size_t alignment, size_t size) {
  if (TRACKED) return allocate_aligned_tracked(NULL, alignment, size);
  heap *h = thread_use();
  return h ? done(h, heap_allocate_aligned(h, alignment, size)) : NULL;
}

void *scalloc_heap_aligned_alloc(heap *h, size_t alignment, size_t size) {
  if (TRACKED) return allocate_aligned_tracked(h, alignment, size);
  return heap_allocate_aligned(h, alignment, size);
}

/* ---- free ------------------------------------------------------------------------------------------------------------- */

static bool is_small(span_state state) { return state == SPAN_HOT || state == SPAN_FLOATING || state == SPAN_REUSABLE; }

static _Noreturn void invalid(const void *block, const char *why) { os_panic("invalid pointer", block, why); }

static _Noreturn never_inline void invalid_in(const span *s, span_state state, const void *block) {
  if (state == SPAN_HOT && span_is_nursery(s)) invalid(block, "belongs to a Lua heap");
  if (is_small(state)) invalid(block, "not a block");
  if (state == SPAN_LENT) invalid(block, "in a span of a runtime's heap");
  if (state == SPAN_LARGE || state == SPAN_TAIL) invalid(block, "inside a large block");
  invalid(block, "in memory that is not allocated");
}

/* The slot of what must be a live block, as far as that can be seen for nothing: in the shared line of the slot. */
always_inline span *span_of_block(const void *block) {
  span *s = span_of(block);
  if (s == NULL) invalid(block, "not in the arena of this allocator");
  span_state state = span_state_now(s);
  size_t offset = (uintptr_t)block & (SPAN_BYTES - 1);
  bool is_block = state == SPAN_LARGE ? offset == 0 : is_small(state) && offset >= s->first && offset % 8 == 0;
  /* A nursery span has no owner. */
  if (unlikely(!is_block || (state == SPAN_HOT && word_load_relaxed(&s->owner) == 0))) invalid_in(s, state, block);
  return s;
}

static void free_large(heap *user, span *s) {
  if (user) heap_rest(user, NULL);
  heap *h = owner_heap(word_load_acquire(&s->owner));
  if (h) heap_unlink(h, s);
  large_release(s);
}

static never_inline void free_here(heap *user, span *s, void *block) {
  int saved = errno;
  if (span_state_now(s) == SPAN_LARGE)
    free_large(user, s);
  else if (!fast_free(s, block))
    heap_notified(user, s, block);
  errno = saved;
}

void heap_free_any(heap *user, void *block) {
  if (block == NULL) return;
  span *s = span_of_block(block);
  if (span_state_now(s) == SPAN_LARGE || word_load_relaxed(&s->owner) == (word_t)user)
    free_here(user, s, block);
  else
    heap_free_elsewhere(user, s, block);
}

static never_inline void free_slow(void *block) { heap_free_any(thread_heap_or_null(), block); }

void scalloc_free(void *block) {
  if (TRACKED) {
    track_free(NULL, block, ANY_SIZE);
    return;
  }
  if (likely(span_has(block))) {
    span *s = span_of_inside(block);
    if (likely(word_load_relaxed(&s->owner) == (word_t)thread_heap) && likely(fast_free(s, block))) return;
  }
  free_slow(block);
}

void scalloc_free_sized(void *block, size_t size) {
  if (TRACKED)
    track_free(NULL, block, size);
  else
    scalloc_free(block);
}

void scalloc_heap_free(heap *h, void *block) {
  if (TRACKED) {
    track_free(h, block, ANY_SIZE);
    return;
  }
  if (likely(span_has(block))) {
    span *s = span_of_inside(block);
    if (likely(word_load_relaxed(&s->owner) == (word_t)h) && likely(fast_free(s, block))) return;
  }
  heap_free_any(h, block);
}

/* ---- realloc ---------------------------------------------------------------------------------------------------------- */

static size_t usable_in_cell(const span *s, const void *block) {
  heap *h = cell_heap(s, block);
  scalloc_block found;
  return h != NULL && nursery_extent(h, block, &found) && found.start == block ? found.size : 0;
}

size_t scalloc_usable_size(const void *block) {
  if (TRACKED) return track_usable_size(block);
  span *s = span_of(block);
  if (s == NULL) return 0;
  span_state state = span_state_now(s);
  if (state == SPAN_HOT && span_is_nursery(s)) return usable_in_cell(s, block);
  return is_small(state) ? s->block : state == SPAN_LARGE && block == span_start(s) ? s->large_bytes : 0;
}

size_t scalloc_good_size(size_t size) {
  if (TRACKED) return size > PTRDIFF_MAX - TRACK_TAIL ? 0 : size;
  if (size > PTRDIFF_MAX) return 0;
  return size > LARGE_MIN ? (size + PAGE - 1) & ~(size_t)(PAGE - 1) : class_size(class_of_malloc(size));
}

/* Stays where it is: fits, and is not so much smaller that a move would pay. */
static bool fits(size_t usable, size_t size) { return size <= usable && (size > usable / 2 || usable <= 64); }

void *heap_reallocate(heap *h, void *block, size_t size) {
  if (size > PTRDIFF_MAX) return no_memory();
  span *s = span_of_block(block);
  bool large = span_state_now(s) == SPAN_LARGE, zeroed;
  size_t usable = large ? s->large_bytes : s->block;
  if (large ? size > GROWING_MIN && large_resize(s, size) : fits(usable, size)) return block;
  bool shrinks = size <= usable, to_run = size > LARGE_MIN || (!shrinks && size > GROWING_MIN && arena_is_roomy());
  int saved = errno;
  void *moved = to_run ? heap_allocate_large(h, size, 1, true, &zeroed) : heap_allocate(h, size);
  if (moved == NULL) {
    if (shrinks) errno = saved;
    return shrinks ? block : NULL;
  }
  memcpy(moved, block, shrinks ? size : usable);
  heap_free_any(h, block);
  return moved;
}

void *scalloc_realloc(void *block, size_t size) {
  if (block == NULL) return scalloc_malloc(size);
  if (size == 0) {
    scalloc_free(block);
    return NULL;
  }
  if (TRACKED) return track_resize(NULL, block, ANY_SIZE, size, 16);
  int saved = errno;
  heap *h = thread_use();
  if (h == NULL) {
    if (size > scalloc_usable_size(block)) return NULL;
    errno = saved; /* a shrink needs no heap */
    return block;
  }
  return done(h, heap_reallocate(h, block, size));
}

void *scalloc_heap_realloc(heap *h, void *block, size_t size) {
  if (block == NULL) return scalloc_heap_malloc(h, size);
  if (size == 0) {
    scalloc_heap_free(h, block);
    return NULL;
  }
  if (TRACKED) return track_resize(h, block, ANY_SIZE, size, 16);
  return heap_reallocate(h, block, size);
}

/* ---- heaps and purge -------------------------------------------------------------------------------------------------- */

scalloc_heap *scalloc_heap_new(void) { return heap_create(HEAP_USER); }

void scalloc_heap_destroy(scalloc_heap *h) {
  if (h) heap_end(h);
}

size_t scalloc_purge(void) {
  int saved = errno;
  heap *h = thread_heap_or_null();
  if (h) {
    if (TRACKED) quarantine_flush(h);
    heap_settle(h);
    heap_cool(h);
  }
  heap_settle_all(h);
  if (TRACKED) guard_flush();
  size_t bytes = purge_all();
  errno = saved;
  return bytes;
}
