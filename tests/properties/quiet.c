/*
 * quiet.c - property 5: after warm-up no size up to 1 MB asks the operating system for anything but madvise.
 *
 *   quiet [--ops N]   N allocations of one thread, a third of them freed by another, with the default purge delay and without
 *
 * After the warm-up a seccomp filter for all threads traps every system call but madvise, sched_yield (which the test calls too)
 * and what ends the process. A control grows the arena under the filter and must be caught at its mprotect.
 */
#include "properties.h"

#include "purge.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>

enum { SLOTS = 1500, RING = 256, CAUGHT = 3, WARM_UP = 60000 };

static _Atomic(void *) ring[RING];
static atomic_bool over;

/* ---- the filter ------------------------------------------------------------------------------------------------------- */

static void trapped(int signal, siginfo_t *information, void *context) {
  (void)signal, (void)context;
  char line[64];
  int n = snprintf(line, sizeof line, "system call %d\n", information->si_syscall);
  if (write(STDERR_FILENO, line, (size_t)n) < 0) _exit(CAUGHT + 1);
  _exit(CAUGHT);
}

#define ALLOW(number) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static void trap_system_calls(void) {
  struct sigaction action = {.sa_sigaction = trapped, .sa_flags = SA_SIGINFO};
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      ALLOW(SYS_madvise),
      ALLOW(SYS_sched_yield),
      ALLOW(SYS_write),
      ALLOW(SYS_exit_group),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
  };
  struct sock_fprog program = {LENGTH(filter), filter};
  CHECK(sigaction(SIGSYS, &action, NULL) == 0);
  CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0);
}

/* ---- the work --------------------------------------------------------------------------------------------------------- */

static void *free_what_comes(void *argument) {
  for (size_t i = 0; !atomic_load(&over); i++) {
    scalloc_free(atomic_exchange(&ring[i % RING], NULL));
    if (i % RING == 0) sched_yield();
  }
  return argument;
}

/* Blocks that grow past 128 KB by realloc may move to a run of spans, which is another path; these do not. */
static void *resize(void *block, size_t size) {
  void *moved = scalloc_realloc(block, size < 128 * KB ? size : 128 * KB);
  CHECK(moved != NULL);
  return moved;
}

static void give_back(rng *random, void *block) {
  if (rng_percent(random, 33)) block = atomic_exchange(&ring[rng_below(random, RING)], block);
  scalloc_free(block);
}

static void work(rng *random, long ops) {
  static void *slots[SLOTS];
  for (long i = 0; i < ops; i++) {
    void **at = &slots[rng_below(random, SLOTS)];
    size_t size = rng_log(random, 20);
    if (*at && rng_percent(random, 20)) {
      *at = resize(*at, size);
      continue;
    }
    give_back(random, *at);
    *at = rng_percent(random, 10) ? scalloc_calloc(1, size) : rng_percent(random, 10) ? NULL : scalloc_malloc(size);
  }
  for (size_t i = 0; i < SLOTS; i++) give_back(random, slots[i]), slots[i] = NULL;
}

static void begin(rng *random) {
  pthread_t thread;
  scalloc_free(scalloc_malloc(1));
  CHECK(pthread_create(&thread, NULL, free_what_comes, NULL) == 0);
  work(random, WARM_UP);
  trap_system_calls();
}

static void work_quietly(void) {
  rng random = {1};
  char line[100];
  long ops = strtol(getenv("PROPERTY_OPS"), NULL, 10);
  begin(&random);
  size_t purges = purge_count();
  work(&random, ops);
  int n = snprintf(line, sizeof line, "%ld operations: %zu calls of madvise, no other\n", ops, purge_count() - purges);
  CHECK(write(STDERR_FILENO, line, (size_t)n) == n);
  _exit(options.purge_delay_ms == 0 && purge_count() == purges); /* without a delay there must have been some */
}

/* Beyond the part of the arena that is open: the net must hold. */
static void grow_under_the_filter(void) {
  rng random = {1};
  begin(&random);
  for (int i = 0; i < 100; i++) CHECK(scalloc_malloc(100 * MB) != NULL);
  _exit(0);
}

static void quiet(void) {
  static char eager[] = "SCALLOC_PURGE_DELAY_MS=0", delayed[] = "SCALLOC_PURGE_DELAY_MS=20";
  char ops[40], wanted[40];
  skip_under_sanitizers();
  snprintf(ops, sizeof ops, "PROPERTY_OPS=%ld", argument("--ops", 200000));
  snprintf(wanted, sizeof wanted, "system call %d\n", (int)SYS_mprotect);
  child control = run_self("grow_under_the_filter", NULL, 0);
  if (!control.exited || control.code != CAUGHT || strcmp(control.err, wanted) != 0)
    test_fail(__FILE__, __LINE__, "the control ended with %d: %s", control.code, control.err);
  printf("eager: %s", run_self_ok("work_quietly", (char *[]){eager, ops, NULL}, 0).err);
  printf("delayed: %s", run_self_ok("work_quietly", (char *[]){delayed, ops, NULL}, 0).err);
}

MODES(MODE(quiet), MODE(work_quietly), MODE(grow_under_the_filter))
