/* gdb_subject.c - a heap whose every address is known, for gdb.sh: it stops where everything is in place. */
#include <scalloc/scalloc.h>
#include <stdlib.h>
#include <string.h>

void *live, *freed, *freed_first, *large, *own;

__attribute__((noinline)) static void here(void) { __asm__ volatile("" ::: "memory"); }

int main(int argc, char **argv) {
  live = scalloc_malloc(100);
  freed = scalloc_malloc(100);
  freed_first = scalloc_malloc(100);
  large = scalloc_malloc(5 << 20);
  scalloc_heap *heap = scalloc_heap_new();
  if (!live || !freed || !freed_first || !large || !heap || !(own = scalloc_heap_malloc(heap, 3000))) return 1;
  memset(large, 1, 5 << 20);
  scalloc_free(freed_first);
  scalloc_free(freed);
  if (argc > 1 && strcmp(argv[1], "abort") == 0) abort();
  here();
  scalloc_heap_destroy(heap);
  scalloc_free(large);
  scalloc_free(live);
  return 0;
}
