/* setup.h: what the programs for both collectors have in common: options of the collector and its part of the report. */
#ifndef SETUP_H
#define SETUP_H

#include "../program.h"
#include "gc_port.h"

/* Reads the program's `own` options and the collector's, and starts the collector. *mutators is what --mutators says. */
gc_thread *setup(int argc, char **argv, const char *what, const program_option *own, unsigned *mutators);

/* The report's beginning: names, `seconds`, `objects` allocated in them, and the collector's numbers. */
void setup_report(const char *program, double seconds, uint64_t objects);

#endif
