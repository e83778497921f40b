/* preload_names.h - what names.h is for the core: names of the replacement's own functions in the object code. */
#ifndef SCALLOC_PRELOAD_NAMES_H
#define SCALLOC_PRELOAD_NAMES_H

#define foreign_free scalloc_private_foreign_free
#define foreign_realloc scalloc_private_foreign_realloc
#define foreign_usable_size scalloc_private_foreign_usable_size
#define heap_map_begin scalloc_private_heap_map_begin
#define preload_free_slow scalloc_private_preload_free_slow
#define preload_malloc_slow scalloc_private_preload_malloc_slow
#define purger_begin scalloc_private_purger_begin

#endif
