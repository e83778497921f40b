/*
 * filters.c - the work of work.h on the real system, where a filter of the kernel (seccomp) refuses system calls: from the
 * beginning, or from the n-th operation on.
 *
 * What is only advice, or can be guessed, may be missing without anything failing; without address space, or without access to
 * it, operations that need more of it give NULL and ENOMEM, and what is there goes on serving.
 */
#include "work.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { STATUS_SKIPPED = 77, STATUS_NO_FILTER = 99, LIFE_SECONDS = 60 };

typedef enum { AT_LEAST, EQUAL, HAS } test;

/* Refuses a system call whose argument number `arg` is `value`, or is at least that, or has that bit. */
typedef struct rule {
  const char *name;
  int error;
  bool harmless; /* nothing may fail for it */
  long call;
  unsigned arg;
  test test;
  uint64_t value;
  long probe[6]; /* arguments that are refused */
} rule;

#define ADVICE(name, advice, error)                                                                                            \
  {                                                                                                                            \
    name, error, true, SYS_madvise, 2, EQUAL, advice, { 0, 0, advice }                                                         \
  }
#define MAPPING(name, error)                                                                                                   \
  {                                                                                                                            \
    name, error, false, SYS_mmap, 3, HAS, MAP_NORESERVE, { 0, 4096, 0, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0 }    \
  }

static const rule rules[] = {
    MAPPING("no reservation: ENOMEM", ENOMEM),
    MAPPING("no reservation: EPERM", EPERM),
    {"no reservation of 4 GB", ENOMEM, true, SYS_mmap, 1, AT_LEAST, (uint64_t)4 << 30, {0, 4L << 30, 0, MAP_PRIVATE, -1, 0}},
    {"no opening: ENOMEM", ENOMEM, false, SYS_mprotect, 2, EQUAL, PROT_READ | PROT_WRITE, {0, 0, PROT_READ | PROT_WRITE}},
    {"no opening: EACCES", EACCES, false, SYS_mprotect, 2, EQUAL, PROT_READ | PROT_WRITE, {0, 0, PROT_READ | PROT_WRITE}},
    {"no opening of 128 MB", ENOMEM, true, SYS_mprotect, 1, AT_LEAST, 128 << 20, {0, 1 << 30, PROT_READ | PROT_WRITE}},
    {"no opening of 8 MB", ENOMEM, false, SYS_mprotect, 1, AT_LEAST, 8 << 20, {0, 1 << 30, PROT_READ | PROT_WRITE}},
    ADVICE("no purge: EPERM", MADV_DONTNEED, EPERM),
    ADVICE("no purge: ENOMEM", MADV_DONTNEED, ENOMEM),
    ADVICE("no purge: ENOSYS", MADV_DONTNEED, ENOSYS),
    ADVICE("no advice on huge pages", MADV_NOHUGEPAGE, EINVAL),
    ADVICE("no advice against dumps", MADV_DONTDUMP, ENOSYS),
    ADVICE("no advice for dumps", MADV_DODUMP, EPERM),
    {"no madvise at all", ENOSYS, true, SYS_madvise, 0, AT_LEAST, 0, {0}},
    {"no processor set", EPERM, true, SYS_sched_getaffinity, 0, AT_LEAST, 0, {0}},
    {"no limits to read", ENOSYS, true, SYS_prlimit64, 0, AT_LEAST, 0, {0}},
    {"no files to open", EPERM, true, SYS_openat, 0, AT_LEAST, 0, {0}},
    {"no yielding", EPERM, true, SYS_sched_yield, 0, AT_LEAST, 0, {0}},
};

/* ---- the filter -------------------------------------------------------------------------------------------------------- */

#define LOAD(offset) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(offset))
#define JUMP(how, value, yes, no) BPF_JUMP(BPF_JMP | (how) | BPF_K, (uint32_t)(value), yes, no)
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, (uint32_t)(value))
#define LOW(n) (offsetof(struct seccomp_data, args) + 8 * (n)) /* of an argument, on a little-endian machine */

/* In all threads. False: the kernel does not let this process have filters. */
static bool install(const rule *r) {
  uint16_t how = r->test == EQUAL ? BPF_JEQ : r->test == HAS ? BPF_JSET : BPF_JGE;
  struct sock_filter filter[] = {
      LOAD(offsetof(struct seccomp_data, nr)),
      JUMP(BPF_JEQ, r->call, 0, 6),
      LOAD(LOW(r->arg) + 4), /* the high half comes first: it may decide alone */
      JUMP(BPF_JGT, r->value >> 32, 3, 0),
      JUMP(BPF_JEQ, r->value >> 32, 0, 3),
      LOAD(LOW(r->arg)),
      JUMP(how, r->value, 0, 1),
      RETURN(SECCOMP_RET_ERRNO | (unsigned)r->error),
      RETURN(SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {LENGTH(filter), filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return false;
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0;
}

/* The filter is there and does what it should. */
static void check_refused(const rule *r) {
  const long *a = r->probe;
  errno = 0;
  CHECK_INT(syscall(r->call, a[0], a[1], a[2], a[3], a[4], a[5]), ==, -1);
  CHECK_INT(errno, ==, r->error);
}

/* ---- the life ---------------------------------------------------------------------------------------------------------- */

static const rule *current;
static long operations, installs_at; /* the filter comes before this operation */

static void before(void) {
  if (++operations != installs_at) return;
  if (!install(current)) _exit(STATUS_NO_FILTER);
  check_refused(current);
}

static bool excused(void) { return operations >= installs_at; }

/* Under a filter that takes no pages back, nothing is purged; what the work freed is still used again. */
static void check_nothing_purged(long long purges) {
  CHECK_INT(scalloc_purge(), ==, 0);
  CHECK_INT(stats_now().purges, ==, purges);
  CHECK_INT(stats_now().committed, >, 0);
}

static void life(void) {
  CHECK(scalloc_option_set("SCALLOC_PURGE_DELAY_MS", 0));
  work = (work_terms){.before = before, .excused = current->harmless ? NULL : excused, .largest = 80 * MB, .heaps = 20};
#if defined(HAVE_LUA_ALLOC)
  work.lua = work_lua;
#endif
  size_t refused = work_all();
  CHECK_INT(operations, >=, installs_at);
  long long purges = stats_now().purges;
  refused += work_all();
  if (installs_at == 1 && !current->harmless) CHECK_INT(refused, >, 0);
  if (current->call == SYS_madvise && (current->value == MADV_DONTNEED || current->arg == 0)) check_nothing_purged(purges);
}

/* Runs the life in a child. False: it may not have filters. */
static bool live(const rule *r, long nth) {
  int status;
  current = r, installs_at = nth;
  fflush(NULL);
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    alarm(LIFE_SECONDS);
    life();
    _exit(0);
  }
  CHECK(waitpid(pid, &status, 0) == pid);
  if (WIFEXITED(status) && WEXITSTATUS(status) == STATUS_NO_FILTER) return false;
  if (WIFSIGNALED(status)) test_fail(__FILE__, __LINE__, "%s, from operation %ld: signal %d", r->name, nth, WTERMSIG(status));
  if (WEXITSTATUS(status) != 0) test_fail(__FILE__, __LINE__, "... with %s, from operation %ld", r->name, nth);
  return true;
}

int main(void) {
  static const long points[] = {1, 2, 30, 140, 260, 400};
  for (size_t i = 0; i < LENGTH(rules); i++) {
    for (size_t p = 0; p < LENGTH(points); p++) {
      if (live(&rules[i], points[p])) continue;
      printf("skipped: the kernel lets this process have no filters\n");
      return STATUS_SKIPPED;
    }
    printf("%s: the program works on\n", rules[i].name);
  }
  return 0;
}
