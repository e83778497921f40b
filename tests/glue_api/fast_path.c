/* fast_path.c - allocations for fast_path.sh to look at. */
#include <scalloc/runtime_glue.h>

void *hit_of_constants(scalloc_rt_mutator *m);
void *hit_of_variables(scalloc_rt_mutator *m, unsigned slot, size_t rounded);

void *hit_of_constants(scalloc_rt_mutator *m) { return scalloc_rt_alloc(m, 5, 64); }
void *hit_of_variables(scalloc_rt_mutator *m, unsigned slot, size_t rounded) { return scalloc_rt_alloc(m, slot, rounded); }
