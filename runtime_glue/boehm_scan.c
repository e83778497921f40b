/*
 * boehm_scan.c - how libgc's marker gets to see the words of scanned blocks, by its public interface alone.
 *
 * Each slice of a scanned span has a proxy, a collected object of 16 bytes of a kind of our own, whose mark procedure pushes the
 * words of the allocated blocks in the slice. All proxies are pushed as roots, from push_other_roots. So the scanning is spread
 * over libgc's parallel markers, and no step of it is long.
 *
 * RE-ARMING. libgc runs a mark procedure once per object and cycle. In incremental mode the first time may be long before the
 * end, while threads go on writing, and it has no way to tell that memory of ours has changed. Therefore each push of the roots
 * clears the proxies' mark bits first: the push in the last pause, when all threads stand, has every slice read again. The same
 * is right when marking starts over after its stack was full.
 *
 * A proxy and its slice stay together for ever and are used again for other spans. Proxies are never written to once they exist,
 * so in incremental mode their pages are clean. Word 0 of an object belongs to libgc's free lists; word 1 is the slice, NULL in
 * an object that was not handed out, for which the procedure may be called too.
 */
#include "boehm_parts.h"

#define GC_THREADS
#include <errno.h>
#include <gc/gc.h>
#include <gc/gc_mark.h>
#include <pthread.h>

/* The tests build a copy without re-arming, which must lose objects. */
#ifndef BOEHM_REARM
#define BOEHM_REARM 1
#endif

/* Segment i holds FIRST << i slices and their proxies. They are filled in order, under libgc's lock, and never move or end,
   since an interrupted mark phase may still have them on its stack. */
enum { FIRST = 512, SEGMENTS = 22, BATCH = 64 };

typedef struct {
  void **proxies;
  boehm_slice *slices;
} segment;

static struct {
  segment segments[SEGMENTS];
  volatile word_t made;     /* slices there are */
  volatile word_t returned; /* stack of unused ones: number of the first + 1, above it a tag that every change raises */
  GC_push_other_roots_proc push_others;
  unsigned kind;
} scan;

static inline size_t segment_size(unsigned i) { return (size_t)FIRST << i; }

/* The segment of a slice by its number; *at: its place there. */
static inline unsigned segment_of(size_t number, size_t *at) {
  unsigned i = 54 - (unsigned)__builtin_clzll(number + FIRST);
  *at = number + FIRST - segment_size(i);
  return i;
}
_Static_assert((uint64_t)FIRST << SEGMENTS <= UINT32_MAX, "numbers of slices have 32 bits");
_Static_assert(FIRST == 1 << 9 && sizeof(unsigned long long) == 8, "segment_of: 63 - 9 = 54");

/* ---- marking ------------------------------------------------------------------------------------------------------------ */

/* What a slice says at one moment; false: it is not in use, or just changes hands. */
static bool slice_read(const boehm_slice *slice, boehm_slice *out) {
  word_t life = word_load_acquire(&slice->life);
  if ((life & 1) == 0) return false;
  *out = *slice;
  atomics_fence_acquire();
  return word_load_relaxed(&slice->life) == life;
}

typedef struct {
  struct GC_ms_entry *top, *limit;
} mark_stack;

/* Words here may be written by other threads at the same time (incremental mode), and may lie in what a tool calls poisoned. */
__attribute__((no_sanitize("address", "thread"))) static void push_words(mark_stack *stack, const char *from, const char *to) {
  for (const volatile GC_word *word = (const volatile GC_word *)(const volatile void *)from; (const char *)(word + 1) <= to;
       word++) {
    GC_word value = *word;
    stack->top = GC_MARK_AND_PUSH((void *)value, stack->top, stack->limit, (void **)(uintptr_t)word);
  }
}

/* Blocks first .. end - 1, allocated all; of one that reaches over the end of the slice, the part inside. */
static void push_blocks(mark_stack *stack, const boehm_slice *slice, size_t first, size_t end) {
  size_t from = first * slice->block, to = end * slice->block;
  if (from < slice->from) from = slice->from;
  if (to > slice->to) to = slice->to;
  push_words(stack, slice->start + from, slice->start + to);
}

/* A span may be given back under the walk, by a thread that libgc does not stop: the words read then do no harm. */
static struct GC_ms_entry *mark_slice(GC_word *proxy, struct GC_ms_entry *top, struct GC_ms_entry *limit, GC_word env) {
  (void)env;
  boehm_slice slice;
  mark_stack stack = {top, limit};
  word_t allocated[ALLOCATED_WORDS];
  if (proxy[1] == 0 || !slice_read((const boehm_slice *)proxy[1], &slice)) return top;
  uint32_t first = (uint32_t)(slice.from / slice.block), end = (uint32_t)((slice.to - 1) / slice.block + 1);
  if (!allocated_blocks(slice.heap, slice.span, slice.block, first, end, allocated)) return top;
  for (uint32_t w = first / 64; w * 64 < end; w++)
    for (word_t left = allocated[w - first / 64]; left != 0;) {
      uint32_t low = (uint32_t)__builtin_ctzll(left), high = low;
      while (high < 64 && left >> high & 1) high++;
      push_blocks(&stack, &slice, (size_t)w * 64 + low, (size_t)w * 64 + high);
      left = high < 64 ? left >> high << high : 0;
    }
  return stack.top;
}

static void GC_CALLBACK push_slices(void) {
  scan.push_others();
  size_t left = word_load_relaxed(&scan.made);
  for (unsigned i = 0; left != 0; i++) {
    const segment *s = &scan.segments[i];
    size_t n = left < segment_size(i) ? left : segment_size(i);
    for (size_t k = 0; BOEHM_REARM && k < n; k++)
      if (word_load_relaxed(&s->slices[k].life) & 1) GC_clear_mark_bit(s->proxies[k]);
    GC_push_all(s->proxies, s->proxies + n);
    left -= n;
  }
}

/* ---- slices ------------------------------------------------------------------------------------------------------------- */

static boehm_slice *slice_at(size_t number) {
  size_t at;
  unsigned i = segment_of(number, &at);
  return &scan.segments[i].slices[at];
}

static word_t returned_next(word_t before, const boehm_slice *first) {
  return ((before >> 32) + 1) << 32 | (first ? first->number + (word_t)1 : 0);
}

static boehm_slice *returned_first(word_t stack) { return (uint32_t)stack ? slice_at((uint32_t)stack - 1) : NULL; }

void boehm_scan_return(boehm_slice *list) {
  boehm_slice *last = list;
  word_t before;
  if (list == NULL) return;
  while (last->next != NULL) last = last->next;
  do {
    before = word_load_acquire(&scan.returned);
    last->next = returned_first(before);
  } while (!word_cas_full(&scan.returned, before, returned_next(before, list)));
}

/* Another thread may take the slice meanwhile and change its `next`: then the tag is another. */
static boehm_slice *returned_take(void) {
  boehm_slice *first;
  word_t before;
  do {
    before = word_load_acquire(&scan.returned);
    first = returned_first(before);
    if (first == NULL) return NULL;
  } while (!word_cas_full(&scan.returned, before, returned_next(before, *(boehm_slice *volatile *)&first->next)));
  return first;
}

static void reserve_put(boehm_reserve *reserve, boehm_slice *slice) {
  slice->next = reserve->first;
  reserve->first = slice;
  reserve->count++;
}

static boehm_slice *reserve_take(boehm_reserve *reserve) {
  boehm_slice *slice = reserve->first;
  reserve->first = slice->next;
  reserve->count--;
  return slice;
}

typedef struct {
  boehm_reserve *reserve;
  void *proxy[BATCH]; /* on the stack of a thread that libgc scans, until they are in a segment */
  size_t proxies;
  segment fresh; /* memory for one, if it may be needed */
  unsigned number;
} batch;

/* Under libgc's lock: they become slices. What does not fit into the segment is garbage. */
static void *GC_CALLBACK batch_enter(void *data) {
  batch *b = data;
  for (size_t k = 0; k < b->proxies; k++) {
    size_t made = word_load_relaxed(&scan.made), at;
    unsigned i = segment_of(made, &at);
    if (i >= SEGMENTS) break;
    segment *s = &scan.segments[i];
    if (s->slices == NULL) {
      if (b->fresh.slices == NULL || b->number != i) break;
      *s = b->fresh;
      b->fresh = (segment){NULL, NULL};
    }
    s->slices[at].number = (uint32_t)made;
    s->proxies[at] = b->proxy[k];
    ((word_t *)b->proxy[k])[1] = (word_t)&s->slices[at];
    reserve_put(b->reserve, &s->slices[at]);
    word_store_release(&scan.made, made + 1);
  }
  return NULL;
}

/* Memory for the segment that the next slices may begin. */
static bool batch_segment(batch *b) {
  size_t at;
  b->number = segment_of(word_load_acquire(&scan.made) + BATCH, &at);
  if (b->number >= SEGMENTS) return false;
  if (at >= 2 * (size_t)BATCH || (b->number == 0 && at > BATCH)) return true; /* behind its beginning: it is there */
  b->fresh.slices = scalloc_calloc(segment_size(b->number), sizeof(boehm_slice));
  b->fresh.proxies = scalloc_calloc(segment_size(b->number), sizeof(void *));
  return b->fresh.slices != NULL && b->fresh.proxies != NULL;
}

static bool batch_make(boehm_reserve *reserve) {
  batch b = {.reserve = reserve};
  bool good = batch_segment(&b);
  /* One byte less than the size: libgc adds one to every object, so that a pointer behind its end is inside. */
  for (; good && b.proxies < BATCH; b.proxies++) {
    b.proxy[b.proxies] = GC_generic_malloc(2 * sizeof(GC_word) - 1, (int)scan.kind);
    if (b.proxy[b.proxies] == NULL) break;
  }
  good = b.proxies != 0;
  if (good) GC_call_with_alloc_lock(batch_enter, &b);
  scalloc_free(b.fresh.slices); /* another thread was faster, or it was not needed */
  scalloc_free(b.fresh.proxies);
  return good;
}

bool boehm_scan_reserve(boehm_reserve *reserve, size_t n) {
  while (reserve->count < n) {
    boehm_slice *slice = returned_take();
    if (slice != NULL) {
      reserve_put(reserve, slice);
    } else if (!batch_make(reserve)) {
      errno = ENOMEM;
      return false;
    }
  }
  return true;
}

boehm_slice *boehm_scan_begin(boehm_reserve *reserve, scalloc_rt_heap *heap, scalloc_rt_span span,
                              const scalloc_rt_span_info *info) {
  size_t bytes = info->block_size * info->blocks, pieces = (bytes + BOEHM_SLICE_BYTES - 1) / BOEHM_SLICE_BYTES;
  if (pieces > reserve->count) pieces = reserve->count;
  size_t step = (bytes / pieces + sizeof(GC_word)) & ~(sizeof(GC_word) - 1);
  boehm_slice *list = NULL;
  for (size_t from = 0; from < bytes; from += step) {
    boehm_slice *slice = reserve_take(reserve);
    slice->heap = heap;
    slice->span = span;
    slice->start = info->start;
    slice->block = info->block_size;
    slice->from = from;
    slice->to = from + step < bytes ? from + step : bytes;
    slice->next = list;
    word_store_release(&slice->life, word_load_relaxed(&slice->life) + 1);
    list = slice;
  }
  return list;
}

void boehm_scan_end(boehm_slice *list) {
  for (boehm_slice *slice = list; slice != NULL; slice = slice->next) word_add_full(&slice->life, 1);
  boehm_scan_return(list);
}

/* ---- the beginning ------------------------------------------------------------------------------------------------------ */

static void *GC_CALLBACK chain(void *unused) {
  (void)unused;
  scan.push_others = GC_get_push_other_roots();
  GC_set_push_other_roots(push_slices);
  return NULL;
}

static void open_once(void) {
  if (!GC_is_init_called()) GC_set_handle_fork(1);
  GC_init();
  scan.kind = GC_new_kind(GC_new_free_list(), GC_MAKE_PROC(GC_new_proc(mark_slice), 0), 0, 1);
  GC_call_with_alloc_lock(chain, NULL);
}

void boehm_scan_open(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, open_once);
}
