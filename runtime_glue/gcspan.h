/*
 * gcspan.h - a span of the glue: its record in the slot, its state, and the rule that says what is allocated in it.
 *
 * The state word (span.h) of a lent span: `head` holds the stage below and the HELD bit, `count` the blocks freed by hand and
 * not yet taken out of the alloc bits. A free sets its bit first and counts then; a holder that takes the bit in between brings
 * the count below 0. So used - count is never less than what is live, and 0 means that every free is done. Whoever sets HELD holds the span: he alone writes alloc bits, clears mark bits and
 * changes epochs and `used`. He does a few hundred bytes of work; others spin. Stages change with HELD, except
 * RETIRED -> REUSABLE by the free that crosses the threshold. Every change of stage is a new generation.
 *
 * While hooks are called about a held span it is SHOWN: THE RULE is written down, what lives in it does not change, and others read
 * its bits as if nobody held it. So who resolves or frees by hand does not wait for a hook. Who wants to hold the span does: a
 * first mark, and the mutator that allocates from it.
 *
 *   NEW       in the hands of whoever took or releases it
 *   HOT       a mutator allocates from it: named in its `hot`, in no list; never swept or released by others
 *   RETIRED   in a list of its slot: swept, unswept
 *   REUSABLE  at least a sixteenth free (freed by hand: a quarter), in the list of such, or about to be
 *   DEFERRED  dead, waiting for scalloc_rt_span_release
 *   LARGE     a run, in a list like a retired one
 *
 * THE RULE. Cycles are numbered; C is the running one (0: none), L the last that was completed. `marked` is the cycle that the
 * mark bits belong to (it lies beside them), `swept` the cycle whose verdict the alloc bits have. Allocated, as far as cycles tell, is
 *
 *   alloc bits             if swept == L
 *   alloc & mark bits      else if marked == L
 *   nothing                else: no mark was set in cycle L
 *
 * and of these, not what is freed by hand, nor what lies in its mutator's hole. Holding a span one may write this down: alloc
 * bits := what is allocated, swept := L; and in a cycle, mark bits := 0, marked := C. The first mark set in a span in a cycle
 * does so before. Completing a cycle makes all spans unswept at once, aborting it leaves touched spans swept for L, the others
 * as they were. UNCOLLECTABLE spans are swept ALWAYS: their alloc bits are the truth.
 */
#ifndef SCALLOC_GCSPAN_H
#define SCALLOC_GCSPAN_H

#include "bits.h"

typedef enum { GC_NEW, GC_HOT, GC_RETIRED, GC_REUSABLE, GC_DEFERRED, GC_LARGE } gc_stage;
enum { GC_HELD = 8, GC_SHOWN = 16 };
#define GC_ALWAYS UINT32_MAX /* no cycle has this number: `swept` of UNCOLLECTABLE spans, `marked` of spans without marks */

typedef struct {
  uint32_t next, prev; /* in a list of its slot, under its lock */
  uint32_t first;      /* offset of block 0 */
  unsigned swept;      /* cycle */
  uint16_t slot, blocks;
  unsigned used;    /* alloc bits that are set */
  unsigned mutator; /* HOT: whose it is (mutator.h). LARGE: a number that the next block there does not have */
} gc_record;
_Static_assert(sizeof(gc_record) == sizeof(((span *)0)->lent), "the record fills what the core leaves to it");

always_inline gc_record *record_of(span *s) { return (gc_record *)(void *)s->lent; }
always_inline const gc_record *const_record_of(const span *s) { return (const gc_record *)(const void *)s->lent; }
always_inline gc_stage stage_of(word_t w) { return (gc_stage)(word_head(w) & 7); }
always_inline bool is_held(word_t w) { return (word_head(w) & GC_HELD) != 0; }
always_inline bool is_hidden(word_t w) { return (word_head(w) & (GC_HELD | GC_SHOWN)) == GC_HELD; }
always_inline gc_stage stage_now(const span *s) { return stage_of(word_load_acquire(&s->word)); }
always_inline scalloc_rt_marks *marking_of(const span *s) { return &bits.marks[span_index(s)]; }
always_inline volatile word_t *marks_of(const span *s) { return marking_of(s)->bits; }
always_inline volatile unsigned *marked_in(const span *s) { return &marking_of(s)->cycle; }
always_inline volatile word_t *allocs_of(const span *s) { return bits_of(bits.alloc, span_index(s)); }
always_inline volatile word_t *freeds_of(const span *s) { return bits_of(bits.freed, span_index(s)); }

/* HOT: no holes are left below this block. Its holder's. */
always_inline uint32_t *cursor_of(span *s) { return &s->bump; }

always_inline uint32_t first_of(const span *s) { return half_load_relaxed(&const_record_of(s)->first); }
always_inline char *block_at(const span *s, uint32_t i) { return span_start(s) + first_of(s) + (size_t)i * s->block; }

/* The slot of an address in a span that is lent, or of the run around it; NULL: none. */
span *gcspan_of_run(uint32_t index);
always_inline span *gcspan_of(const void *address) {
  size_t index = ((uintptr_t)address - arena.base) >> SPAN_SHIFT;
  if (index >= word_load_acquire(&bits.reach)) return NULL;
  span *s = span_at((uint32_t)index);
  return span_state_now(s) == SPAN_LENT ? s : gcspan_of_run((uint32_t)index);
}

always_inline bool is_swept(const gc_record *r, unsigned last) {
  unsigned swept = half_load_acquire(&r->swept);
  return swept == last || swept == GC_ALWAYS;
}

/* Freed by hand and not yet taken out, perhaps below 0; and blocks that are live, if the span is not hot. */
always_inline int32_t pending_of(word_t w) { return (int32_t)(word_count(w) << (32 - COUNT_BITS)) >> (32 - COUNT_BITS); }
always_inline uint32_t count_plus(word_t w, int32_t n) { return (word_count(w) + (uint32_t)n) & ((1u << COUNT_BITS) - 1); }
always_inline int32_t live_of(const span *s, word_t w) {
  return (int32_t)half_load_relaxed(&const_record_of(s)->used) - pending_of(w);
}

/* The word with another stage, the next generation. */
always_inline word_t word_with_stage(word_t w, gc_stage stage, bool held) {
  return word_next(w, SPAN_LENT, (uint32_t)stage | (held ? GC_HELD : 0u), word_count(w));
}

/* Holds a span, spinning while another does. */
void gcspan_hold(span *s);

/* Around hooks about a span, which is held or nobody else's: show gives the span that the calling thread was in a hook about
   before, for hide. hooked: the one that it is in a hook about now. */
span *gcspan_show(span *s);
void gcspan_hide(span *s, span *before);
const span *gcspan_hooked(void);

/* Lets go of it, in a stage, and takes `merged` frees by hand off the count. The word after it. */
word_t gcspan_let_go(span *s, gc_stage stage, uint32_t merged);

/* Held: takes what was freed by hand out of the alloc bits. How many. */
uint32_t gcspan_merge_freed(span *s);

/* Held: writes THE RULE down. `dead`, if not NULL: GC_WORDS words that get what it takes out of the alloc bits. True: it took
   something out. */
bool gcspan_update(span *s, unsigned running, unsigned last, word_t *dead);

/* Has the last complete cycle nothing left in it, so that it can go without a look at its bits? */
always_inline bool gcspan_is_dead(const span *s, unsigned last) {
  return !is_swept(const_record_of(s), last) && half_load_relaxed(marked_in(s)) != last;
}

/* Is block i allocated, by THE RULE and the frees by hand? Any time, without holding; waits for who holds a span that cycles
   sweep, but not for hooks. */
bool gcspan_has(const span *s, uint32_t i, unsigned last);

#endif
