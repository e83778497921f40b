/* heap_number.c - the number of the last cycle of a heap, which its public header does not show. */
#include "gcheap.h"

unsigned *heap_number(scalloc_rt_heap *heap);
unsigned *heap_number(scalloc_rt_heap *heap) { return &heap->number; }
