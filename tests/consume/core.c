/* A program that uses the core alone: compiled and linked in every way there is. Also C++. */
#include <scalloc/scalloc.h>
#include <stdio.h>
#include <string.h>

int main(void) {
  char *text = (char *)scalloc_malloc(100);
  scalloc_heap *heap = scalloc_heap_new();
  scalloc_block found;
  if (text == NULL || heap == NULL || scalloc_heap_malloc(heap, 5000) == NULL) return 1;
  memset(text, 'a', 100);
  if (!scalloc_find(text + 50, &found) || found.start != text || !found.live) return 2;
  scalloc_free(text);
  scalloc_heap_destroy(heap);
  if (!scalloc_check(NULL, 0)) return 3;
  puts("core works");
  return 0;
}
