/*
 * scalloc/boehm.h - scalloc heaps whose blocks may point at objects of the Boehm-Demers-Weiser collector (libgc, as installed).
 *
 * Blocks are allocated and freed by hand, as with malloc. While a scanned block is allocated, every object that one of its words
 * points at is alive, for libgc as if the block lay in a static array; free it, and the next collection knows. Only allocated
 * scanned blocks are read: not what is freed, not what was never handed out, not pointer-free blocks.
 *
 * THREADS. A heap serves any number of threads at once, and blocks may be freed by any thread. Threads that allocate, write or
 * read scanned blocks must be known to libgc (GC_pthread_create by way of <gc.h> with GC_THREADS, or GC_register_my_thread);
 * to others scanned allocation is refused. Collections may come at any time; nothing has to be announced, no write barrier is
 * needed in incremental mode. The first heap starts libgc if the program has not called GC_INIT yet: do so in main. A program
 * that forks and goes on collecting in the child calls GC_set_handle_fork(1) before that, as libgc asks of it.
 *
 * NOT GIVEN: life in the other direction. A collected object that points at a block does not keep it, unless it holds a token
 * (below). A cycle through both heaps lives until it is broken by hand.
 *
 * COST. What a collection does about scanned blocks is read them, in its pause: all of them, also in incremental mode, in the
 * last pause, since libgc cannot tell which have changed. Pointer-free blocks cost nothing. About 6 bytes in 1000 beside
 * scanned memory. libgc is told of the memory that heaps have taken when it is a third of what there was before, or what else
 * GC_set_free_space_divisor says, and collects if it finds that right: any allocation here may do so.
 *
 * Link: -lscalloc_boehm -lscalloc_runtime -lscalloc -lgc, or pkg-config scalloc-boehm.
 */
#ifndef SCALLOC_BOEHM_H
#define SCALLOC_BOEHM_H

#include <scalloc/scalloc.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct scalloc_boehm_heap scalloc_boehm_heap;

/* An empty heap. NULL and ENOMEM. The first one takes one of libgc's 12 spare kinds of objects, the first token another. */
SCALLOC_API scalloc_boehm_heap *scalloc_boehm_heap_new(void);

/* A block of zeros, 16-aligned, whose words are roots of libgc until it is freed. NULL and ENOMEM, at once for more than the arena or
   the process's limit can ever give; or EPERM: the calling thread is not known to libgc. May collect and run finalizers, as GC_malloc
   may. */
SCALLOC_API void *scalloc_boehm_malloc(scalloc_boehm_heap *heap, size_t size);

/* A block that is never scanned, 16-aligned, with whatever is in it. NULL and ENOMEM. */
SCALLOC_API void *scalloc_boehm_malloc_atomic(scalloc_boehm_heap *heap, size_t size);

/* Frees a block of the heap, of either sort; any thread. Weak links in it end. NULL is fine. */
SCALLOC_API void scalloc_boehm_free(scalloc_boehm_heap *heap, void *block);

/* All blocks of the heap at once, O(spans). Nobody may use the heap or its blocks any more; tokens may still exist. NULL is
   fine. */
SCALLOC_API void scalloc_boehm_heap_destroy(scalloc_boehm_heap *heap);

/*
 * lua_Alloc with ud = a boehm heap. What Lua asks for with the tag of userdata (7) is a scanned block: the words of a userdata
 * may hold pointers to collected objects, which live as long as the userdata does. Tables, strings, closures, stacks are not
 * scanned: a light userdata there keeps nothing alive.
 */
SCALLOC_API void *scalloc_boehm_lua_alloc(void *ud, void *ptr, size_t osize, size_t nsize);

/* ---- weak links ------------------------------------------------------------------------------------------------------- */

/*
 * *link, a word in a block of the heap, scanned or not, becomes a weak reference to a collected object: it does not keep it, and
 * is NULL after the object has died. It holds the pointer in disguise and is to be read by weak_get alone. Linking again
 * replaces the reference. 0; or -1 and EINVAL: `link` is no aligned word in an allocated block of the heap, or `object` is not
 * collected; ENOMEM.
 */
SCALLOC_API int scalloc_boehm_weak_link(scalloc_boehm_heap *heap, void **link, void *object);

/* The object, which is strongly held from here on by the caller's own variable; NULL: it has died, or there never was one. */
SCALLOC_API void *scalloc_boehm_weak_get(void **link);

/* The word is ordinary memory again, and NULL. Not needed before its block is freed or its heap destroyed. */
SCALLOC_API void scalloc_boehm_weak_unlink(void **link);

/* ---- tokens: blocks whose life libgc decides ---------------------------------------------------------------------------- */

/*
 * A small collected object that stands for a block: when a collection finds the token unreachable, the block is freed. libgc
 * sweeps lazily, so that may be as late as the making of further tokens. Keep the token beside each pointer to the block in
 * collected memory. At most one token per block; the block must not be freed by hand while it has one; a scanned block that
 * points at its own token lives for ever. NULL and ENOMEM.
 */
SCALLOC_API void *scalloc_boehm_token_new(scalloc_boehm_heap *heap, void *block);

/* The same for a whole heap: it is destroyed, by a finalizer of libgc, when the token is unreachable; not by hand while it has
   one. NULL and ENOMEM. */
SCALLOC_API void *scalloc_boehm_heap_token(scalloc_boehm_heap *heap);

/* The block, or the heap, that the token stands for is freed by hand again. */
SCALLOC_API void scalloc_boehm_token_cancel(void *token);

#ifdef __cplusplus
}
#endif

#endif
