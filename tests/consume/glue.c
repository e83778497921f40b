/* A program with a collected heap: of two objects the marked one lives. Also C++. */
#include <scalloc/runtime_glue.h>
#include <stdio.h>
#include <string.h>

int main(void) {
  scalloc_rt_heap *heap = scalloc_rt_heap_create(NULL);
  scalloc_rt_kind_conf pairs;
  scalloc_rt_ref kept, lost;
  size_t bytes = 0;
  if (heap == NULL) return 1;
  memset(&pairs, 0, sizeof pairs);
  pairs.size = sizeof pairs;
  pairs.flags = SCALLOC_RT_ZERO;
  pairs.name = "pair";
  int kind = scalloc_rt_kind_new(heap, &pairs);
  unsigned slot = scalloc_rt_slot(heap, kind, 2 * sizeof(void *), &bytes);
  scalloc_rt_mutator *m = scalloc_rt_attach(heap, NULL);
  if (kind < 0 || slot == SCALLOC_RT_NO_SLOT || m == NULL) return 2;
  void *one = scalloc_rt_alloc(m, slot, bytes), *other = scalloc_rt_alloc(m, slot, bytes);
  if (!scalloc_rt_resolve(heap, one, false, &kept) || !scalloc_rt_resolve(heap, other, false, &lost)) return 3;
  scalloc_rt_cycle_begin(heap);
  scalloc_rt_mark(kept);
  if (!scalloc_rt_is_marked(kept) || scalloc_rt_is_marked(lost)) return 4;
  scalloc_rt_cycle_end(heap);
  scalloc_rt_detach(m);
  scalloc_rt_heap_destroy(heap);
  puts("glue works");
  return 0;
}
