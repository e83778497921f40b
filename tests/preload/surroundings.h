/* surroundings.h - what /proc tells about the memory of this process and about the arena in it. */
#ifndef SCALLOC_TESTS_PRELOAD_SURROUNDINGS_H
#define SCALLOC_TESTS_PRELOAD_SURROUNDINGS_H

#include "own.h"

/* Mappings that lie where arenas do. */
static inline int arena_mappings(void) {
  char line[512];
  int n = 0;
  FILE *maps = fopen("/proc/self/maps", "r");
  CHECK(maps != NULL);
  while (fgets(line, sizeof line, maps)) n += is_ours((void *)strtoull(line, NULL, 16));
  fclose(maps);
  return n;
}

/* Resident memory and page tables, in kilobytes; page tables count where the kernel gives them back with what they map. */
static inline long footprint_kb(bool tables) { return rss_kb() + (tables ? pte_kb() : 0); }

#endif
