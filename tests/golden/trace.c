/* trace.c - see trace.h. Child and parent have the same memory map, so an address of the one means the same in the other. */
#include "trace.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STATUS_NOT_PERMITTED = 99, STEPS_BEFORE_THE_CALL = 100000 };

void trace_begin(void) { kill(getpid(), SIGSTOP); }

/* Lets the child execute one instruction. False: it ended instead. */
static bool step(pid_t child, struct user_regs_struct *registers) {
  int status;
  if (ptrace(PTRACE_SINGLESTEP, child, NULL, NULL) != 0 || waitpid(child, &status, 0) != child) return false;
  return WIFSTOPPED(status) && ptrace(PTRACE_GETREGS, child, NULL, registers) == 0;
}

/* From the stop in trace_begin to the return from the call: the return address is what lies on the stack at its beginning. */
static bool record(pid_t child, uintptr_t function, trace *out) {
  struct user_regs_struct now = {0};
  for (long steps = 0; now.rip != function; steps++)
    if (steps == STEPS_BEFORE_THE_CALL || !step(child, &now)) return false;
  uintptr_t stack = now.rsp, back = (uintptr_t)ptrace(PTRACE_PEEKDATA, child, (void *)stack, NULL);
  while (now.rip != back || now.rsp <= stack) {
    if (out->count == TRACE_MOST) return false;
    out->at[out->count++] = now.rip;
    if (!step(child, &now)) return false;
  }
  out->count--; /* the return itself */
  return true;
}

trace_end trace_call(void (*act)(void), uintptr_t function, trace *out) {
  int status;
  out->count = 0;
  pid_t child = fork();
  if (child == 0) {
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) _exit(STATUS_NOT_PERMITTED);
    act();
    _exit(0);
  }
  if (child < 0 || waitpid(child, &status, 0) != child) return TRACE_FAILED;
  if (WIFEXITED(status)) return WEXITSTATUS(status) == STATUS_NOT_PERMITTED ? TRACE_NOT_PERMITTED : TRACE_FAILED;
  bool whole = WIFSTOPPED(status) && record(child, function, out);
  if (!whole) kill(child, SIGKILL);
  ptrace(PTRACE_CONT, child, NULL, NULL);
  if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0) return TRACE_FAILED;
  return whole ? TRACE_DONE : TRACE_FAILED;
}
