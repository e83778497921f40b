/* model_ops.h - the operations that atomics_model.h makes of the atomic ones: each is a step of the explorer. */
#ifndef SCALLOC_TESTS_MODEL_OPS_H
#define SCALLOC_TESTS_MODEL_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

uint64_t model_load(const volatile void *address, unsigned size);
void model_store(volatile void *address, unsigned size, uint64_t value);
bool model_compare_and_swap(volatile void *address, uint64_t old, uint64_t new);

enum model_update { MODEL_ADD, MODEL_OR, MODEL_AND };
uint64_t model_fetch(volatile void *address, enum model_update update, uint64_t operand); /* the value before */

void model_relax(void);
void *model_memset(void *to, int byte, size_t bytes);

#endif
