/*
 * scalloc/runtime_glue.h - heaps for garbage-collected runtimes: thread-local bump allocation, mark bits beside the spans, lazy
 * sweeping, and dead spans that go back to the global pool whole.
 *
 * The runtime brings the collector (roots, tracing, stopping its threads); this brings the memory. In short:
 *
 *   heap     objects of one runtime. Any number per process; destroyed at once.
 *   kind     objects treated alike: no pointers in them, scanned conservatively, freed by hand only ... Blocks of different
 *            kinds never share a span.
 *   slot     a kind and a block size. Numbers are dense, from 0, the same for all mutators of the heap.
 *   mutator  what a thread allocates with: a hole (free memory, bumped through) per slot, at a fixed offset.
 *   span     2 MB of address space holding blocks of one slot, of which only the used part is backed; or the first of a run of
 *            such that is one large block.
 *   cycle    begin, mark what lives, end. Afterwards what has no mark is free, and is found by whoever needs memory next.
 *
 * THREADS. A mutator is used by one thread at a time. scalloc_rt_free and scalloc_rt_sweep: any thread, at any time.
 * Mutators of the heap stopped, or parked where they do not allocate: cycle_begin, cycle_end, cycle_abort, each_block, and
 * resolve unless the caller owns the block. scalloc_rt_mark: from any number of threads during a cycle.
 * Stopping by signal is fine: see scalloc_rt_defer_stop. No function here waits for a mutator but scalloc_rt_fork_prepare; the
 * three of a cycle wait for sweepers, and so for their hooks.
 *
 * MEMORY is refused with NULL and ENOMEM, after the pressure hook had its chance. Corruption that is seen is one line on
 * stderr and abort().
 */
#ifndef SCALLOC_RUNTIME_GLUE_H
#define SCALLOC_RUNTIME_GLUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

typedef struct scalloc_rt_heap scalloc_rt_heap;

/* A span, by number; 0 = none. Valid while a block in it is live, or inside the hook that names it. */
typedef uint32_t scalloc_rt_span;

/* A block: its span and its number there, from 0. */
typedef struct {
  scalloc_rt_span span;
  uint32_t block;
} scalloc_rt_ref;

/* Free memory that a mutator bumps through: addresses, cur <= lim. Empty: both equal, perhaps 0. */
typedef struct {
  uintptr_t cur, lim;
} scalloc_rt_hole;

enum { SCALLOC_RT_SLOTS = 512, SCALLOC_RT_KINDS = 32 }; /* most per heap */

/*
 * What compiled code may rely on: hole[slot] lies at offsetof(scalloc_rt_mutator, hole) + 16 * slot. An allocation is: take
 * cur, add the block size; not above lim: store it back as cur, before the block is written to. The rest is scalloc's.
 */
typedef struct scalloc_rt_mutator {
  void *rt;               /* the runtime's own, as given to attach; it may be changed */
  int64_t budget;         /* bytes until the pressure hook is called; the runtime may set it, best in that hook */
  volatile uint32_t poll; /* not 0: a stop was deferred (scalloc_rt_defer_stop); the runtime may use the upper 31 bits */
  uint32_t nslots;        /* entries of `hole` in use by the heap so far */
  scalloc_rt_hole hole[SCALLOC_RT_SLOTS];
} scalloc_rt_mutator;

/* Flags of a kind. */
enum {
  SCALLOC_RT_NOSCAN = 1,        /* no pointers inside: for the runtime's tracer to read, scalloc ignores it */
  SCALLOC_RT_CONSERVATIVE = 2,  /* scanned word by word: likewise */
  SCALLOC_RT_UNCOLLECTABLE = 4, /* no cycle frees these blocks: roots, or freed by hand */
  SCALLOC_RT_PINNED = 8,        /* must not move: likewise (scalloc moves nothing) */
  SCALLOC_RT_DISCLAIM = 16,     /* the disclaim hook is asked before a dead block is reused */
  SCALLOC_RT_ZERO = 32,         /* blocks are zero when they are handed out */
  SCALLOC_RT_EXPLICIT_FREE = 64 /* scalloc_rt_free is allowed; implied by UNCOLLECTABLE */
};

/* Why a hook is called. */
enum scalloc_rt_why {
  /* span_release */
  SCALLOC_RT_DEAD,    /* no block of it had a mark, or the last one was freed by hand */
  SCALLOC_RT_DESTROY, /* the heap is being destroyed: the answer is ignored */
  /* pressure */
  SCALLOC_RT_BUDGET,    /* the mutator's budget is used up */
  SCALLOC_RT_LIMIT,     /* the heap's limit stands against a new span or large block: true = try again */
  SCALLOC_RT_NO_MEMORY, /* the system or the process limit refused: true = try again */
  SCALLOC_RT_STOP       /* a deferred stop: the thread is at a safe point now; return when it may go on */
};

typedef struct {
  void *start;       /* of block 0 */
  size_t block_size; /* bytes from one block to the next; of a large block: usable bytes */
  uint32_t blocks;
  int kind;
  bool large;
} scalloc_rt_span_info;

/*
 * What a runtime may want to know or decide. Any member may be NULL. Every hook is called once per transition, with the `ud` of
 * the heap, with no lock held. The span that it is about is the caller's meanwhile: freeing by hand, resolve and is_marked do not
 * wait for the hook; the first mark in that span in a cycle does, so does the mutator that allocates from it, and so do
 * cycle_begin, _end and _abort and scalloc_rt_fork_prepare. So no hook but `pressure` may wait for a collector, or for a thread
 * that marks, allocates or forks. None but `pressure` may allocate from this heap: a slow path there aborts, an allocation that a hole
 * serves is not noticed.
 */
typedef struct {
  /* A span is now the heap's: on the refill path, by the thread that needs it, before any block is handed out. */
  void (*span_acquire)(void *ud, scalloc_rt_span span, const scalloc_rt_span_info *info);
  /* All blocks of a span are dead; any thread. true: it goes to the global pool now. false: somebody still reads there without
     protection; the runtime says scalloc_rt_span_release(span) later, from any thread. */
  bool (*span_release)(void *ud, scalloc_rt_span span, const scalloc_rt_span_info *info, enum scalloc_rt_why why);
  /* A span was swept: bit i of `dead` (word i / 64, bit i % 64) is set for each of the `ndead` > 0 blocks that died. Before any
     of them is reused, and before span_release if all did. Makes sweeping a dead span O(its blocks / 64). */
  void (*span_swept)(void *ud, scalloc_rt_span span, const scalloc_rt_span_info *info, const uint64_t *dead, uint32_t ndead);
  /* A dead block of a DISCLAIM kind. false: it stays for one more cycle (what it points at may be gone). */
  bool (*disclaim)(void *ud, scalloc_rt_ref block, void *object);
  /* The heap is about to use [start, start + bytes), or has done so; whole pages. Not 0: refused; a refused commit is
     treated as lack of memory, a refused decommit is ignored. The memory is readable and writable in any case. */
  int (*commit)(void *ud, void *start, size_t bytes);
  int (*decommit)(void *ud, void *start, size_t bytes);
  /* Called by the mutator's thread from refill and large allocation, for a deferred stop when it leaves whatever it was in; never
     within itself. May collect, allocate, retire, set m->budget; at a stop within scalloc_rt_detach of this mutator or
     scalloc_rt_heap_destroy, only wait. `bytes`: handed to this mutator since the last call, for whatever reason. */
  bool (*pressure)(void *ud, scalloc_rt_mutator *m, size_t bytes, int why);
} scalloc_rt_hooks;

typedef struct {
  size_t size; /* sizeof (scalloc_rt_heap_conf) */
  scalloc_rt_hooks hooks;
  void *ud;
  size_t limit;   /* most bytes of memory that spans and large blocks of the heap may use; 0 = none */
  unsigned flags; /* none yet */
} scalloc_rt_heap_conf;

typedef struct {
  size_t size; /* sizeof (scalloc_rt_kind_conf) */
  unsigned flags;
  size_t align;           /* of every block: a power of two up to 4096; 0 = 16 */
  const uint64_t *layout; /* the runtime's own, for its tracer */
  const char *name;       /* for statistics; must outlive the heap. NULL: none */
} scalloc_rt_kind_conf;

/* ---- heaps, kinds, slots -------------------------------------------------------------------------------------------- */

/* An empty heap; NULL conf = defaults. NULL and ENOMEM, or EINVAL for a conf.size it does not know. */
scalloc_rt_heap *scalloc_rt_heap_create(const scalloc_rt_heap_conf *conf);

/* Every block of the heap at once, whatever its marks: O(spans), no block is touched. Nobody may use the heap, its mutators or
   its blocks any more. NULL is fine. */
void scalloc_rt_heap_destroy(scalloc_rt_heap *heap);

/* A new kind, from 0 up; -1 and EINVAL (bad conf) or ENOMEM (too many). Kinds last as long as their heap. */
int scalloc_rt_kind_new(scalloc_rt_heap *heap, const scalloc_rt_kind_conf *conf);
unsigned scalloc_rt_kind_flags(const scalloc_rt_heap *heap, int kind);
const uint64_t *scalloc_rt_kind_layout(const scalloc_rt_heap *heap, int kind);

/*
 * The slot for blocks of `size` bytes, 1 to 1 MB; *rounded (may be NULL): their real size, which scalloc_rt_alloc wants. The
 * same arguments give the same slot. SCALLOC_RT_NO_SLOT and EINVAL: too large (use scalloc_rt_alloc_large) or no such kind;
 * and ENOMEM: all slots taken. Constant time; meant to be asked once per type.
 */
unsigned scalloc_rt_slot(scalloc_rt_heap *heap, int kind, size_t size, size_t *rounded);
#define SCALLOC_RT_NO_SLOT (~0u)

/* ---- mutators --------------------------------------------------------------------------------------------------------- */

/* A mutator without holes. NULL and ENOMEM. */
scalloc_rt_mutator *scalloc_rt_attach(scalloc_rt_heap *heap, void *rt);

/* Ends a mutator: its holes are free memory again, its spans are for anyone. By its thread, or by another once that thread can
   no longer use it (it has died). O(slots). NULL is fine. */
void scalloc_rt_detach(scalloc_rt_mutator *mutator);

/* Gives all holes back: at a safe point, of threads that will be idle, or before an incremental cycle. By its thread, or by another
   while that one is in a call of its own (a cooperative stop): a thread that a signal stopped may be about to take a block from the
   hole, which would be given out twice. O(slots). */
void scalloc_rt_retire(scalloc_rt_mutator *mutator);

/*
 * For the handler of a stop signal, in the mutator's thread: true if the thread is inside scalloc, with whatever mutator, heap or
 * function, where it must not be stopped. It will call the pressure hook with SCALLOC_RT_STOP when it leaves, once however often
 * this was asked; the handler returns at once. False: stop here. A stop by others (a foreign collector) needs no such question
 * for UNCOLLECTABLE kinds.
 */
bool scalloc_rt_defer_stop(scalloc_rt_mutator *mutator);

/* ---- allocation ------------------------------------------------------------------------------------------------------- */

void *scalloc_rt_alloc_slow(scalloc_rt_mutator *mutator, unsigned slot, size_t rounded);

/*
 * A block of a slot; `rounded` is what scalloc_rt_slot said. About 8 instructions, no call, no atomic read-modify-write; every
 * few KB a refill. The block is allocated from the moment `cur` is stored. NULL and ENOMEM.
 */
static inline void *scalloc_rt_alloc(scalloc_rt_mutator *mutator, unsigned slot, size_t rounded) {
  scalloc_rt_hole *hole = &mutator->hole[slot];
  uintptr_t block = __atomic_load_n(&hole->cur, __ATOMIC_RELAXED), next = block + rounded;
  if (__builtin_expect(next > hole->lim, 0)) return scalloc_rt_alloc_slow(mutator, slot, rounded);
  __atomic_store_n(&hole->cur, next, __ATOMIC_RELAXED); /* a stopped thread's hole is read by others */
  __atomic_signal_fence(__ATOMIC_ACQ_REL);              /* whoever stops it sees the block allocated before it is written */
  return (void *)block;
}

/* A block of any size, in a run of spans of its own: from a page up it makes sense, above 1 MB it is the only way. Page-aligned.
   Survives every cycle until the mutator's next slow path or retire, whatever its mark; what the hook of a stop on the way does is
   none of these. O(its spans). NULL and ENOMEM. */
void *scalloc_rt_alloc_large(scalloc_rt_mutator *mutator, int kind, size_t size);

/* Up to n blocks of a slot at once into out; how many. Fewer than n only when memory is refused. The pressure hook may be called
   in between: what is in `out` by then is a root. */
size_t scalloc_rt_alloc_many(scalloc_rt_mutator *mutator, unsigned slot, void **out, size_t n);

/* Frees a block of an EXPLICIT_FREE or UNCOLLECTABLE kind, by any thread; `mutator` is the caller's, or NULL if it has none. A
   second free of the same block, or one of no live block, aborts with one line. A block of a kind that cycles sweep must not die
   while it is being freed. Constant time; NULL is fine. */
void scalloc_rt_free(scalloc_rt_mutator *mutator, void *block);

/* Memory elsewhere that hangs on objects of this heap: counts against the budget (negative: given back), not the limit. */
void scalloc_rt_account(scalloc_rt_mutator *mutator, int64_t external);

/* ---- blocks and marks ------------------------------------------------------------------------------------------------- */

/* Is this the address of an allocated block of the heap (`interior`: or in one)? What is allocated: blocks that were handed out
   and not freed, and that the last complete cycle has not found dead. O(1), no locks; any value of address is fine. */
bool scalloc_rt_resolve(scalloc_rt_heap *heap, const void *address, bool interior, scalloc_rt_ref *out);

/* The block's address; *size (may be NULL) its usable bytes. O(1). */
void *scalloc_rt_block(scalloc_rt_ref ref, size_t *size);

/* The kind of a block. O(1). */
int scalloc_rt_kind(scalloc_rt_ref ref);

/* Marks an allocated block in the running cycle: true for the first to do so. O(1); any number of threads at once. In a build of the
   library with SCALLOC_ASSERTS this and scalloc_rt_mark_block call scalloc_rt_assert_live first. */
bool scalloc_rt_mark(scalloc_rt_ref ref);

/* resolve(exact) and mark in one: for precise tracers, whose pointers are right. `block` must be a live block of the heap. */
bool scalloc_rt_mark_block(void *block, scalloc_rt_ref *out);

/* Aborts with one line unless this is the address of an allocated block of some runtime's heap, as scalloc_rt_resolve says it: for
   the debug builds of tracers, which find here that they follow a stale pointer. By whoever keeps the block alive; mutators of the
   heap and sweepers may run. O(1), but slower than a mark. */
void scalloc_rt_assert_live(const void *block);

/* Marked in the running cycle, or if none runs, in the last complete one (after an abort: unknown until the next begin). O(1). */
bool scalloc_rt_is_marked(scalloc_rt_ref ref);

/* One word per span for the runtime; 0 when the span is acquired. */
uintptr_t *scalloc_rt_cookie(scalloc_rt_span number);

/*
 * The same, inline, for tracers. Marking meets two lines of memory: the beginning of a span's scalloc_rt_marks, and the word with
 * the block's bit. What compiled code may rely on: marks of span n at marks + n, the fields below; a span is touched (by
 * scalloc_rt_touch) before the first of its bits is set in a cycle.
 */
enum { SCALLOC_RT_BLOCKS = 4096, SCALLOC_RT_SPAN_SHIFT = 21, SCALLOC_RT_RECIPROCAL_SHIFT = 38 };

typedef struct {
  uintptr_t cookie;    /* the word above */
  uint64_t reciprocal; /* ((offset from block 0) / 8 * reciprocal) >> 38 is the number of a block; 0 for a large block */
  uint32_t first;      /* offset of block 0 in the span */
  uint32_t cycle;      /* whose marks the bits are */
  uint64_t unused[5];
  uint64_t bits[SCALLOC_RT_BLOCKS / 64];
} scalloc_rt_marks;

typedef struct {
  uintptr_t base; /* address of span 0 */
  scalloc_rt_marks *marks;
  uint32_t cycle; /* the running one */
  bool alone;     /* sets bits without locked operations */
} scalloc_rt_marker;

/* A view of the running cycle, good until it ends or is aborted. `alone`: until then no other thread marks in this heap,
   allocates from it or sweeps it. */
scalloc_rt_marker scalloc_rt_marker_of(scalloc_rt_heap *heap, bool alone);

/* The first mark of the running cycle in a span: its bits are brought up to date. Any number of threads at once. */
void scalloc_rt_touch(scalloc_rt_span number);

/* Marks a live block of the heap, as scalloc_rt_mark_block; the cookie of its span comes with it. Asserts that it is live if the
   caller is compiled with -DSCALLOC_ASSERTS=1. */
static inline bool scalloc_rt_mark_live(const scalloc_rt_marker *marker, const void *block, uintptr_t *cookie) {
  uintptr_t at = (uintptr_t)block - marker->base, offset = at & (((uintptr_t)1 << SCALLOC_RT_SPAN_SHIFT) - 1);
  scalloc_rt_marks *m = marker->marks + (at >> SCALLOC_RT_SPAN_SHIFT);
  if (__builtin_expect(__atomic_load_n(&m->cycle, __ATOMIC_ACQUIRE) != marker->cycle, 0))
    scalloc_rt_touch((scalloc_rt_span)(at >> SCALLOC_RT_SPAN_SHIFT));
  uint64_t i = ((offset - m->first) >> 3) * m->reciprocal >> SCALLOC_RT_RECIPROCAL_SHIFT;
  uint64_t *word = &m->bits[i / 64], bit = (uint64_t)1 << i % 64, now = __atomic_load_n(word, __ATOMIC_RELAXED);
  *cookie = m->cookie;
  if (now & bit) return false;
#if defined(SCALLOC_ASSERTS) && SCALLOC_ASSERTS
  scalloc_rt_assert_live(block);
#endif
  if (!marker->alone) return !(__atomic_fetch_or(word, bit, __ATOMIC_RELAXED) & bit);
  __atomic_store_n(word, now | bit, __ATOMIC_RELAXED);
  return true;
}

/* Fetches what marking the block will look at first. */
static inline void scalloc_rt_mark_prefetch(const scalloc_rt_marker *marker, const void *block) {
  __builtin_prefetch(marker->marks + (((uintptr_t)block - marker->base) >> SCALLOC_RT_SPAN_SHIFT));
}

/* ---- cycles ----------------------------------------------------------------------------------------------------------- */

/*
 * begin: no block has a mark. O(1).  end: what has no mark is dead; memory in holes stays with its mutators.
 * O(mutators * slots), never O(spans).  abort: as if begin had not been called. O(1).
 * Blocks handed out during a cycle are marked, except from holes that mutators held at begin: if mutators are to run meanwhile,
 * either each retires at begin, at a cooperative stop (scalloc_rt_retire), or scalloc_rt_mark_holes is called then. begin, end and abort wait for sweepers and their hooks. A
 * finalizable or weakly held object that shall live on is marked before end.
 */
void scalloc_rt_cycle_begin(scalloc_rt_heap *heap);
void scalloc_rt_cycle_end(scalloc_rt_heap *heap);
void scalloc_rt_cycle_abort(scalloc_rt_heap *heap);

/*
 * After begin, while the mutators still stand as for begin: what their holes have left is marked, and so are large blocks that are on
 * their way to them. So everything that they will be given in this cycle lives on, wherever a signal stopped them; what they had been
 * given before is for the tracer to find, in their registers too. O(mutators * slots); waits as begin does. Memory of holes that
 * nobody uses up stays with the cycle, where retire would have given it back.
 */
void scalloc_rt_mark_holes(scalloc_rt_heap *heap);

/*
 * Sweeps up to max_spans spans that the last complete cycle left to be swept; how many, 0 = nothing left. Allocation does the
 * same by itself, a span at a time, so calling this is a matter of returning memory early. Any thread, also several, also while
 * mutators run; `mutator` is the caller's, or NULL if it has none. A span without a mark is released in O(1). Spans that mutators
 * allocate from are theirs to sweep, when their hole is used up or they retire.
 */
size_t scalloc_rt_sweep(scalloc_rt_heap *heap, scalloc_rt_mutator *mutator, size_t max_spans);

/* A span whose release the span_release hook put off. */
void scalloc_rt_span_release(scalloc_rt_span number);

/* ---- seeing ------------------------------------------------------------------------------------------------------------ */

/* States of a span, as bits. */
enum {
  SCALLOC_RT_HOT = 1,       /* a mutator allocates from it */
  SCALLOC_RT_RETIRED = 2,   /* full, or not worth a refill */
  SCALLOC_RT_REUSABLE = 4,  /* has holes, waits for a mutator */
  SCALLOC_RT_UNSWEPT = 8,   /* the last complete cycle has not been applied to it */
  SCALLOC_RT_DEFERRED = 16, /* dead, its release put off */
  SCALLOC_RT_LARGE = 32,    /* a large block (that is swept) */
  SCALLOC_RT_ANY = 63
};

/* Visits spans in one of the `states`, in the order of their addresses; stops when the callback returns not 0, and returns that.
   Exact while the heap is quiet; while it is not, a span may be given back under the callback. O(spans of the process). */
typedef int (*scalloc_rt_span_visit)(void *ud, scalloc_rt_span span, const scalloc_rt_span_info *info);
int scalloc_rt_each_span(scalloc_rt_heap *heap, unsigned states, scalloc_rt_span_visit visit, void *ud);

enum { SCALLOC_RT_ALLOCATED = 1, SCALLOC_RT_MARKED = 2, SCALLOC_RT_UNMARKED = 4 }; /* the last two: of the allocated ones */

/* Visits the allocated blocks of a span, or only the marked or unmarked ones. Mutators stopped. */
typedef int (*scalloc_rt_block_visit)(void *ud, scalloc_rt_ref ref, void *block, size_t size);
int scalloc_rt_each_block(scalloc_rt_span number, unsigned which, scalloc_rt_block_visit visit, void *ud);

/* Like snprintf: one JSON object with `spans` by state, `bytes` {live, committed, limit}, `counts` {cycles, swept, released,
   refills}, and `kinds`. O(spans). */
size_t scalloc_rt_stats_json(scalloc_rt_heap *heap, char *buffer, size_t size);

/* ---- fork ---------------------------------------------------------------------------------------------------------------- */

/*
 * Around fork(): called by pthread_atfork handlers of the library; a runtime that needs another order may call them itself as
 * well, they nest. prepare waits for slow paths under way and holds up new ones, in the thread that forks; no cycle may be
 * between begin and end on another thread. A hook may fork if no other thread can be waiting for it. In the child, mutators last
 * seen (attach, allocation) in the forking thread go on; the others are retired, and their handles good only for scalloc_rt_detach.
 * No hook is called in fork_child: what the others leave dead is released by a later sweep or refill. A free by hand that another
 * thread was in has been done in the child, or it has not. fork_child: O(mutators * slots), and one word for each 64 blocks of the
 * spans of UNCOLLECTABLE kinds. Not in a signal handler, which may have interrupted a free by hand of its own thread.
 */
void scalloc_rt_fork_prepare(void);
void scalloc_rt_fork_parent(void);
void scalloc_rt_fork_child(void);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
