/*
 * runs.h - free runs of contiguous spans, for blocks above 1 MB.
 *
 * Clean runs (their pages are zero) merge with clean neighbours and are split at will. Dirty ones, freed a moment ago, form a
 * small warm cache, used whole, until they are purged. One lock; no call to the OS
 * is made under it.
 */
#ifndef SCALLOC_RUNS_H
#define SCALLOC_RUNS_H

#include "span.h"

/* So much of freed runs stays warm at most, counted by whole blocks. Without a purge (a delay below 0) there is no bound. */
#define RUNS_WARM_BYTES ((size_t)256 << 20)

/* A run of at least `count` spans that will need `bytes`: a warm one, whatever its length, if about so much of it is dirty
   (`growing`: the dirtiest);
   else a clean one of just that length; 0: none. Its first slot is LARGE, `run` is its length, run_clean tells whether its
   pages are zero. */
uint32_t runs_take(uint32_t count, size_t bytes, bool growing);

/* A single span, out of a clean run or a warm run of one; its slot is LARGE like any run's. 0: none. */
uint32_t runs_take_single(void);

/* Gives a run back that is in nobody's hands. False: the warm cache is full, the caller makes room or purges the run. */
bool runs_give(uint32_t first, uint32_t count, bool clean);

/* Lengthens a run in use by taking `count` spans behind it, if a clean free run lies there. */
bool runs_extend(uint32_t end, uint32_t count);

/* Takes the oldest dirty run out of the cache if it was freed more than `age` ms ago: its first index, or 0. */
uint32_t runs_take_dirty(uint32_t now, uint32_t age);

bool runs_have_dirty(void); /* is the warm cache not empty? */
size_t runs_spans(void);    /* free spans in runs now */

void runs_reset(void); /* forgets all runs: the caller puts their spans elsewhere */

#endif
