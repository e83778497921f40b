/* mark.h: tracing on libscalloc_runtime. One cycle: mark_begin, mark_root for every root, mark_run; mutators stopped all the while.
 *
 * An object is marked when a pointer to it is first seen. Between that and reading it, it waits on the mark stack and then, with
 * its first line being fetched, in a short queue.
 */
#ifndef MARK_H
#define MARK_H

#include <scalloc/runtime_glue.h>

enum { MARK_LONGEST_QUEUE = 256 };

/* `markers` threads in all; `queue` objects are fetched ahead, a power of two, 1 = none. Ends the program if it cannot. */
void mark_setup(scalloc_rt_heap *heap, unsigned markers, unsigned queue);

/* What is marked and scanned of a span's blocks: the word that goes into its cookie. */
uintptr_t mark_descriptor(size_t block_size, size_t pointers);

/* After scalloc_rt_cycle_begin. */
void mark_begin(void);

void mark_root(void *object);

/* Marks everything that can be reached. Objects and bytes marked since the last call, roots included. */
struct mark_sum {
  uint64_t objects, bytes;
};
struct mark_sum mark_run(void);

#endif
