/*
 * input.h - the bytes of an input, taken one after the other as the arguments of operations. What is not there reads as 0.
 */
#ifndef SCALLOC_TESTS_FUZZ_INPUT_H
#define SCALLOC_TESTS_FUZZ_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void input_begin(const uint8_t *data, size_t size);

/* There are bytes left, and the input has not cost too much yet. */
bool input_goes_on(void);

/* The operation touches about so many bytes. False: the input has cost too much. */
bool afford(size_t bytes);

unsigned take(void);    /* a byte */
size_t take_wide(void); /* two */

/* The size of a block: small, at the bound of a size class, any, large, vast, or impossible. */
size_t take_size(void);

/* No allocator could serve it. */
bool is_impossible(size_t size);

/* Up to 8 MB; or more than any arena has; or no power of two. */
size_t take_alignment(void);

/* The number of a live block, one of the latest or any; 0 if there is none. */
size_t take_block(void);

/* How often: 1 to 1,024 times. */
unsigned take_count(void);

#endif
