/*
 * hostile.c - surroundings that mean no good, made for this process alone, in which a program is then run:
 *
 *   hostile overcommit PROGRAM...   no more than 8 MB of memory at a time are made accessible (mprotect refuses), as when the
 *                                   system counts every byte (vm.overcommit_memory=2) and few are left
 *   hostile madvise PROGRAM...      every madvise is refused by a filter of system calls
 *   hostile vm=MB PROGRAM...        so much address space (ulimit -v)
 *
 * Exit status 77 where the kernel lets this process have no filters.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { STATUS_SKIPPED = 77, MOST_AT_ONCE = 8 << 20 };

#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)(offset))
#define JUMP(how, value, yes, no) BPF_JUMP(BPF_JMP | (how) | BPF_K, (unsigned)(value), yes, no)
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, (unsigned)(value))
#define LOW(n) (offsetof(struct seccomp_data, args) + 8 * (n)) /* of an argument, on a little-endian machine */

static void install(struct sock_filter *filter, size_t length) {
  struct sock_fprog program = {.len = (unsigned short)length, .filter = filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
    printf("skipped: no filters here\n");
    exit(STATUS_SKIPPED);
  }
}

static void refuse_madvise(void) {
  struct sock_filter filter[] = {
      LOAD(offsetof(struct seccomp_data, nr)),
      JUMP(BPF_JEQ, SYS_madvise, 0, 1),
      RETURN(SECCOMP_RET_ERRNO | EPERM),
      RETURN(SECCOMP_RET_ALLOW),
  };
  install(filter, sizeof filter / sizeof *filter);
}

static void refuse_much_at_once(void) {
  struct sock_filter filter[] = {
      LOAD(offsetof(struct seccomp_data, nr)),
      JUMP(BPF_JEQ, SYS_mprotect, 0, 5),
      LOAD(LOW(1) + 4),
      JUMP(BPF_JEQ, 0, 0, 2),
      LOAD(LOW(1)),
      JUMP(BPF_JGT, MOST_AT_ONCE, 0, 1),
      RETURN(SECCOMP_RET_ERRNO | ENOMEM),
      RETURN(SECCOMP_RET_ALLOW),
  };
  install(filter, sizeof filter / sizeof *filter);
}

static void limit_address_space(const char *megabytes) {
  struct rlimit limit = {.rlim_cur = strtoul(megabytes, NULL, 10) << 20, .rlim_max = RLIM_INFINITY};
  limit.rlim_max = limit.rlim_cur;
  if (limit.rlim_cur == 0 || setrlimit(RLIMIT_AS, &limit) != 0) exit(2);
}

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  if (strcmp(argv[1], "madvise") == 0)
    refuse_madvise();
  else if (strcmp(argv[1], "overcommit") == 0)
    refuse_much_at_once();
  else if (strncmp(argv[1], "vm=", 3) == 0)
    limit_address_space(argv[1] + 3);
  else
    return 2;
  execvp(argv[2], argv + 2);
  perror(argv[2]);
  return 127;
}
