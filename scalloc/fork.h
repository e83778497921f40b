/* fork.h - the child of a fork may use everything, whatever the other threads were doing. */
#ifndef SCALLOC_FORK_H
#define SCALLOC_FORK_H

#include "heap.h"

void fork_child(heap *mine); /* `mine`: the forking thread's heap, or NULL */

#endif
