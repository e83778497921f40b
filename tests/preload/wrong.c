/* wrong.c - the negative control of conformance.sh: a library to be preloaded in which one thing is not as it should be. */
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

int posix_memalign(void **out, size_t alignment, size_t size) {
  *out = memalign(alignment, size);
  return *out ? 0 : errno; /* which may be changed, and so may *out */
}
