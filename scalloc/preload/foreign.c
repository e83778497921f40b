/*
 * foreign.c - tells blocks of glibc's malloc by the two words in front of them: size of the block before, own size, and three
 * bits in the latter. What the words say must fit together, as glibc itself would ask of it before it took the block back. Memory
 * that may not be there is not touched.
 */
#include "foreign.h"

#include <errno.h>

#include "atomics.h"
#include "fault.h"
#include "os.h"

extern void libc_free(void *block) __asm__("__libc_free") __attribute__((weak));
extern void *libc_realloc(void *block, size_t size) __asm__("__libc_realloc") __attribute__((weak));

enum { PREVIOUS_IN_USE = 1, MAPPED = 2, FLAGS = 7, HEADER = 2 * sizeof(size_t), CHUNK_MIN = 4 * sizeof(size_t) };

static size_t size_word(const char *chunk) { return *(const size_t *)(const void *)(chunk + sizeof(size_t)); }

/* The size of the chunk, header included, if the block is one of glibc's in use; else 0. */
static size_t glibc_size(const void *block) {
  const char *chunk = (const char *)block - HEADER;
  if (libc_free == NULL || libc_realloc == NULL || (uintptr_t)block % HEADER != 0 || !os_readable(chunk)) return 0;
  size_t before = *(const size_t *)(const void *)chunk, head = size_word(chunk), size = head & ~(size_t)FLAGS;
  if (size < CHUNK_MIN || size > PTRDIFF_MAX) return 0;
  if (head & MAPPED) { /* a mapping of its own, from `before` bytes in front of it */
    bool whole = ((uintptr_t)chunk - before) % os_page_size() == 0 && (before + size) % os_page_size() == 0;
    return whole ? size : 0;
  }
  const char *next = chunk + size;
  if (size % HEADER != 0 || !os_readable(next) || !(size_word(next) & PREVIOUS_IN_USE)) return 0;
  return size;
}

/* A block of nobody we know. */
static void unknown(const void *block) {
  static volatile word_t warned;
  if (TRACKED) fault_outside(block);
  if (word_load_relaxed(&warned) == 0 && word_cas_full(&warned, 0, 1))
    os_report("foreign pointer", block, "neither of this allocator nor of the C library; left alone, as are those that follow");
}

void foreign_free(void *block) {
  int saved = errno;
  if (glibc_size(block) != 0)
    libc_free(block);
  else
    unknown(block);
  errno = saved;
}

void *foreign_realloc(void *block, size_t size) {
  if (glibc_size(block) != 0) return libc_realloc(block, size);
  unknown(block);
  if (size != 0) errno = ENOMEM; /* its size is not known: there is nothing to copy */
  return NULL;
}

size_t foreign_usable_size(const void *block) {
  size_t size = glibc_size(block);
  if (size == 0) {
    unknown(block);
    return 0;
  }
  return size - (size_word((const char *)block - HEADER) & MAPPED ? HEADER : sizeof(size_t));
}
