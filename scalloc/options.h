/* options.h - the settings of a process: defaults, then the environment, then scalloc_option_set; frozen at first use. */
#ifndef SCALLOC_OPTIONS_H
#define SCALLOC_OPTIONS_H

#include "config.h"

typedef enum { STATS_NONE, STATS_JSON, STATS_TEXT, STATS_PROMETHEUS } stats_format;

typedef struct {
  size_t arena_bytes;       /* upper bound of the reservation; 0 = as much as there is */
  size_t limit_bytes;       /* of committed memory; 0 = none */
  unsigned reuse_threshold; /* percent */
  long purge_delay_ms;      /* 0 = at once, -1 = never */
  stats_format stats;       /* to stderr at exit */
  bool purge_thread;        /* the malloc replacements: a thread of their own purges */
  unsigned quarantine;      /* tracked builds: freed blocks a heap holds back */
  unsigned guard_sample;    /* tracked builds: one in so many blocks is guarded; 0 = none */
} option_values;

extern internal option_values options; /* read-only after options_freeze */

/* Reads the environment, once; later calls do nothing. Called by the thread that sets the arena up. */
void options_freeze(void);

#endif
