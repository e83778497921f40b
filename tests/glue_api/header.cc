/* header.cc - runtime_glue.h in C++: it compiles, links, and works. */
#include <scalloc/runtime_glue.h>

#include <cstdio>
#include <cstring>

static bool counted(void *ud, scalloc_rt_span, const scalloc_rt_span_info *info, enum scalloc_rt_why why) {
  if (why == SCALLOC_RT_DEAD && info->blocks > 1) ++*static_cast<int *>(ud);
  return true;
}

int main() {
  int released = 0;
  scalloc_rt_heap_conf conf = scalloc_rt_heap_conf();
  conf.size = sizeof conf;
  conf.hooks.span_release = counted;
  conf.ud = &released;
  scalloc_rt_heap *heap = scalloc_rt_heap_create(&conf);
  scalloc_rt_kind_conf kind = scalloc_rt_kind_conf();
  kind.size = sizeof kind;
  kind.flags = SCALLOC_RT_NOSCAN | SCALLOC_RT_ZERO;
  if (!heap || scalloc_rt_kind_new(heap, &kind) != 0) return 1;
  std::size_t rounded = 0;
  unsigned slot = scalloc_rt_slot(heap, 0, sizeof(double) * 5, &rounded);
  scalloc_rt_mutator *mutator = scalloc_rt_attach(heap, nullptr);
  if (slot == SCALLOC_RT_NO_SLOT || !mutator) return 2;
  double *numbers = static_cast<double *>(scalloc_rt_alloc(mutator, slot, rounded));
  scalloc_rt_ref ref = {0, 0};
  if (!numbers || numbers[4] != 0 || !scalloc_rt_resolve(heap, numbers + 2, true, &ref)) return 3;
  if (scalloc_rt_block(ref, nullptr) != numbers) return 4;
  scalloc_rt_detach(mutator);
  scalloc_rt_cycle_begin(heap);
  scalloc_rt_cycle_end(heap);
  if (scalloc_rt_sweep(heap, nullptr, 10) != 1 || released != 1) return 5;
  scalloc_rt_heap_destroy(heap);
  std::puts("ok");
  return 0;
}
