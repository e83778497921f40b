/*
 * purge.h - when and how the memory of empty spans goes back to the operating system.
 *
 * By age and in bulk: a span that has been empty for SCALLOC_PURGE_DELAY_MS loses its pages at the next slow path of anybody.
 * Whole 2 MB ranges, so that the kernel can free the page table too, and free cells of nursery spans.
 */
#ifndef SCALLOC_PURGE_H
#define SCALLOC_PURGE_H

#include "span.h"

/* On every slow path that gives or takes spans: purges what is old, if it is time and nobody else is at it. */
void purge_tick(void);

/* The life of a thread that purges what is old while the others sleep; it sleeps itself while there is nothing. */
_Noreturn void purge_forever(void);

/* Purges every empty span and run now; bytes given back. */
size_t purge_all(void);

/* Takes the pages of a run or span that nobody uses. False: the OS refused, the pages are as they were. */
bool purge_run(uint32_t first, uint32_t count);

/* The same for an empty span in the caller's hands, as its slot says from then on. */
bool purge_span(span *s);

/* The same for free cells of a nursery span. */
bool purge_part(char *start, size_t bytes);

/* Charges a span, or the run that it begins, up to `bytes`, making room by a purge once. False: over the limit, as before. */
bool purge_charge(span *s, size_t bytes);

/* Gives back a run of dirty spans that is in the caller's hands, its first slot telling how much is dirty and charged: to the
   warm cache, where the oldest make room for it, or purged. Tracked builds purge it at once, and nobody can reach it until it is taken again. */
void purge_keep_run(uint32_t first, uint32_t count);

/* Purges everything and turns the spans of the pool into runs, so that neighbours can serve large blocks. */
void purge_pool_into_runs(void);

size_t purge_count(void); /* times a run or span was purged */

#endif
