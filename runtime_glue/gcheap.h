/*
 * gcheap.h - a runtime's heap: its kinds, its slots with their lists of spans, its mutators.
 *
 * A span of the heap is either HOT, named in one mutator's `hot`, or in one list of its slot, or in somebody's hands. The lists
 * stand under the slot's lock, which is held for a few instructions. Completing a cycle moves two lists behind the unswept one,
 * so a span does not know which list it is in, only that it is in one (`in_list`).
 */
#ifndef SCALLOC_GCHEAP_H
#define SCALLOC_GCHEAP_H

#include "gcspan.h"

typedef scalloc_rt_heap gcheap;

enum { GC_SWEPT, GC_HOLES, GC_UNSWEPT, GC_PUT_OFF, GC_LISTS }; /* GC_HOLES: of REUSABLE spans; GC_PUT_OFF: of DEFERRED ones */

typedef struct {
  spin_lock lock;
  volatile unsigned head[GC_LISTS]; /* also read without the lock, as a hint */
  uint32_t tail[GC_LISTS];
  volatile word_t spans; /* in use */
  uint64_t reciprocal;   /* of the block size; constants of the slot from here on */
  uint32_t block;
  uint16_t blocks; /* of a span, at most */
  uint8_t class_index, kind;
} aligned_to(CACHE_LINE) gcslot;

typedef struct {
  unsigned flags;
  uint32_t align;
  const uint64_t *layout;
  const char *name;
  uint32_t slot_of_class[CLASSES]; /* slot + 1, 0 = none yet */
} gckind;

/* Free blocks of one word of the alloc bits of the hot span, where it is in pieces: the mutator's like its hole, of which the next
   piece is made without holding the span. */
typedef struct {
  volatile word_t bits;
  volatile unsigned word;
  unsigned cycle; /* the running one in which they were marked, or 0 */
} gcpieces;

/* A large block that is handed out. */
typedef struct gcfresh {
  volatile unsigned span, number; /* 0: none; the number tells it from the next block there */
  const struct gcfresh *outer;    /* of in_hand: of the call around */
} gcfresh;

typedef struct gcmutator {
  scalloc_rt_mutator published;
  gcheap *heap;
  volatile word_t inside; /* thread_mark() of the thread that is in a region of it (quiet.h), or 0 */
  unsigned regions;       /* of it that the thread is in, one within the other */
  bool in_pressure;
  volatile word_t stop_wanted; /* it is among the stops that its thread has put off, by next_stop */
  struct gcmutator *next_stop;
  volatile word_t orphan;         /* its thread is not in this process any more (fork) */
  volatile word_t thread;         /* last seen; thread_mark() of it */
  size_t since;                   /* bytes handed out since pressure was called */
  volatile word_t refills, swept; /* counters of this mutator */
  gcfresh fresh;          /* the large block it was given last, until its next slow path: survives a cycle like a hole */
  const gcfresh *in_hand; /* large blocks that calls under way will return: likewise, whatever their thread does meanwhile */
  struct gcmutator *next; /* of its heap, under the heap's lock; or of the unused ones */
  uint32_t hot[SCALLOC_RT_SLOTS];
  gcpieces pieces[SCALLOC_RT_SLOTS];
} gcmutator;

enum { GC_LARGE_SLOT = SCALLOC_RT_SLOTS, GC_ALL_SLOTS = GC_LARGE_SLOT + 2 }; /* large blocks: collectable, UNCOLLECTABLE */

struct scalloc_rt_heap {
  /* ---- read by everybody, seldom written ---- */
  volatile unsigned running; /* C */
  volatile unsigned last;    /* L */
  unsigned number;           /* the highest used for a cycle */
  void *collector;           /* thread_mark of who began the running one */
  uint32_t id;               /* chooses the stack of the pool */
  scalloc_rt_hooks hooks;
  void *ud;
  size_t limit;
  bool eager; /* begin completes the sweep: somebody wants to know of every death */
  volatile unsigned slots, kinds;
  /* ---- counters ---- */
  volatile word_t bytes aligned_to(CACHE_LINE); /* of memory that spans and runs may use */
  volatile word_t cycles, swept, released, refills;
  volatile word_t larges;   /* large blocks handed out, which gives each a number */
  volatile word_t sweepers; /* threads in a sweep step; gcheap_turn waits for them */
  volatile word_t turning;
  spin_lock lock; /* kinds, slots, the list of mutators */
  gcmutator *mutators;
  gcheap *next; /* of all in use, or of the unused ones, under the lock of gcheap.c */
  gckind kind[SCALLOC_RT_KINDS];
  gcslot slot[GC_ALL_SLOTS];
};

always_inline gcheap *gcheap_of(const span *s) { return (gcheap *)word_load_acquire(&s->owner); }
always_inline gcslot *gcslot_of(const span *s) { return &gcheap_of(s)->slot[const_record_of(s)->slot]; }
always_inline bool is_large(const span *s) { return const_record_of(s)->slot >= GC_LARGE_SLOT; }
always_inline int kind_in(const gcheap *h, const span *s) {
  unsigned slot = const_record_of(s)->slot;
  return slot < SCALLOC_RT_SLOTS ? h->slot[slot].kind : (int)(s->limit % SCALLOC_RT_KINDS);
}
always_inline int kind_of(const span *s) { return kind_in(gcheap_of(s), s); }
always_inline unsigned flags_of(const span *s) { return gcheap_of(s)->kind[kind_of(s)].flags; }
always_inline bool is_collectable(const span *s) { return !(flags_of(s) & SCALLOC_RT_UNCOLLECTABLE); }

/* offset from block 0 -> number of the block. */
always_inline uint32_t block_number(const gcslot *slot, size_t offset) {
  return (uint32_t)(((uint64_t)(offset >> GRANULE_SHIFT) * slot->reciprocal) >> RECIPROCAL_SHIFT);
}

/* Every heap in use, and its mutators: for forks and statistics. */
void gcheap_each(void (*visit)(gcheap *h));
gcheap *gcheap_first(void);
void gcheap_after_fork(void); /* opens the locks */

/* The lock of the heap, for a change of its list of mutators: not while a cycle begins or ends. */
void gcheap_lock_list(gcheap *h);

/* ---- lists ---- */

void list_put(span *s, unsigned which);                           /* takes the lock of its slot */
span *list_take(gcslot *slot, unsigned which);                    /* the first, or NULL */
bool list_drop(span *s);                                          /* out of whatever list it is in; false: it was in none */
void list_move(gcslot *slot, span *s, unsigned which, word_t at); /* if its word's generation is still that of `at` */
void list_all_unswept(gcslot *slot); /* swept and reusable ones behind the unswept; no other thread is at it */

/* ---- spans ---- */

/* Any time; of a span that is given back meanwhile, nonsense. */
void gcheap_info(const gcheap *h, const span *s, scalloc_rt_span_info *info);

/* A fresh span of a slot, or a run, NEW; commit and span_acquire have been called. NULL and ENOMEM, *why set. */
span *gcheap_acquire(gcheap *h, unsigned slot, enum scalloc_rt_why *why);
span *gcheap_acquire_run(gcheap *h, int kind, size_t size, enum scalloc_rt_why *why);

/* A span that the caller holds, in no list, in which nothing lives goes back, or is put off by the hook. */
void gcheap_release(span *s, enum scalloc_rt_why why);

/* One that was put off. */
void gcheap_release_now(span *s);

#endif
