/*
 * exit_file.h - a file that a process writes when it exits: what scalloc-run asked for, kept where the program cannot change it.
 */
#ifndef SCALLOC_EXIT_FILE_H
#define SCALLOC_EXIT_FILE_H

#include <limits.h>
#include <stdbool.h>

#include "preload_names.h"

typedef struct {
  char name[PATH_MAX]; /* as given; empty: none */
  long only;           /* the process that is to write it; 0, as with %p in the name: each of them */
} exit_file;

enum { EXIT_PATH_MAX = 12 * PATH_MAX };

/* Reads a value of the environment; false, and nothing in `to`: it is not there, or longer than a path. */
bool exit_file_value(char to[PATH_MAX], const char *variable);

/* Notes the file that a variable of the environment names, and the process that SCALLOC_EXIT_PROCESS does. False: none. */
bool exit_file_begin(exit_file *f, const char *variable);

/* Has this process to write it? Not the child of a fork, if it is to be the one of a certain process. */
bool exit_file_is_due(const exit_file *f);

/* The digits of a number; where they end. */
char *exit_file_number(char *at, long number);

/* The name, every %p in it replaced by the number of this process, which is at most three times as long; where it ends. */
char *exit_file_path(const exit_file *f, char *to);

#endif
