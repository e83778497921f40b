/*
 * preload.c - malloc, free and their family: what libscalloc_preload.so and libscalloc_override.a put in place of the C library's.
 *
 * Semantics are glibc's where programs depend on them; docs/malloc.md lists them. Nothing here or below calls dlsym, stdio or
 * anything that allocates before a block is handed out, so that the dynamic linker and constructors may call it at any time.
 */
#include "preload.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "foreign.h"
#include "heap_map.h"
#include "os.h"
#include "profile.h"
#include "scalloc/scalloc.h"

/* C23, which the C library's headers may not declare yet. */
void free_sized(void *block, size_t size);
void free_aligned_sized(void *block, size_t alignment, size_t size);

never_inline void *preload_malloc_slow(size_t size) {
  if (TRACKED) return track_allocate(NULL, 16, size);
  heap *h = thread_use();
  if (h == NULL) return NULL;
  void *block = heap_allocate(h, size);
  thread_done(h);
  return profile_block(block, size);
}

never_inline void preload_free_slow(void *block, size_t size) {
  if (block == NULL) return;
  if (PROFILED) profile_gave(block);
  if (!span_has(block))
    foreign_free(block);
  else if (TRACKED)
    track_free(NULL, block, size);
  else
    heap_free_any(thread_heap_or_null(), block);
}

__attribute__((constructor)) static void begin(void) {
  heap_map_begin();
  if (PROFILED) profile_begin(); /* before the thread, whose handlers of a fork are to come after the profile's */
  purger_begin();
}

exported void *malloc(size_t size) { return preload_malloc(size); }

exported void free(void *ptr) { preload_free(ptr, ANY_SIZE); }

exported void free_sized(void *block, size_t size) { preload_free(block, size); }

exported void free_aligned_sized(void *block, size_t alignment, size_t size) {
  (void)alignment;
  preload_free(block, size);
}

exported void *calloc(size_t nmemb, size_t size) {
  size_t bytes;
  bool whole = !__builtin_mul_overflow(nmemb, size, &bytes);
  if (WATCHED || !whole || bytes > DIRECT_MAX) return profile_block(scalloc_calloc(nmemb, size), bytes);
  void *block = preload_malloc(bytes);
  return likely(block != NULL) ? memset(block, 0, bytes) : NULL;
}

exported void *realloc(void *ptr, size_t size) {
  if (ptr == NULL) return preload_malloc(size);
  if (unlikely(!span_has(ptr))) return profile_block(foreign_realloc(ptr, size), size);
  return PROFILED ? profile_realloc(ptr, size) : scalloc_realloc(ptr, size);
}

exported void *reallocarray(void *ptr, size_t nmemb, size_t size) {
  size_t bytes;
  if (!__builtin_mul_overflow(nmemb, size, &bytes)) return realloc(ptr, bytes);
  errno = ENOMEM;
  return NULL;
}

/* ---- alignment -------------------------------------------------------------------------------------------------------- */

static bool is_power_of_two(size_t n) { return n != 0 && (n & (n - 1)) == 0; }

exported int posix_memalign(void **memptr, size_t alignment, size_t size) {
  if (!is_power_of_two(alignment) || alignment < sizeof(void *)) return EINVAL;
  int saved = errno;
  void *block = profile_block(scalloc_aligned_alloc(alignment, size), size);
  errno = saved;
  if (block == NULL) return ENOMEM;
  *memptr = block;
  return 0;
}

exported void *aligned_alloc(size_t alignment, size_t size) {
  return profile_block(scalloc_aligned_alloc(alignment, size), size);
}

/* Rounds the alignment up to a power of two. */
exported void *memalign(size_t alignment, size_t size) {
  if (alignment > SIZE_MAX / 2 + 1) {
    errno = EINVAL;
    return NULL;
  }
  size_t power = 16;
  while (power < alignment) power *= 2;
  return profile_block(scalloc_aligned_alloc(power, size), size);
}

exported void *valloc(size_t size) { return profile_block(scalloc_aligned_alloc(os_page_size(), size), size); }

exported void *pvalloc(size_t size) {
  size_t page = os_page_size(), rounded;
  if (__builtin_add_overflow(size, page - 1, &rounded)) {
    errno = ENOMEM;
    return NULL;
  }
  return profile_block(scalloc_aligned_alloc(page, rounded & ~(page - 1)), rounded & ~(page - 1));
}

/* ---- what is known of a block, and memory as a whole ------------------------------------------------------------------ */

exported size_t malloc_usable_size(void *ptr) {
  if (ptr == NULL) return 0;
  return span_has(ptr) ? scalloc_usable_size(ptr) : foreign_usable_size(ptr);
}

/* `pad`, the memory to keep at the top of glibc's heap, means nothing here. */
exported int malloc_trim(size_t pad) {
  (void)pad;
  return scalloc_purge() > 0;
}

/* The parameters of glibc's malloc are accepted, and change nothing. */
exported int mallopt(int param, int val) {
  (void)param, (void)val;
  return 1;
}

/* The JSON of SCALLOC_STATS, on stderr. Here, so that whoever links malloc from the static library has the report at exit, too. */
exported void malloc_stats(void) {
  char text[1024];
  size_t n = scalloc_stats_json(text, sizeof text - 1);
  if (n >= sizeof text - 1) n = sizeof text - 2;
  text[n++] = '\n';
  os_write_stderr(text, n);
}
