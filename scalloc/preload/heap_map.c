/*
 * heap_map.c - at the exit of the process starts scalloc-top and waits until it has read this heap and written the file. Nothing of
 * it is made here, so the heap it shows is as the program left it, and the exit status stays the program's.
 *
 * A process that ends by a signal or by _exit runs no destructors, and there is no file.
 */
#include "heap_map.h"

#include <errno.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "exit_file.h"
#include "os.h"

enum { OPTION_MAX = 16 };

static exit_file file;
static char tool[PATH_MAX]; /* scalloc-top */

void heap_map_begin(void) {
  if (exit_file_begin(&file, "SCALLOC_HEAP_MAP") && !exit_file_value(tool, "SCALLOC_HEAP_MAP_TOOL")) file.name[0] = 0;
}

/* The output of scalloc-top that goes into a file of this name. */
static const char *option_for(const char *name) {
  const char *ending = strrchr(name, '.');
  if (ending && strcmp(ending, ".json") == 0) return "--json=";
  return ending && strcmp(ending, ".prom") == 0 ? "--prometheus=" : "--html=";
}

__attribute__((destructor)) static void write_at_exit(void) {
  static const char failed[] = "scalloc: no heap map: scalloc-top cannot be started\n";
  static char option[OPTION_MAX + EXIT_PATH_MAX], at_end[] = "--at-end", process[24], *nothing[] = {NULL};
  char *arguments[] = {tool, at_end, option, process, NULL};
  pid_t child;
  if (!exit_file_is_due(&file)) return;
  exit_file_path(&file, stpcpy(option, option_for(file.name)));
  *exit_file_number(process, getpid()) = 0;
  prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0); /* where only parents may read (Yama) */
  /* Without this process's environment: it is not to run on scalloc. */
  if (posix_spawn(&child, tool, NULL, NULL, arguments, nothing) != 0) {
    os_write_stderr(failed, sizeof failed - 1);
    return;
  }
  while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {
  }
  prctl(PR_SET_PTRACER, 0, 0, 0, 0);
}
