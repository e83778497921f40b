/*
 * fault.h - tracked builds: the ends that a program with a memory fault comes to. Each function prints its one line and aborts.
 */
#ifndef SCALLOC_FAULT_H
#define SCALLOC_FAULT_H

#include "span.h"

typedef enum { USE_FREE, USE_REALLOC, USE_SIZE } block_use; /* what the program wanted to do with it */

/* `address` is in the arena, but no live block starts there: says what is there instead. */
_Noreturn void fault_no_block(const void *address, block_use use);

_Noreturn void fault_outside(const void *address); /* not in the arena at all */
_Noreturn void fault_overflow(const char *block, size_t size, size_t at);
_Noreturn void fault_underflow(const char *block, size_t before);
_Noreturn void fault_late_write(const char *block, size_t bytes, size_t at);
_Noreturn void fault_size(const char *block, size_t size, size_t said);
_Noreturn void fault_heap(const char *block);

/* A touch of memory that is closed: of a guarded block, or of free memory of a large one (`block` NULL). */
_Noreturn void fault_access(const char *address, const char *block, size_t size, bool live);

#endif
