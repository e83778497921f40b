/*
 * tools.h - what tracked builds tell the tools that watch memory: AddressSanitizer and Valgrind's memcheck. Nothing otherwise.
 *
 * For ASan all memory of a span that is carved and not a live block is poisoned, and so is what lies in a live block behind the
 * bytes asked for. Memory of blocks above 1 MB is poisoned only behind these: when such a block is freed its pages become
 * inaccessible, which costs no shadow memory.
 */
#ifndef SCALLOC_TOOLS_H
#define SCALLOC_TOOLS_H

#include "config.h"

#if TRACK_ASAN
#include <sanitizer/asan_interface.h>
#define unwatched __attribute__((no_sanitize("address"))) /* a function that reads poisoned memory */
#else
#define ASAN_POISON_MEMORY_REGION(start, bytes) ((void)(start), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(start, bytes) ((void)(start), (void)(bytes))
#define unwatched
#endif

#if TRACK_VALGRIND
#include <valgrind/memcheck.h>
#else
#define VALGRIND_MALLOCLIKE_BLOCK(start, bytes, redzone, zeroed) ((void)(zeroed))
#define VALGRIND_FREELIKE_BLOCK(start, redzone) ((void)(start))
#define VALGRIND_RESIZEINPLACE_BLOCK(start, old, new, redzone) ((void)(old), (void)(new))
#define VALGRIND_MAKE_MEM_DEFINED(start, bytes) ((void)(start), (void)(bytes))
#define VALGRIND_MAKE_MEM_NOACCESS(start, bytes) ((void)(start), (void)(bytes))
#define VALGRIND_DISABLE_ERROR_REPORTING ((void)0)
#define VALGRIND_ENABLE_ERROR_REPORTING ((void)0)
#endif

/* Around whatever the allocator does with memory that the program may not touch. */
always_inline void tool_pause(void) { VALGRIND_DISABLE_ERROR_REPORTING; }
always_inline void tool_resume(void) { VALGRIND_ENABLE_ERROR_REPORTING; }

/* The allocator is going to read and write this memory itself. */
always_inline void tool_access(void *start, size_t bytes) { ASAN_UNPOISON_MEMORY_REGION(start, bytes); }

/* The program knows that these bytes are zero. */
always_inline void tool_zeroed(void *start, size_t bytes) { VALGRIND_MAKE_MEM_DEFINED(start, bytes); }

/* Nobody else may touch it. */
always_inline void tool_unused(void *start, size_t bytes) {
  ASAN_POISON_MEMORY_REGION(start, bytes);
  VALGRIND_MAKE_MEM_NOACCESS(start, bytes);
}

/* The first `size` bytes of a block of `capacity` are the program's. */
always_inline void tool_handed_out(char *block, size_t size, size_t capacity) {
  VALGRIND_MALLOCLIKE_BLOCK(block, size, TRACK_TAIL, 0);
  tool_unused(block + size, capacity - size);
}

always_inline void tool_resized(char *block, size_t old, size_t size, size_t capacity) {
  VALGRIND_RESIZEINPLACE_BLOCK(block, old, size, TRACK_TAIL);
  tool_unused(block + size, capacity - size);
}

/* No byte of a block is the program's any more. */
always_inline void tool_taken_back(char *block, size_t capacity, bool large) {
  VALGRIND_FREELIKE_BLOCK(block, TRACK_TAIL);
  if (!large) tool_unused(block, capacity);
}

#endif
