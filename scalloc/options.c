/*
 * options.c - parses SCALLOC_* without stdio, locale or allocation. A value that cannot be read is reported in one line and
 * ignored. Those of tracked builds are accepted by all, without effect in a plain one. Written before the first allocation by one
 * thread, read-only afterwards.
 */
#include "options.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "os.h"
#include "scalloc/scalloc.h"

option_values options = {
    .reuse_threshold = REUSE_THRESHOLD_DEFAULT,
    .purge_delay_ms = PURGE_DELAY_MS_DEFAULT,
    .quarantine = QUARANTINE_DEFAULT,
    .guard_sample = GUARD_SAMPLE_DEFAULT,
};

enum { ARENA_BYTES, LIMIT_BYTES, REUSE_THRESHOLD, PURGE_DELAY_MS, STATS, PURGE_THREAD, QUARANTINE, GUARD_SAMPLE, OPTIONS };

static const struct {
  const char *name;
  long min, max;
} known[OPTIONS] = {
    {"SCALLOC_ARENA_BYTES", 0, LONG_MAX},
    {"SCALLOC_LIMIT_BYTES", 0, LONG_MAX},
    {"SCALLOC_REUSE_THRESHOLD", 0, 100},
    {"SCALLOC_PURGE_DELAY_MS", -1, 1000000000},
    {"SCALLOC_STATS", 0, 3},
    {"SCALLOC_PURGE_THREAD", 0, 1},
    {"SCALLOC_QUARANTINE", 0, QUARANTINE_MAX},
    {"SCALLOC_GUARD_SAMPLE", 0, 1000000000},
};

_Static_assert(STATS_PROMETHEUS == 3, "the last format of SCALLOC_STATS");

static bool given[OPTIONS]; /* by scalloc_option_set: the environment does not override it */
static bool frozen;

static void store(int option, long value) {
  switch (option) {
  case ARENA_BYTES:
    options.arena_bytes = (size_t)value;
    break;
  case LIMIT_BYTES:
    options.limit_bytes = (size_t)value;
    break;
  case REUSE_THRESHOLD:
    options.reuse_threshold = (unsigned)value;
    break;
  case PURGE_DELAY_MS:
    options.purge_delay_ms = value;
    break;
  case PURGE_THREAD:
    options.purge_thread = value != 0;
    break;
  case GUARD_SAMPLE:
    options.guard_sample = (unsigned)value;
    break;
  case QUARANTINE:
    options.quarantine = (unsigned)value;
    break;
  default:
    options.stats = (stats_format)value;
    break;
  }
}

/* A whole decimal number, optionally negative. */
static bool parse(const char *text, long *value) {
  bool negative = *text == '-';
  long n = 0;
  if (negative) text++;
  if (!*text) return false;
  for (; *text; text++) {
    if (*text < '0' || *text > '9' || n > (LONG_MAX - (*text - '0')) / 10) return false;
    n = n * 10 + (*text - '0');
  }
  *value = negative ? -n : n;
  return true;
}

static void complain(const char *name, const char *text) {
  char line[200];
  size_t n = 0;
  const char *parts[] = {"scalloc: ", name, "=", text, " is not a value this option can have; ignored"};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    for (const char *c = parts[i]; *c && n < sizeof line - 2; c++) line[n++] = *c;
  line[n++] = '\n';
  os_write_stderr(line, n);
}

void options_freeze(void) {
  if (frozen) return;
  frozen = true;
  for (int i = 0; i < OPTIONS; i++) {
    const char *text = given[i] ? NULL : os_environment(known[i].name);
    long value;
    if (!text) continue;
    if (parse(text, &value) && value >= known[i].min && value <= known[i].max)
      store(i, value);
    else
      complain(known[i].name, text);
  }
}

bool scalloc_option_set(const char *name, long value) {
  for (int i = 0; i < OPTIONS && !frozen; i++) {
    if (strcmp(name, known[i].name) != 0 || value < known[i].min || value > known[i].max) continue;
    given[i] = true;
    store(i, value);
    return true;
  }
  errno = EINVAL;
  return false;
}
