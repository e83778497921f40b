/*
 * spawn.c - programs started in every way that libc has while threads allocate; each uses scalloc itself and tells by its exit
 * code that it is sound. The threads go on allocating meanwhile.
 *
 *   spawn [--rounds N]
 */
#include "life.h"
#include <spawn.h>

enum { WORKERS = 3, SLOTS = 200, SPAWNED_CODE = 42 };

extern char **environ;

static char self[4096], command[4200];
static _Atomic(block *) slots[SLOTS];
static atomic_bool stop;
static atomic_long turns[WORKERS];

static void *work(void *argument) {
  size_t me = (size_t)(uintptr_t)argument;
  rng random = {me};
  for (; !atomic_load(&stop); atomic_fetch_add(&turns[me], 1)) {
    block_free(atomic_exchange(&slots[rng_below(&random, SLOTS)], block_new(block_size(&random))));
    if (rng_percent(&random, 1)) use_heaps();
  }
  return NULL;
}

/* ---- the ways -------------------------------------------------------------------------------------------------------- */

/* The child of a vfork shares this process's memory; it may do nothing but execve. */
static void by_vfork(void) {
  char *const arguments[] = {self, (char *)(uintptr_t) "spawned", NULL};
  pid_t pid = vfork();
  if (pid == 0) {
    execve(self, arguments, environ);
    _exit(127);
  }
  CHECK(pid > 0);
  reap_code(pid, "vfork and execve", SPAWNED_CODE);
}

static void by_posix_spawn(void) {
  char *const arguments[] = {self, (char *)(uintptr_t) "spawned", NULL};
  pid_t pid;
  CHECK(posix_spawn(&pid, self, NULL, NULL, arguments, environ) == 0);
  reap_code(pid, "posix_spawn", SPAWNED_CODE);
}

static void by_fork(void) {
  char *const arguments[] = {self, (char *)(uintptr_t) "spawned", NULL};
  pid_t pid = fork();
  if (pid == 0) {
    child_begin();
    block_free(block_new(100)); /* between fork and exec */
    execv(self, arguments);
    _exit(127);
  }
  CHECK(pid > 0);
  reap_code(pid, "fork and exec", SPAWNED_CODE);
}

static void by_popen(void) {
  char line[64] = "";
  FILE *out = popen(command, "r");
  CHECK(out && fgets(line, sizeof line, out) && strcmp(line, "spawned\n") == 0);
  int status = pclose(out);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == SPAWNED_CODE);
}

static void by_system(void) {
  char quiet[4300];
  snprintf(quiet, sizeof quiet, "%s >/dev/null", command);
  int status = system(quiet);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == SPAWNED_CODE);
}

/* ---- the spawned program --------------------------------------------------------------------------------------------- */

static int be_spawned(void) {
  alarm(CHILD_SECONDS);
  use_everything_alone();
  scalloc_purge();
  check_heap();
  puts("spawned");
  return SPAWNED_CODE;
}

int main(int argc, char **argv) {
  static void (*const ways[])(void) = {by_vfork, by_posix_spawn, by_fork, by_popen, by_system};
  static const char *const names[] = {"vfork", "posix_spawn", "fork", "popen", "system"};
  pthread_t workers[WORKERS];
  if (argc > 1 && strcmp(argv[1], "spawned") == 0) return be_spawned();
  long rounds = option_number(argc, argv, "--rounds", 10);
  if (rounds < 1) rounds = 1;
  ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
  CHECK(length > 0);
  snprintf(command, sizeof command, "exec '%s' spawned", self);
  scalloc_free(scalloc_malloc(1));
  stats before = stats_now();
  fflush(NULL);
  for (size_t i = 0; i < WORKERS; i++) CHECK(pthread_create(&workers[i], NULL, work, (void *)i) == 0);
  for (size_t way = 0; way < LENGTH(ways); way++) {
    long turns_before[WORKERS];
    double start = now();
    for (size_t i = 0; i < WORKERS; i++) turns_before[i] = atomic_load(&turns[i]);
    for (long i = 0; i < rounds; i++) {
      block *mine = block_new(70 * KB);
      ways[way]();
      block_free(mine);
    }
    while (now() < start + 0.02) use_all_sizes();
    for (size_t i = 0; i < WORKERS; i++) CHECK_INT(atomic_load(&turns[i]), >, turns_before[i]); /* none of them hangs */
    printf("%ld by %s in %.1f s\n", rounds, names[way], now() - start);
  }
  atomic_store(&stop, true);
  for (size_t i = 0; i < WORKERS; i++) CHECK(pthread_join(workers[i], NULL) == 0);
  for (size_t i = 0; i < SLOTS; i++) block_free(atomic_exchange(&slots[i], NULL));
  check_all_returned(before);
  return 0;
}
