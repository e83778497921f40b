/*
 * profile_write.h - the profile as a file that pprof reads: text, a line for each stack, then where the programs and libraries
 * lie; or folded stacks, which speedscope and flame graph tools read.
 */
#ifndef SCALLOC_PROFILE_WRITE_H
#define SCALLOC_PROFILE_WRITE_H

#include <stddef.h>
#include <stdint.h>

#include "preload_names.h"

enum { PROFILE_DEPTH = 48, PROFILE_SITES = 1 << 16 };

/* A stack that asked for memory: return addresses, the innermost first. Figures are of all blocks, as far as samples tell. */
typedef struct {
  uint32_t depth;
  uint32_t next; /* with the same hash, number + 1 */
  double live_blocks, live_bytes;
  double blocks, bytes; /* handed out in all */
  uintptr_t frames[PROFILE_DEPTH];
} profile_site;

typedef struct {
  profile_site *sites;
  uint32_t site_count;
  size_t lost; /* samples for which there was no room */
} profile_data;

/* Writes the file, of folded stacks if its name ends in .collapsed; or a line on stderr that says why not. */
void profile_write(const char *path, const profile_data *data);

#endif
