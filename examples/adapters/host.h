/*
 * host.h - what the three programs share beside their adapters: options, what scalloc counts, and the report.
 */
#ifndef SCALLOC_EXAMPLES_HOST_H
#define SCALLOC_EXAMPLES_HOST_H

#include <stdbool.h>
#include <stddef.h>

typedef struct host_options {
  bool plain;   /* the host's own allocator, to compare results with */
  bool brief;   /* one line */
  size_t limit; /* bytes for the part that runs out of memory; 0: left out */
  int work;     /* percent */
} host_options;

typedef struct host_report {
  const char *name;
  char result[400];       /* what the work printed: the same under every allocator */
  size_t live, committed; /* of scalloc after the work and a purge, before anything is closed */
  double close_us;        /* the host closes */
  double destroy_us;      /* the heap is destroyed with everything in it; negative: no heap of its own */
  char refused[120];      /* what the host says when it is out of memory */
  bool good;              /* all checks so far */
} host_report;

/* Reads the command line. After --help and after bad use the process ends. */
host_options host_read_options(int argc, char **argv, const char *name, size_t limit);

/* bytes.live of scalloc_stats_json. */
size_t host_live(void);

/* Notes, once, what is live beyond `before` and, after a purge, committed. */
void host_measure(host_report *report, size_t before);

double host_microseconds(void);

/* False, with one line on stderr, unless `condition`. */
bool host_check(bool condition, const char *program, const char *what);

/* Prints the report; the exit status of the program. */
int host_print(const host_report *report, const host_options *options);

#endif
