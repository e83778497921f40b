/*
 * blocks.h - the operations on blocks and heaps. Each takes its arguments from the input and runs on whichever thread calls it.
 */
#ifndef SCALLOC_TESTS_FUZZ_BLOCKS_H
#define SCALLOC_TESTS_FUZZ_BLOCKS_H

#include "model.h"

/* One block, or many of the same kind. */
void op_new(void);
void op_new_many(void);
void op_free(void);
void op_free_many(void);
void op_resize(void);
void op_resize_many(void);

/* The program uses all that usable_size grants; a resize has to keep it. */
void op_stretch(void);

/* Frees every block there is. */
void give_everything(void);

/* The first-class heap number i, made if there is none. */
scalloc_heap *heap_in_use(unsigned i);

/* Ends a heap with all its blocks. */
void drop_heap(unsigned i);
void drop_lua(unsigned i);

/* scalloc_lua_alloc on Lua heap number `heap` or, with `any`, on none. Without the Lua packaging: what of the core comes closest. */
void *lua_call(unsigned heap, bool any, void *at, size_t osize, size_t nsize);

#endif
