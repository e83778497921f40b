/*
 * span.h - the map of the data: one slot of the span table, its state word, and the steps a span takes.
 *
 *   line 0  written by the user of the owning heap only; `used` is also read by threads that free into a span that is not hot
 *   line 1  shared: the state word and the owner word change by compare-and-swap, the links under the owner's list lock. A free by
 *           another thread into a hot span needs nothing of line 0, which the owner writes with every allocation
 *
 *      63      40 39  37 36       18 17         0
 *     +----------+------+-----------+------------+
 *     |generation| state|   count   |    head    |    state word
 *     +----------+------+-----------+------------+
 *
 * head   offset in 8-byte granules of the first block on the remote list; meaningless while count is 0.
 * count  blocks on that list.
 * state  below.  generation  goes up with every change of state, so that whoever looked before a change cannot act after it.
 *
 * Every block of a span is in exactly one place: never carved (from `bump` on), on the owner's lists (`free`, `spare`), on the
 * remote list, or live. `used` counts the carved blocks that are not on the owner's lists, so
 *
 *     live = used - count          exact, since only a block's holder can free it
 *
 * While a span is not hot `used` can only fall. Hence a thread that reads used = u, then changes the word by a CAS from a value
 * with count = c knows live <= u - c at that moment: what it concludes to be empty, is. The other direction needs care: the
 * owner frees with plain stores, so two last frees, the owner's and a foreign one, could each miss the other. A span that is
 * not hot therefore becomes *shared* with its first foreign free (a bit in the owner word, set before anything else): from
 * then on the owner frees through the word too. What was in flight at that instant is settled by the owner, to whom the thread
 * that set the bit mails the span (steps.c).
 *
 * A *nursery* span is hot as long as it is one. It has no owner, no blocks of its own and `block` NURSERY_BLOCK: it is cut into
 * cells, the first memory of young heaps (cells.h).
 */
#ifndef SCALLOC_SPAN_H
#define SCALLOC_SPAN_H

#include "arena.h"
#include "classes.h"
#include "link.h"

typedef enum {
  SPAN_FREE,     /* empty: in the pool, or in the hands of whoever just emptied or took it; or never used, a zero slot */
  SPAN_HOT,      /* its heap allocates from it; foreign frees only queue up */
  SPAN_FLOATING, /* referenced by nobody but its blocks; too few of them free */
  SPAN_REUSABLE, /* more than the threshold free: linked in its owner's set of the class */
  SPAN_LARGE,    /* first of a run that is one large block */
  SPAN_TAIL,     /* other spans of such a run, of a long one not all (large.c); `run_head` leads to the first */
  SPAN_RUN,      /* first or last of a free run */
  SPAN_LENT      /* in the hands of a packaging that lays out its blocks itself (lend.h); perhaps first of a run */
} span_state;

struct scalloc_heap;

typedef struct {
  uint32_t next, prev; /* span indices, 0 = none */
} span_link;

enum { LIST_ALL, LIST_SET, LIST_MAIL, LISTS }; /* every span of a heap; reusable ones of a class; became shared, to settle */

typedef struct span {
  /* ---- line 0: owner only ---- */
  union {
    void *free;            /* blocks to hand out next, linked link.h */
    volatile word_t cells; /* nursery: cells in use. This and the other two sets of cells change under the lock of cells.c */
  };
  unsigned used;   /* carved blocks not on the owner's lists; any thread reads it while the span is not hot */
  unsigned notify; /* a plain free that brings `used` here takes the slow path; hot: NEVER or, when empty, 0 */
  union {
    void *spare;                  /* a second list, taken when `free` is empty */
    size_t run_dirty;             /* LARGE, RUN: bytes from its start that may be backed */
    volatile word_t cells_backed; /* nursery: cells that may have pages, and are charged */
  };
  uint32_t bump;  /* offset of the first block never carved */
  uint32_t limit; /* offset where the real span ends now */
  uint32_t block; /* bytes of a block */
  uint32_t dirty; /* offset below which pages may be backed */
  size_t charged; /* bytes charged against the limit of the process */
  union {
    size_t large_bytes;         /* LARGE: usable bytes */
    volatile word_t cell_heads; /* nursery: cells that begin with the structure of a live heap */
  };
  uint32_t run_head; /* TAIL, first and last of a RUN: index of the first */
  /* ---- line 1: shared ---- */
  volatile word_t word aligned_to(CACHE_LINE); /* the state word */
  volatile word_t owner;                       /* heap address | OWNER_SHARED; 0 for a span that is free */
  unsigned reusable_below;                     /* reusable when fewer blocks are live; 0 = never. Constant while not hot */
  uint16_t class_index;                        /* constant while in use */
  uint8_t in_list;                             /* bit per LIST_*, under the owner's lock */
  uint8_t run_clean;                           /* RUN: its pages are known to be zero */
  union {
    struct {
      span_link link[LISTS]; /* under the owner's lock; free runs use LIST_SET under the lock of runs.c */
      uint32_t stamp;        /* ms when it became empty */
    };
    unsigned lent[2 * LISTS + 1]; /* LENT: the borrower's */
  };
  volatile unsigned pool_next; /* pool stack */
  uint32_t run;                /* LARGE, RUN: spans of the run */
  uint32_t first;              /* offset of block 0, constant while in use */
} aligned_to(128) span;

_Static_assert(sizeof(span) == SLOT_BYTES, "a slot is two cache lines");
_Static_assert(offsetof(span, word) == CACHE_LINE, "the shared line starts with the state word");

/* What an allocation touches. A young heap's bins begin with the same and stand in for hot spans (nursery.h). */
typedef struct {
  void *free;
  unsigned used;
} __attribute__((may_alias)) span_front;

_Static_assert(offsetof(span_front, free) == offsetof(span, free) && offsetof(span_front, used) == offsetof(span, used),
               "the front of a span");

#define NEVER UINT32_MAX
#define NURSERY_BLOCK 1 /* no class has this size */
#define OWNER_SHARED ((word_t)1)
#define SPAN_LOOK_AGAIN ((word_t)2) /* see span_free_quietly */

enum {
  HEAD_BITS = 18,
  COUNT_BITS = 19,
  STATE_BITS = 3,
  COUNT_AT = HEAD_BITS,
  STATE_AT = COUNT_AT + COUNT_BITS,
  GENERATION_AT = STATE_AT + STATE_BITS
};
_Static_assert((SPAN_BYTES >> GRANULE_SHIFT) == (size_t)1 << HEAD_BITS, "head addresses every granule");
_Static_assert((SPAN_BYTES / 8) < (size_t)1 << COUNT_BITS, "count holds every block of the smallest class");
_Static_assert(GENERATION_AT + 24 == 64, "the generation has 24 bits");

always_inline span_state word_state(word_t w) { return (span_state)(w >> STATE_AT & 7); }
always_inline uint32_t word_count(word_t w) { return (uint32_t)(w >> COUNT_AT) & ((1u << COUNT_BITS) - 1); }
always_inline uint32_t word_head(word_t w) { return (uint32_t)w & ((1u << HEAD_BITS) - 1); }
always_inline word_t word_generation(word_t w) { return w >> GENERATION_AT; }

/* A word with a new remote list, same state and generation. */
always_inline word_t word_with_list(word_t w, uint32_t head, uint32_t count) {
  return (w >> STATE_AT << STATE_AT) | (word_t)count << COUNT_AT | head;
}
/* The word of the next generation, in `state`. */
always_inline word_t word_next(word_t w, span_state state, uint32_t head, uint32_t count) {
  return (word_generation(w) + 1) << GENERATION_AT | (word_t)state << STATE_AT | (word_t)count << COUNT_AT | head;
}

/* ---- addresses, indices, slots ---- */

always_inline span *span_at(uint32_t index) { return (span *)(void *)(arena.table + ((size_t)index << SLOT_SHIFT)); }
always_inline uint32_t span_index(const span *s) { return (uint32_t)((size_t)((const char *)s - arena.table) >> SLOT_SHIFT); }
always_inline char *span_start(const span *s) { return arena_span_start(span_index(s)); }
always_inline span_state span_state_now(const span *s) { return word_state(word_load_acquire(&s->word)); }

/* Does an address lie in the opened arena? NULL, other allocators' blocks and stacks do not. */
always_inline bool span_has(const void *address) {
  return likely((uintptr_t)address - arena.base < word_load_relaxed(&arena.opened));
}

/* The slot of an address in the arena. */
always_inline span *span_of_inside(const void *address) {
  return (span *)(void *)(arena.table + (((uintptr_t)address - arena.base) >> SPAN_SHIFT << SLOT_SHIFT));
}

/* Writes a state as the next generation, without a list: by who has the span in his hands alone. */
always_inline void span_set_state(span *s, span_state state) {
  word_store_release(&s->word, word_next(word_load_relaxed(&s->word), state, 0, 0));
}

/* The slot of any address; NULL if it lies elsewhere. */
always_inline span *span_of(const void *address) { return span_has(address) ? span_of_inside(address) : NULL; }

/* Of a span that is HOT: is it a nursery span? */
always_inline bool span_is_nursery(const span *s) { return s->block == NURSERY_BLOCK; }

always_inline struct scalloc_heap *owner_heap(word_t owner) { return (struct scalloc_heap *)(owner & ~OWNER_SHARED); }

/* Has the span been empty for `age` ms? It may have become so after the caller looked at the clock. */
always_inline bool span_is_old(const span *s, uint32_t now, uint32_t age) {
  return age == 0 || (int32_t)(now - s->stamp) >= (int32_t)age;
}

/* ---- the steps of a span ---- */

typedef enum { STEP_NONE, STEP_REUSABLE, STEP_FREE } span_step; /* what the caller has just brought about, alone */

/* `block` in front of the remote list of `w`: the list part of the next word. */
always_inline uint32_t span_link_block(void *block, word_t w) {
  uintptr_t bottom = (uintptr_t)block & ~(uintptr_t)(SPAN_BYTES - 1);
  block_set_next(block, word_count(w) ? (void *)(bottom + ((size_t)word_head(w) << GRANULE_SHIFT)) : NULL);
  return (uint32_t)(((uintptr_t)block - bottom) >> GRANULE_SHIFT);
}

/* FREE -> HOT. The caller took the span from the pool; its blocks start at the bottom, none carved. */
void span_open(span *s, struct scalloc_heap *owner, unsigned class_index);

/* REUSABLE -> HOT, by the owner, who unlinked it when its word was `seen`. False: it was emptied since, and perhaps given to
   another heap. */
bool span_make_hot(span *s, struct scalloc_heap *owner, word_t seen);

/* HOT -> FLOATING, REUSABLE or FREE, by the owner, in one CAS with the count found. *now: the word after it. */
span_step span_leave_hot(span *s, word_t *now);

/* How many of a span's present blocks may be free while it is not yet reusable. */
uint32_t span_threshold(const span *s);

/* HOT, local lists empty: takes the whole remote list if it holds more than `more_than` blocks. */
bool span_collect(span *s, uint32_t more_than);

/* HOT: carves the next blocks, about a page of them, below the limit. False: none left. */
bool span_carve(span *s);

/*
 * Frees a block through the state word: any thread, and the owner once the span is shared. The CAS that queues the block is
 * the linearisation point, and also makes the span REUSABLE or FREE if it crosses that line: the caller then has to link or
 * release it. *first: the caller made the span shared and has to mail it to its owner.
 */
span_step span_free_public(span *s, void *block, word_t *now, bool *first);

/*
 * The same for the frees that there are most of: into a span that is hot for another heap than `user` (NULL: none), or into one
 * that is shared already and does not change its state by it. The owner; with SPAN_LOOK_AGAIN if it freed meanwhile, so that the
 * span has to be settled. 0, and nothing done: it is another case, or another thread was faster.
 */
always_inline word_t span_free_quietly(span *s, void *block, const struct scalloc_heap *user) {
  word_t w = word_load_acquire(&s->word),
         owner = word_load_acquire(&s->owner); /* in this order: of w's life, if the CAS succeeds */
  uint32_t queued = word_count(w) + 1, used = 0;
  bool hot = word_state(w) == SPAN_HOT;
  if (hot) {
    if (owner_heap(owner) == user) return 0;
  } else {
    if (!(owner & OWNER_SHARED)) return 0;
    used = half_load_acquire(&s->used);
    uint32_t line = word_state(w) == SPAN_REUSABLE ? 1 : half_load_relaxed(&s->reusable_below);
    if (used == queued || used - queued < line) return 0;
  }
  if (!word_cas_full(&s->word, w, word_with_list(w, span_link_block(block, w), queued))) return 0;
  /* As in span_free_public: a plain free of the owner may have been in flight. */
  return hot || half_load_acquire(&s->used) == used ? owner & ~OWNER_SHARED : (owner & ~OWNER_SHARED) | SPAN_LOOK_AGAIN;
}

/* Queues a block without any change of state: for heaps that one thread at a time uses and that nobody else should free into. */
void span_queue(span *s, void *block);

/* Makes a span that is not hot what its counts say, if `owner` still owns it; as after a free. */
span_step span_settle(span *s, const struct scalloc_heap *owner, word_t *now);

/* In use -> FREE, when nobody holds a block of it any more: the end of a heap. False: another thread has just found it empty
   and is about to release it. */
bool span_clear(span *s);

#endif
