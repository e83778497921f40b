/*
 * heap.h - a heap: one hot span per size class, a set of reusable spans per class, and the spans it owns.
 *
 * A heap is used by one thread at a time; everything that happens to its spans from outside goes through their state words and
 * this heap's list lock. An owner word may be followed at any time: heap structures are never given back, but those of *young*
 * heaps, which lie in the arena, in their first cell (nursery.h). Of these, lock and kind are known without a look at them.
 *
 *   THREAD     a thread's default heap. When the thread exits the heap is retired whole and serves a later thread.
 *   USER       made by scalloc_heap_new.
 *   EXCLUSIVE  nobody but its user frees its blocks (Lua states), all of them plainly. A foreign free is queued.
 *   ORPHANS    owns the reusable spans of retired heaps; anyone takes from it before the arena is asked.
 */
#ifndef SCALLOC_HEAP_H
#define SCALLOC_HEAP_H

#include "lock.h"
#include "scalloc/scalloc.h"
#include "span.h"

typedef struct scalloc_heap heap;

typedef enum { HEAP_THREAD, HEAP_USER, HEAP_EXCLUSIVE, HEAP_ORPHANS } heap_kind;
typedef enum { HEAP_UNUSED, HEAP_LIVE, HEAP_RETIRED } heap_status;

enum {
  HEAP_DIRECT = DIRECT_MAX / 8 + 1,                        /* hot spans found by size: entry i serves sizes up to 8 i */
  HEAP_DIRECT_CLASSES = 28,                                /* classes up to DIRECT_MAX */
  HEAP_HOTS = HEAP_DIRECT + CLASSES - HEAP_DIRECT_CLASSES, /* the others by class */
  HEAP_CLIENT_BYTES = 192,                                 /* for the packaging on top of an exclusive heap */
};

typedef struct {
  volatile unsigned head; /* also read without the lock, as a hint */
  uint32_t tail;
} span_list;

/* Tracked builds: blocks that were freed and are held back for a while, oldest first (quarantine.c). */
typedef struct {
  void *blocks[QUARANTINE_MAX];
  unsigned first, count;
  size_t bytes;
} quarantine;

struct scalloc_heap {
  /* ---- the user's ---- */
  span *hot[HEAP_HOTS]; /* never NULL: without a span, the empty one */
  /* hardly ever written: whoever frees blocks of this heap reads `kind` */
  uintptr_t slots; /* where the slot of address 0 would lie, so that a sibling library needs no symbol of this one */
  heap_kind kind;  /* constant in use */
  uint32_t id;     /* constant for ever, from 1 */
  bool (*verify)(heap *h, char *why, size_t size); /* the packaging's part of scalloc_check; NULL: none */
  _Alignas(16) char client[HEAP_CLIENT_BYTES];
  uint64_t remote_frees; /* frees of others' blocks done by this heap's user */
  uint64_t adoptions;
  uint32_t active, rested; /* ms: when it last took a span or had a large block; when it last gave its empty hot spans back */
  /* ---- shared ---- */
  spin_lock lock aligned_to(CACHE_LINE); /* the lists, in_list and link of their spans, status; owner changes of these */
  volatile word_t status;
  volatile unsigned mailed; /* the mail list may be non-empty; the user reads it without the lock */
  span_list all, mail;
  span_list *sets;             /* by class: `own_sets`, or those of a young heap; constant in use, but for its first span */
  volatile unsigned next;      /* in the stacks of retired and unused heaps */
  span_list own_sets[CLASSES]; /* this and what follows is not there in a young heap */
#if TRACKED
  quarantine held; /* the user's */
#endif
} aligned_to(CACHE_LINE);

extern internal span heap_no_span; /* the empty span: its list is always empty */

/* Does the structure lie in a cell? */
always_inline bool heap_is_young(const heap *h) { return (uintptr_t)h - arena.base < (uintptr_t)arena.spans << SPAN_SHIFT; }

/* The kind of a heap that may have ended, if it is a young one. */
always_inline heap_kind heap_kind_of(const heap *h) { return heap_is_young(h) ? HEAP_EXCLUSIVE : h->kind; }

/* Where the hot span of a class is kept. */
always_inline unsigned heap_hot_slot(unsigned class_index) {
  return class_index < HEAP_DIRECT_CLASSES ? (unsigned)(class_size(class_index) / 8)
                                           : HEAP_DIRECT + class_index - HEAP_DIRECT_CLASSES;
}

/* A heap of a kind, empty (or, for THREAD, one retired with its spans). NULL and ENOMEM. */
private_api heap *heap_create(heap_kind kind);

/*
 * The same, EXCLUSIVE and young: its blocks up to NURSERY_MAX bytes may be freed by nursery_free alone, with their size. In tracked
 * builds, and where there is no cell below the limit of the process, it is an EXCLUSIVE one as any other.
 */
private_api heap *heap_create_young(void);

/* Ends a USER or EXCLUSIVE heap and all its blocks: O(its spans). */
private_api void heap_end(heap *h);

/* The same for the blocks alone: the heap goes on without any. */
private_api void heap_empty(heap *h);

/* The end of a thread: hot spans cool down, reusable ones go to the orphans, the structure waits for the next thread. */
void heap_retire(heap *h);

/*
 * A hot span of the class with at least one block on its free list, or NULL (no memory). The slow path of every allocation:
 * settles mail, then tries in this order: own lists, a page of the remote list, blocks never carved, the remote list if it is above
 * the threshold, reusable spans, orphans, backed pages (behind the limit of the span, then in the pool), growth of the real span,
 * clean spans of the pool, free runs, arena. Where spans are scarce it may be one of a larger class, whose blocks have at least the
 * alignment of this one's.
 */
private_api span *heap_refill(heap *h, unsigned class_index);

/* A plain free by the user of `h` that will bring the span's used count to its notify mark. */
private_api void heap_notified(heap *h, span *s, void *block);

/* A free of a block that is not a plain one: by another thread, or by the owner of a shared span. `user` may be NULL. Keeps errno. */
void heap_free_elsewhere(heap *user, span *s, void *block);

void heap_settle(heap *h);           /* the mail of the caller's heap */
private_api void heap_cool(heap *h); /* gives the empty hot spans of the caller's heap back */

/*
 * The same, but `taken`, once in a purge delay, in the course of an operation that takes a span or has to do with a large block.
 * A heap that goes on has them back from the pool for little. One that did nothing of the kind for the whole delay gives back
 * their pages, too, at once.
 */
void heap_rest(heap *h, const span *taken);

/* Settles every span of every heap, on behalf of the user of `user` (may be NULL): exact at a quiescent point. O(spans). */
void heap_settle_all(heap *user);

/* Makes `s` the span that allocations of the class come from. */
void heap_install(heap *h, unsigned class_index, span *s);

/* A hot span of h, no longer installed, goes wherever its blocks say; heap_cool_span: installed or not. */
void heap_leave(heap *h, span *s);
void heap_cool_span(heap *h, span *s);

/* For large blocks, which belong to a heap only as members of its list of all spans. */
void heap_link(heap *h, span *s);
void heap_unlink(heap *h, span *s);

/* Allocation by size, as malloc, past the fast path; and in a known class or above LARGE_MIN. NULL and ENOMEM. */
private_api void *heap_allocate(heap *h, size_t size);
private_api void *heap_allocate_class(heap *h, unsigned class_index);
private_api void *heap_allocate_large(heap *h, size_t size, size_t alignment, bool headroom, bool *zeroed);

/* As scalloc_heap_aligned_alloc: checks its arguments. */
void *heap_allocate_aligned(heap *h, size_t alignment, size_t size);

/* A free of any block by the user of `h` (may be NULL): every check, every case. Keeps errno. */
private_api void heap_free_any(heap *h, void *block);

/* Resizes a block, by moving it to `h` if need be; size > 0. NULL and ENOMEM only for growth. */
private_api void *heap_reallocate(heap *h, void *block, size_t size);

/* Every heap structure there is but the young ones, by id from 1. */
uint32_t heap_count(void);
heap *heap_at(uint32_t id);
heap *heap_orphans(void);

/* Visits every heap in use, the young ones too, but not the orphans. False: a visit gave false, and was the last. */
bool heap_each(bool (*visit)(heap *h, void *context), void *context);

/* Frees of others' blocks that no heap's counter has. */
uint64_t heap_remote_frees_without_heap(void);

/* The heap that owns the span of any address; NULL: none does. */
private_api heap *heap_of_address(const void *address);

/* Visits the spans of one heap: its own `all` list. */
private_api void heap_each_span(heap *h, void (*visit)(span *s, void *context), void *context);

/* ---- for the child of a fork, where only the calling thread is left (fork.c) ---- */

void heap_reset_locks(void);        /* opens those of the young heaps */
void heap_reset_lists(heap *h);     /* empties its lists and opens its lock */
void heap_relink(heap *h, span *s); /* puts a span of the heap back into the lists its state asks for */
void heap_rebuild_stacks(void);     /* the retired and the unused heaps, by their status */

#endif
