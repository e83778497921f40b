/*
 * heap_map.h - scalloc-run --heap-map: a process that ends has scalloc-top write a page of its heap.
 */
#ifndef SCALLOC_HEAP_MAP_H
#define SCALLOC_HEAP_MAP_H

#include "preload_names.h"

/* Notes what scalloc-run asked for, before the program can change its environment. */
void heap_map_begin(void);

#endif
