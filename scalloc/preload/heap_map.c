/*
 * heap_map.c - at the exit of the process starts scalloc-top and waits until it has read this heap and written the page. Nothing of
 * the page is made here, so the heap it shows is as the program left it, and the exit status stays the program's.
 *
 * A process that ends by a signal or by _exit runs no destructors, and there is no page.
 */
#include "heap_map.h"

#include <errno.h>
#include <limits.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os.h"

static char file[PATH_MAX], tool[PATH_MAX]; /* empty: nothing was asked for */
static long only;                           /* the process that is to write it; 0: each of them */

static bool note(char *to, const char *name) {
  const char *value = os_environment(name);
  if (value == NULL || *value == 0 || strlen(value) >= PATH_MAX) return false;
  memcpy(to, value, strlen(value) + 1);
  return true;
}

void heap_map_begin(void) {
  const char *process = os_environment("SCALLOC_HEAP_MAP_PROCESS");
  if (process == NULL || !note(tool, "SCALLOC_HEAP_MAP_TOOL") || !note(file, "SCALLOC_HEAP_MAP")) return;
  for (; *process >= '0' && *process <= '9'; process++) only = only * 10 + (*process - '0');
}

/* `at` with the digits of a number; where they end. */
static char *put_number(char *at, long number) {
  char digits[24], *digit = digits + sizeof digits;
  do *--digit = (char)('0' + number % 10);
  while ((number /= 10) != 0);
  size_t length = (size_t)(digits + sizeof digits - digit);
  memcpy(at, digit, length);
  return at + length;
}

/* "--html=" and the file, %p in it replaced by the number of the process. */
static void html_option(char *to) {
  memcpy(to, "--html=", 7);
  to += 7;
  for (const char *from = file; *from; from++) {
    if (from[0] == '%' && from[1] == 'p') {
      to = put_number(to, getpid());
      from++;
    } else {
      *to++ = *from;
    }
  }
  *to = 0;
}

__attribute__((destructor)) static void write_at_exit(void) {
  static const char failed[] = "scalloc: no heap map: scalloc-top cannot be started\n";
  static char option[8 + 12 * PATH_MAX], at_exit[] = "--at-exit", process[24], *nothing[] = {NULL};
  char *arguments[] = {tool, at_exit, option, process, NULL};
  pid_t child;
  if (*file == 0 || (only != 0 && only != getpid())) return;
  html_option(option);
  *put_number(process, getpid()) = 0;
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
