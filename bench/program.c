/* Options, clock and report of the benchmark programs. */
#include "program.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BAD_USE = 2, MOST_OPTIONS = 16 };

static bool first_member;

double program_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

_Noreturn void program_fail(const char *what, int error) {
  if (error)
    fprintf(stderr, "%s: %s\n", what, strerror(error));
  else
    fprintf(stderr, "%s\n", what);
  exit(EXIT_FAILURE);
}

static void help(const char *name, const char *what, const program_option *options) {
  printf("usage: %s [--NAME=N]...\n%s\n", name, what);
  for (; options->name; options++) {
    printf("  --%-12s %s (%ld to %ld, default %ld)\n", options->name, options->help, options->least, options->most,
           *options->value);
  }
  puts("Writes one JSON object to stdout. Exit status: 0; 1 if something is wrong with the result or memory is short; 2 bad "
       "use.");
}

static void set(const char *name, const program_option *option, const char *text) {
  char *end;
  errno = 0;
  long value = strtol(text, &end, 10);
  if (errno || end == text || *end || value < option->least || value > option->most) {
    fprintf(stderr, "%s: --%s needs a whole number from %ld to %ld, not '%s'\n", name, option->name, option->least,
            option->most, text);
    exit(BAD_USE);
  }
  *option->value = value;
}

void program_options(int argc, char **argv, const char *what, const program_option *options) {
  struct option known[MOST_OPTIONS + 2] = {{"help", no_argument, NULL, 'h'}};
  for (int i = 0; options[i].name && i < MOST_OPTIONS; i++)
    known[i + 1] = (struct option){options[i].name, required_argument, NULL, 0};
  int found, index = 0;
  while ((found = getopt_long(argc, argv, "h", known, &index)) != -1) {
    if (found == 'h') {
      help(argv[0], what, options);
      exit(EXIT_SUCCESS);
    }
    if (found != 0) exit(BAD_USE);
    set(argv[0], &options[index - 1], optarg);
  }
  if (optind < argc) {
    fprintf(stderr, "%s: '%s' is no option\n", argv[0], argv[optind]);
    exit(BAD_USE);
  }
}

static void key_of(const char *key) {
  printf("%s\"%s\": ", first_member ? "" : ", ", key);
  first_member = false;
}

void report_begin(const char *program) {
  putchar('{');
  first_member = true;
  report_text("program", program);
}

void report_text(const char *key, const char *value) {
  key_of(key);
  printf("\"%s\"", value);
}

void report_count(const char *key, uint64_t value) {
  key_of(key);
  printf("%" PRIu64, value);
}

void report_number(const char *key, double value) {
  key_of(key);
  printf("%.9g", value);
}

void report_end(void) {
  puts("}");
  if (fflush(stdout) != 0 || ferror(stdout)) program_fail("cannot write the report", 0);
}

uint64_t program_random(uint64_t *state) {
  uint64_t x = *state;
  x ^= x << 13;
  x ^= x >> 7;
  x ^= x << 17;
  return *state = x;
}
