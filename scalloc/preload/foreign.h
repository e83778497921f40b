/*
 * foreign.h - blocks of another malloc that reach the replacement: of a plugin loaded with RTLD_DEEPBIND, which calls the C
 * library's malloc and passes the block on; of a caller of __libc_malloc; of whoever was there first.
 *
 * A block that looks like one of glibc's goes back to glibc. Any other is left alone, with one line on stderr for the first; in
 * tracked builds it ends the process, as every foreign pointer does in the core.
 */
#ifndef SCALLOC_FOREIGN_H
#define SCALLOC_FOREIGN_H

#include <stddef.h>

#include "preload_names.h"

void foreign_free(void *block);                  /* keeps errno */
void *foreign_realloc(void *block, size_t size); /* stays with its allocator; NULL and ENOMEM */
size_t foreign_usable_size(const void *block);   /* 0 if nobody's */

#endif
