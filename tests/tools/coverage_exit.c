/*
 * coverage_exit.c - linked into every program of a build with SCALLOC_COVERAGE: the counters of gcov are also written by
 * processes that end with _exit, as forked children do, and by those that end with abort, as faults do. exit writes them itself.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

extern void __gcov_dump(void);

/* Takes the place of the C library's function for whatever the program itself and the libraries of this project call. */
void _exit(int status) {
  __gcov_dump();
  for (;;) syscall(SYS_exit_group, status);
}

void _Exit(int status) { _exit(status); }

/* abort raises the signal again, with its default action, when the handler has come back. */
static void dump_before_abort(int signal) {
  (void)signal;
  __gcov_dump();
}

__attribute__((constructor)) static void watch_abort(void) {
  struct sigaction action = {.sa_flags = (int)SA_RESETHAND};
  action.sa_handler = dump_before_abort;
  sigaction(SIGABRT, &action, NULL);
}
