/* A program with blocks that hold objects of libgc. */
#include <gc.h>
#include <scalloc/boehm.h>
#include <stdio.h>

int main(void) {
  GC_INIT();
  scalloc_boehm_heap *heap = scalloc_boehm_heap_new();
  if (heap == NULL) return 1;
  int **held = scalloc_boehm_malloc(heap, sizeof *held);
  if (held == NULL) return 2;
  *held = GC_MALLOC(sizeof **held);
  **held = 42;
  GC_gcollect();
  if (**held != 42) return 3;
  scalloc_boehm_free(heap, held);
  scalloc_boehm_heap_destroy(heap);
  puts("boehm works");
  return 0;
}
