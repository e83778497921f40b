/*
 * cells.h - cells: nursery spans cut into 64 pieces of 32 KB.
 *
 * A cell is in the hands of one heap at a time, as the memory it is born in (then the heap's structure lies at its beginning) or
 * as more of it (then a cell_more does). It is the unit of ownership and of purge; its span goes to the pool with its last cell.
 * Which cells are in use, backed, or begin with a heap is three words of the slot.
 */
#ifndef SCALLOC_CELLS_H
#define SCALLOC_CELLS_H

#include "span.h"

enum { CELL_SHIFT = 15, CELLS = 1 << (SPAN_SHIFT - CELL_SHIFT) };
#define CELL_BYTES ((size_t)1 << CELL_SHIFT)
#define CELLS_ALL (~(word_t)0)
_Static_assert(CELLS == 64, "a set of cells is one word");

/* What a cell begins with that is not the first of its heap. */
typedef struct {
  char *next; /* another one */
  struct scalloc_heap *heap;
  uint64_t starts[CELL_BYTES / GRANULE / 64]; /* a bit for each granule: does a block begin there? */
} cell_more;

always_inline char *cell_of(const void *address) {
  return (char *)arena.base + (((uintptr_t)address - arena.base) & ~(CELL_BYTES - 1));
}
always_inline word_t cell_bit(const void *address) {
  return (word_t)1 << (((uintptr_t)address - arena.base) >> CELL_SHIFT & (CELLS - 1));
}
always_inline unsigned cell_granule(const void *address) {
  return (unsigned)((((uintptr_t)address - arena.base) & (CELL_BYTES - 1)) >> GRANULE_SHIFT);
}
always_inline void cell_note_start(uint64_t *starts, const void *at) {
  starts[cell_granule(at) / 64] |= (uint64_t)1 << cell_granule(at) % 64;
}
always_inline char *cell_at(const span *s, unsigned number) { return span_start(s) + ((size_t)number << CELL_SHIFT); }
always_inline unsigned cells_in(word_t set) { return (unsigned)__builtin_popcountll(set); }

/* The heap that has the cell of an address in a nursery span; NULL: none. */
always_inline struct scalloc_heap *cell_heap(const span *s, const void *address) {
  char *cell = cell_of(address);
  if (!(word_load_acquire(&s->cells) & cell_bit(cell))) return NULL;
  if (word_load_acquire(&s->cell_heads) & cell_bit(cell)) return (struct scalloc_heap *)(void *)cell;
  return ((cell_more *)(void *)cell)->heap;
}

/* A cell that nobody has, its content anything, charged; NULL: no memory. Any thread. */
char *cells_take(void);

/* The structure of a live heap begins here now. */
void cells_mark_head(const char *cell);

/* Gives a cell back, dirty. */
void cells_give(const char *cell);

/* Takes the pages of free cells whose span has lost none for `age` ms; returns bytes. */
size_t cells_purge(uint32_t now, uint32_t age);

/* Nursery spans that have a free cell. */
size_t cells_with_room(void);

/* ---- for the child of a fork, where only the calling thread is left (fork.c) ---- */

void cells_reset(void);

/* The cells of a nursery span that are in use; false: none, the span is no longer one. */
bool cells_restore(span *s, word_t in_use);

#endif
