/*
 * lend.h - whole spans for a packaging that lays out their blocks itself (runtime_glue). The core keeps the state LENT, what is
 * dirty and what is charged; of the slot the borrower may use `owner`, `block`, `first`, `class_index`, `reusable_below`, `free`, `bump`, `limit`,
 * `lent`, and the head and count of the word. `run` is 1, or the length of a run.
 */
#ifndef SCALLOC_LEND_H
#define SCALLOC_LEND_H

#include "scalloc/scalloc.h"
#include "span.h"

/* What the core asks the borrower. All without locks; exact at a quiescent point. */
typedef struct {
  /* HOT, FLOATING, REUSABLE or LARGE: how statistics count the span; *live: bytes of live blocks. */
  span_state (*state)(const span *s, size_t *live);
  /* As scalloc_find, for an address in a lent span (or run, s its first). */
  bool (*find)(const span *s, const void *address, scalloc_block *out);
  /* What is wrong with it, or NULL. */
  const char *(*fault)(const span *s);
} lend_borrower;

/* The one there is; before it borrows, and not before the arena is made. Where the arena lies, for a library of its own: base,
   table, heaps and spans, which do not change. */
private_api arena_state lend_register(const lend_borrower *borrower);
const lend_borrower *lend_registered(void);

/*
 * An empty span, charged for `bytes` and LENT to `owner`, whose pages from `dirty` on are zero. Its owner, `lent` and `free`
 * are set before the state: whoever sees LENT sees them. NULL: no memory.
 */
private_api span *lend_span(uint32_t hint, size_t bytes, word_t owner);

/* A run for `bytes`, all of it zero if *zeroed, at a multiple of `alignment`. */
private_api span *lend_run(size_t bytes, size_t alignment, word_t owner, bool *zeroed);

/* No run can have more bytes, whatever is in use: the arena, and the limit of the process. */
private_api size_t lend_most(void);

/* Ends either. `dirty` of a single span must be true: nothing beyond it was written. */
private_api void lend_return(span *s, uint32_t hint);

#endif
