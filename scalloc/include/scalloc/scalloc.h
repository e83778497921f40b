/*
 * scalloc.h - the public face of the scalloc core.
 *
 * Memory comes from one large arena of 2 MB virtual spans. Every block lies in a span of one size class; a span belongs to
 * a heap, and a heap is used by one thread at a time. Blocks may be freed by any thread.
 *
 * Rules that hold for every function here
 *   units      sizes are bytes.
 *   errors     out of memory, a size above PTRDIFF_MAX and every overflow give NULL and errno = ENOMEM; an alignment that is
 *              not a power of two gives NULL and errno = EINVAL. Nothing in this library aborts for lack of memory.
 *   errno      free, free_sized and heap_free leave errno as it was.
 *   corruption a pointer that is not a block of ours, given to a free, prints one line on stderr and aborts; the checked
 *              build stops many more faults (docs/faults.md).
 *   signals    no function may be called from a signal handler.
 *   fork       the child may use everything; other threads' heaps are orphaned and adopted.
 *
 * Needs standard headers only; C11 and C++11.
 */
#ifndef SCALLOC_SCALLOC_H
#define SCALLOC_SCALLOC_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SCALLOC_API __attribute__((visibility("default")))
#else
#define SCALLOC_API
#endif

/* ---- blocks of the calling thread's heap ----------------------------------------------------------------------------- */

/*
 * A block of at least `size` bytes, uninitialised, 16-aligned (8-aligned if size <= 8). malloc(0) is a unique block.
 * The caller owns it until a free. Constant time but for the slow path: no lock and no locked instruction on a hit.
 */
SCALLOC_API void *scalloc_malloc(size_t size);

/* As scalloc_malloc(count * size), zeroed; the multiplication is checked. */
SCALLOC_API void *scalloc_calloc(size_t count, size_t size);

/*
 * Resizes `block` to `size` bytes, in place or by moving it to the calling thread's heap; the common prefix is kept.
 * realloc(NULL, n) is malloc(n); realloc(p, 0) frees p and returns NULL. A shrink never fails. On NULL for n > 0 the old
 * block is untouched. Blocks above 1 MB grow in place where the spans behind them are free.
 */
SCALLOC_API void *scalloc_realloc(void *block, size_t size);

/* Frees a block of any scalloc heap, from any thread. NULL is ignored. */
SCALLOC_API void scalloc_free(void *block);

/* As scalloc_free; `size` is the size the block was asked for (C23 free_sized). */
SCALLOC_API void scalloc_free_sized(void *block, size_t size);

/* A block aligned to `alignment`, any power of two. `size` need not be a multiple of it. */
SCALLOC_API void *scalloc_aligned_alloc(size_t alignment, size_t size);

/* Bytes that may be used at `block`, at least the size asked for; 0 for NULL and for pointers that are not ours. */
SCALLOC_API size_t scalloc_usable_size(const void *block);

/* The usable size of a malloc(size), which has more only where spans are running out; 0 if it could only fail. */
SCALLOC_API size_t scalloc_good_size(size_t size);

/* ---- first-class heaps ----------------------------------------------------------------------------------------------- */

/*
 * A heap that is owned by the program, not bound to a thread: one thread at a time allocates from it, it may be handed over
 * freely (with the synchronisation any hand-over needs), and any thread may free its blocks at any time.
 */
typedef struct scalloc_heap scalloc_heap;

/* A new, empty heap; NULL and ENOMEM if there is no memory for it. */
SCALLOC_API scalloc_heap *scalloc_heap_new(void);

/* The allocation functions of a heap; as their namesakes above. A block that heap_realloc has to move, it moves to `heap`. */
SCALLOC_API void *scalloc_heap_malloc(scalloc_heap *heap, size_t size);
SCALLOC_API void *scalloc_heap_calloc(scalloc_heap *heap, size_t count, size_t size);
SCALLOC_API void *scalloc_heap_realloc(scalloc_heap *heap, void *block, size_t size);
SCALLOC_API void *scalloc_heap_aligned_alloc(scalloc_heap *heap, size_t alignment, size_t size);

/* Frees a block as the heap's present user: a local free without a look at the calling thread. Others: scalloc_free. */
SCALLOC_API void scalloc_heap_free(scalloc_heap *heap, void *block);

/*
 * Ends the heap and every block in it at once: O(its spans), never O(blocks). Nobody may hold or free its blocks then.
 */
SCALLOC_API void scalloc_heap_destroy(scalloc_heap *heap);

/* ---- looking at the heap --------------------------------------------------------------------------------------------- */

typedef struct scalloc_block {
  void *start;        /* first byte of the block */
  size_t size;        /* its usable size */
  scalloc_heap *heap; /* its first-class heap; NULL for thread heaps and for blocks above 1 MB */
  bool live;          /* handed out and not freed; exact at a quiescent point */
} scalloc_block;

/*
 * Finds the block that holds `address`, which may point anywhere into it. False: not inside a span in use. start, size and
 * heap are O(1); live walks the span's free lists (in the checked build it is O(1) too). The never-used tail of a span is found with live = false.
 */
SCALLOC_API bool scalloc_find(const void *address, scalloc_block *out);

/*
 * Gives the memory of empty spans back to the operating system now and returns how many bytes that were. First the caller's
 * empty hot spans are retired; other threads' follow at their next slow path.
 */
SCALLOC_API size_t scalloc_purge(void);

/*
 * Writes one JSON object into buffer (at most `size` bytes with the final 0; size 0 writes nothing) and returns its length
 * without the 0, like snprintf. Keys: arena.{reserved_bytes,spans_opened}, spans.{hot,floating,reusable,pooled,large},
 * bytes.{live,committed,page_tables,limit}, counts.{purges,remote_frees,adoptions}. Counts come from a walk of the span
 * table: exact at a quiescent point, approximate otherwise; O(spans below the high-water mark).
 */
SCALLOC_API size_t scalloc_stats_json(char *buffer, size_t size);

/*
 * The same figures as text that Prometheus scrapes (exposition format 0.0.4), for a program's own /metrics: about 2 KB. Gauges
 * scalloc_{live,committed,page_tables,limit,arena_reserved}_bytes, scalloc_arena_spans_opened, scalloc_spans{state}; counters
 * scalloc_{purges,remote_frees,adoptions}_total. Cut and counted like scalloc_stats_json.
 */
SCALLOC_API size_t scalloc_stats_prometheus(char *buffer, size_t size);

/*
 * Walks every span and holds it to the invariants of the allocator; call it when no other thread allocates or frees.
 * False: the first violation is described in `why` (at most `size` bytes; may be NULL with size 0).
 */
SCALLOC_API bool scalloc_check(char *why, size_t size);

/*
 * Sets an option by its environment name (SCALLOC_ARENA_BYTES, SCALLOC_LIMIT_BYTES, SCALLOC_REUSE_THRESHOLD in percent,
 * SCALLOC_PURGE_DELAY_MS with 0 = eager and -1 = never, SCALLOC_STATS = 1 for JSON on stderr at exit, 2 for text, 3 for
 * Prometheus). Call before the first allocation; wins over the environment. False and errno = EINVAL: no such option, a bad value,
 * or too late.
 */
SCALLOC_API bool scalloc_option_set(const char *name, long value);

#ifdef __cplusplus
}
#endif

#endif
