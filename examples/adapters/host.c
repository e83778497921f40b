/*
 * host.c - options and report of the programs beside it.
 */
#include "host.h"

#include <scalloc/scalloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char usage[] = "usage: %s [--plain] [--brief] [--limit=BYTES] [--work=PERCENT] | --help\n";

static void help(const char *name, size_t limit) {
  printf(usage, name);
  printf("  --plain         the host's own allocator instead of scalloc; prints the results only\n"
         "  --brief         one line\n"
         "  --limit=BYTES   memory for the part that must run out of it, at least 262144; 0 leaves it out (default %zu)\n"
         "  --work=PERCENT  how much is done, 1 to 1000 (default 100)\n"
         "Exit status: 0 everything was as it should be, 1 something was not, 2 bad use.\n",
         limit);
}

/* The number behind "--name=" in `word`; ends the process if it is not one from `least` to `most`. */
static unsigned long long number(const char *program, const char *word, unsigned long long least, unsigned long long most) {
  const char *digits = strchr(word, '=') + 1;
  char *end;
  unsigned long long value = strtoull(digits, &end, 10);
  if (*digits >= '0' && *digits <= '9' && *end == 0 && value >= least && value <= most) return value;
  fprintf(stderr, "%s: '%s': a whole number from %llu to %llu\n", program, word, least, most);
  exit(2);
}

host_options host_read_options(int argc, char **argv, const char *name, size_t limit) {
  host_options options = {.limit = limit, .work = 100};
  for (int i = 1; i < argc; i++) {
    const char *word = argv[i];
    if (strcmp(word, "--help") == 0) {
      help(name, limit);
      exit(0);
    }
    if (strcmp(word, "--plain") == 0) {
      options.plain = true;
    } else if (strcmp(word, "--brief") == 0) {
      options.brief = true;
    } else if (strncmp(word, "--limit=", 8) == 0) {
      options.limit = strcmp(word, "--limit=0") == 0 ? 0 : (size_t)number(name, word, 1ull << 18, 1ull << 30);
    } else if (strncmp(word, "--work=", 7) == 0) {
      options.work = (int)number(name, word, 1, 1000);
    } else {
      fprintf(stderr, "%s: no option '%s'\n", name, word);
      fprintf(stderr, usage, name);
      exit(2);
    }
  }
  return options;
}

/* The number of a key that occurs once in scalloc_stats_json. */
static size_t counted(const char *key) {
  char json[1024];
  if (scalloc_stats_json(json, sizeof json) >= sizeof json) return (size_t)-1;
  const char *at = strstr(json, key);
  return at == NULL ? (size_t)-1 : (size_t)strtoull(at + strlen(key), NULL, 10);
}

size_t host_live(void) { return counted("\"live\":"); }

void host_measure(host_report *report, size_t before) {
  if (report->committed != 0) return;
  scalloc_purge();
  report->live = host_live() - before;
  report->committed = counted("\"committed\":");
}

double host_microseconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

bool host_check(bool condition, const char *program, const char *what) {
  if (!condition) fprintf(stderr, "%s: not as it should be: %s\n", program, what);
  return condition;
}

static void print_brief(const host_report *r) {
  printf("%s: %.1f MB live in %.1f MB; closed in %.0f us", r->name, (double)r->live / 1e6, (double)r->committed / 1e6,
         r->close_us);
  if (r->destroy_us >= 0) printf(", ended with its heap in %.0f us", r->destroy_us);
  if (r->refused[0] != 0) printf("; short of memory it says \"%s\" and goes on", r->refused);
  printf("; %s\n", r->good ? "nothing is left" : "NOT as it should be");
}

static void print_long(const host_report *r) {
  printf("memory: %zu bytes live, %zu committed\n", r->live, r->committed);
  printf("end: closed in %.0f us\n", r->close_us);
  if (r->destroy_us >= 0) printf("end: not closed, but its heap destroyed, in %.0f us\n", r->destroy_us);
  if (r->refused[0] != 0) printf("short of memory: it says \"%s\" and goes on\n", r->refused);
  if (r->good) puts("nothing is left in scalloc");
}

int host_print(const host_report *report, const host_options *options) {
  if (!options->brief) printf("result: %s: %s\n", report->name, report->result);
  if (!options->plain && options->brief) print_brief(report);
  if (!options->plain && !options->brief) print_long(report);
  return report->good ? EXIT_SUCCESS : EXIT_FAILURE;
}
