/* program.h: the frame of a benchmark program: options, clock, report. */
#ifndef PROGRAM_H
#define PROGRAM_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

/* One option --NAME=N: a whole number within bounds. `value` holds the default and gets what is given. */
typedef struct {
  const char *name;
  long *value;
  long least, most;
  const char *help;
} program_option;

/* Sets the options, at most 16; the list ends with a NULL name. --help and errors end the program: 0 and 2. */
void program_options(int argc, char **argv, const char *what, const program_option *options);

/* Seconds of a clock that only goes forward. */
double program_now(void);

/* One line on stderr and exit status 1; errno-like `error` is explained unless 0. */
_Noreturn void program_fail(const char *what, int error);

/* The report, one JSON object on stdout. Integers and seconds keep their type. */
void report_begin(const char *program);
void report_text(const char *key, const char *value);
void report_count(const char *key, uint64_t value);
void report_number(const char *key, double value);
void report_end(void);

/* A number from a sequence of its own; never 0 if *state is not. */
uint64_t program_random(uint64_t *state);

#endif
