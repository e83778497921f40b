/*
 * arena.h - the one reservation that everything lives in, and the arithmetic between addresses, span indices and slots.
 *
 *   [ guard | span table: a slot per span | guard | heap structures | guard | arena: virtual spans of 2 MB ]
 *
 * Tracked builds have two zones more in front of the arena: notes, 32 bits for each granule of 8 bytes (link.h), and the live
 * map, one bit for each (live.h). The zones are reserved without access and opened from the left in steps, so the number of
 * mappings stays constant. Nothing is ever given back to the OS as address space; a slot or a heap structure, once opened, stays
 * readable for the life of the process. Index 0 is never handed out and means "none"; its slot is the signpost (signpost.h).
 */
#ifndef SCALLOC_ARENA_H
#define SCALLOC_ARENA_H

#include "atomics.h"
#include "config.h"

typedef struct {
  uintptr_t base;           /* address of span 0                              read-only after arena_init */
  char *table;              /* address of slot 0                              read-only after arena_init */
  volatile word_t opened;   /* bytes of the arena that may be touched          grows, any thread */
  volatile word_t next;     /* index of the first span never handed out       grows, any thread */
  char *heaps;              /* address of heap structure 0                    read-only after arena_init */
  uint32_t spans;           /* all there are                                  read-only after arena_init */
  volatile unsigned *notes; /* tracked builds: the note of granule 0         read-only after arena_init */
  volatile word_t *live;    /* tracked builds: the live map                  read-only after arena_init */
} arena_state;

extern internal arena_state arena aligned_to(CACHE_LINE);

/* Makes the reservation, once; other threads wait. False and ENOMEM if the OS refuses even the smallest. Constant. */
private_api bool arena_init(void);

/* In the child of a fork that came while another thread was making the reservation: it will be made anew. */
void arena_after_fork(void);

/* The first of `count` contiguous spans that were never used, opened; 0 when the arena is full or the OS refuses. */
uint32_t arena_take(uint32_t count);

/* Extends a run that ends at the high-water mark by `count` spans, if it still does. */
bool arena_extend(uint32_t end, uint32_t count);

/* Zeroed memory for heap structures, `bytes` a multiple of a cache line; never given back. NULL when refused. */
void *arena_metadata(size_t bytes);

/* Charges memory about to be committed against SCALLOC_LIMIT_BYTES. False: over the limit, nothing charged. */
bool arena_charge(size_t bytes);
void arena_discharge(size_t bytes);

/* Sets what is charged in all: in the child of a fork, where a thread may have vanished between a charge and its span. */
void arena_recharge(size_t bytes);

always_inline uint32_t arena_high_water(void) { return (uint32_t)word_load_acquire(&arena.next); }
always_inline bool arena_is_scarce(void) { return arena_high_water() > arena.spans / 2; }
always_inline bool arena_is_roomy(void) { return arena.spans >= GROWING_ARENA >> SPAN_SHIFT; }
always_inline char *arena_span_start(uint32_t index) { return (char *)arena.base + ((size_t)index << SPAN_SHIFT); }

#endif
