/*
 * boehm_parts.h - what the files of the Boehm bridge share.
 *
 *   boehm_scan.c    slices: how libgc's marker finds the words of scanned blocks
 *   boehm.c         heaps, threads, allocation, pressure, fork
 *   boehm_life.c    weak links and tokens
 *   boehm_lua.c     the lua_Alloc
 *
 * LOCKS. libgc's allocation lock comes first: it is held in push_other_roots, mark procedures and the tokens' disclaim procedure,
 * and by whoever destroys a heap; so nothing of ours takes a lock there. The lock of boehm.c is held for list operations and
 * detaching, never while libgc is called. The hooks of the glue call neither libgc nor take a lock: they run inside slow paths,
 * on any thread, perhaps under libgc's lock.
 */
#ifndef SCALLOC_BOEHM_PARTS_H
#define SCALLOC_BOEHM_PARTS_H

#include "allocated.h"
#include "scalloc/boehm.h"
#include "scalloc/runtime_glue.h"

/* Names with external linkage keep out of the way of other libraries in a static link. */
#define boehm_scan_open scalloc_private_boehm_scan_open
#define boehm_scan_reserve scalloc_private_boehm_scan_reserve
#define boehm_scan_return scalloc_private_boehm_scan_return
#define boehm_scan_begin scalloc_private_boehm_scan_begin
#define boehm_scan_end scalloc_private_boehm_scan_end
#define boehm_heap_unref scalloc_private_boehm_heap_unref
#define boehm_glue_enter scalloc_private_boehm_glue_enter
#define boehm_glue_leave scalloc_private_boehm_glue_leave
#define boehm_allocate scalloc_private_boehm_allocate
#define boehm_unlink_block scalloc_private_boehm_unlink_block
#define boehm_life_close scalloc_private_boehm_life_close
#define boehm_life_after_fork scalloc_private_boehm_life_after_fork
#define boehm_settle_tokens scalloc_private_boehm_settle_tokens
#define boehm_tokens_made scalloc_private_boehm_tokens_made

/* ---- boehm_scan.c ------------------------------------------------------------------------------------------------------- */

/* So many bytes of a span have one proxy: what one call of the mark procedure pushes stays below half a marker's own stack. */
enum { BOEHM_SLICE_BYTES = 16384 };

/* Part of a span while `life` is odd; else unused, waiting in a reserve or in the common stack. A marking thread may look at any
   time, and knows by `life` whether what it read of the rest belongs together. */
typedef struct boehm_slice {
  volatile word_t life;
  scalloc_rt_heap *heap;
  scalloc_rt_span span;
  uint32_t number;   /* its own, for good */
  const char *start; /* of the span's block 0 */
  size_t block;      /* bytes from one block to the next */
  size_t from, to;   /* bytes from start */
  struct boehm_slice *next;
} boehm_slice;

/* Slices that a thread keeps ready, so that a span can be had without a call of libgc. Its thread's alone. */
typedef struct {
  boehm_slice *first;
  size_t count;
} boehm_reserve;

/* Starts libgc and the bridge; any number of times. */
void boehm_scan_open(void);

/* At least n slices in the reserve. Calls libgc, so finalizers may run, which may use the reserve: true means that the last look
   came after the last call. */
bool boehm_scan_reserve(boehm_reserve *reserve, size_t n);
void boehm_scan_return(boehm_slice *list);

/* The blocks of a span are scanned from now on; the list of its slices. At least one must be in the reserve. */
boehm_slice *boehm_scan_begin(boehm_reserve *reserve, scalloc_rt_heap *heap, scalloc_rt_span span,
                              const scalloc_rt_span_info *info);
void boehm_scan_end(boehm_slice *list);

/* ---- boehm.c -------------------------------------------------------------------------------------------------------------- */

enum { BOEHM_ATOMIC, BOEHM_SCANNED, BOEHM_SORTS };
enum { BOEHM_SMALL = 1024, BOEHM_STEP = 16, BOEHM_SMALL_SLOTS = BOEHM_SMALL / BOEHM_STEP + 1 };

struct scalloc_boehm_heap {
  scalloc_rt_heap *rt;
  int kind[BOEHM_SORTS];
  volatile word_t slot[BOEHM_SORTS][BOEHM_SMALL_SLOTS]; /* rounded size << 32 | slot + 1; 0 = not asked for yet */
  struct boehm_thread *threads;                         /* this and `next` under the lock of boehm.c */
  struct scalloc_boehm_heap *next;                      /* of all that are not destroyed */
  volatile word_t linked;                               /* a block of it has or had a weak link */
  volatile word_t references;                           /* one by its user, one by each token */
  volatile word_t closed;                               /* being destroyed, or gone: tokens leave it alone */
};

/* The cookie of a span: the list of its slices, and whether a weak link was made in it. */
#define BOEHM_LINKED ((uintptr_t)1)

void boehm_heap_unref(scalloc_boehm_heap *heap);

/*
 * Around calls of the glue under libgc's lock. False: a fork is being prepared, leave it for later, without the lock. Where the
 * bridge was loaded after libgc had begun, the fork handlers of the glue run first and hold its callers up; if one of them had
 * libgc's lock, libgc's handler would wait for it for ever.
 */
bool boehm_glue_enter(void);
void boehm_glue_leave(void);
void *boehm_allocate(scalloc_boehm_heap *heap, int sort, size_t size);

/* ---- boehm_life.c --------------------------------------------------------------------------------------------------------- */

/* Ends the weak links in a block that is about to be freed. Calls libgc. */
void boehm_unlink_block(scalloc_boehm_heap *heap, void *block);

/* Before the heap is destroyed: its weak links end, and no token frees anything in it from now on. Calls libgc. */
void boehm_life_close(scalloc_boehm_heap *heap);

/* Frees the blocks of dead tokens that could not be freed under libgc's lock. Calls libgc. */
void boehm_settle_tokens(void);
bool boehm_tokens_made(void);
void boehm_life_after_fork(void);

#endif
