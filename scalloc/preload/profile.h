/*
 * profile.h - libscalloc_preload_profile.so: a sampling profile of the heap. Of all bytes handed out one in so many, on average, is
 * a sample, and with it the block that it lies in: its size and the functions that asked for it.
 */
#ifndef SCALLOC_PROFILE_H
#define SCALLOC_PROFILE_H

#include "preload.h"

/* Reads SCALLOC_PROFILE. Without it nothing is sampled. */
void profile_begin(void);

/* A block was handed out. */
void profile_took(const void *block, size_t size);

/* A block is about to be freed. */
void profile_gave(const void *block);

/* scalloc_realloc; the block counts as freed and handed out anew. */
void *profile_realloc(void *block, size_t size);

/* `block`, in this library told to the profile. */
always_inline void *profile_block(void *block, size_t size) {
  if (PROFILED && block != NULL) profile_took(block, size);
  return block;
}

#endif
