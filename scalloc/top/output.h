/*
 * output.h - a file that others may be reading, like the textfile collector of Prometheus: it is there as a whole or as it was
 * before. What is no regular file, /dev/stdout or a pipe, is written as such, and so is a file in a folder where none can be made.
 */
#ifndef SCALLOC_OUTPUT_H
#define SCALLOC_OUTPUT_H

#include <stdbool.h>
#include <stdio.h>

typedef struct {
  FILE *file;
  char *path, *beside; /* the file, behind symbolic links; what is renamed to it, NULL: it is written in place */
} output;

/* False and errno: it cannot be written. */
bool output_open(output *out, const char *path);

/* False and errno: not all could be written; the file is then as it was before. Once for each that was opened. */
bool output_close(output *out);

#endif
