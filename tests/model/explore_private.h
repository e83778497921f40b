/* explore_private.h - between the explorer, the answers to instrumented accesses (plain.c) and the model's OS (os_model.c). */
#ifndef SCALLOC_TESTS_EXPLORE_PRIVATE_H
#define SCALLOC_TESTS_EXPLORE_PRIVATE_H

#include "explore.h"

/* A plain load or store of the running thread comes next. */
void model_plain_read(const void *address, size_t bytes);
void model_plain_write(void *address, size_t bytes);

/* The running thread waits for any change of memory. */
void model_yield(void);

/* Is this memory of the allocator (and not a stack)? */
bool model_tracks(const volatile void *address);

/* Is it a lock that is taken by a change from 0 to 1 and given by a store? */
bool model_is_lock(const volatile void *address);
extern bool (*model_other_lock)(const volatile void *address); /* of a packaging; NULL: it has none */

/* A name for an address of the allocator, for a trace. */
const char *model_describe(const volatile void *address);

/* Called by the OS before it takes the pages of spans away. */
extern void (*model_on_purge)(char *start, size_t bytes);

#endif
