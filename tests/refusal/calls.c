/*
 * calls.c - the work of work.h on the operating system of the unit tests, once for every call it makes: with the n-th call of a
 * kind refused, or that one and all after it.
 *
 *   refusal_calls reserve|open|purge once|on roomy|tight [stride]
 *
 * No refusal may do more than make an operation that needed the memory return NULL with ENOMEM; and when it is over, all is as
 * if nothing had been: the same work again meets no refusal. A refused purge makes nothing fail.
 *
 * In a tight arena the work cannot have all it asks for, least of all while the OS keeps the pages of empty spans, so NULL is
 * always right there. Afterwards the whole arena must be had in one piece, and the work gets no less than in a fresh process.
 */
#include "os_fake.h"
#include "work.h"

#include <signal.h>
#include <sys/mman.h>

enum { LIFE_SECONDS = 60, CALLS_MOST = 5000 };

static const struct setting {
  const char *name;
  size_t arena, largest, heaps;
  bool tight;
} settings[] = {
    {"roomy", (size_t)8 << 30, 1900 * MB, 480, false}, /* three steps of the arena, two of the zone of the heaps */
    {"tight", 128 * MB, 80 * MB, 20, true},
};

typedef struct outcome {
  bool reached;        /* the call to be refused was made */
  size_t first, again; /* operations that got nothing, while calls were refused and afterwards */
} outcome;

static long refused_before;

static long memory_refused(void) { return os_fake_refused(OS_RESERVE) + os_fake_refused(OS_OPEN); }
static void before(void) { refused_before = memory_refused(); }
static bool excused(void) { return memory_refused() > refused_before; }
static bool always(void) { return true; }

/* KB of memory behind the opened part of the arena, in which `inside` lies. */
static long arena_rss_kb(const void *inside) {
  char line[512];
  uintptr_t from = 0, to = 0;
  long kb = -1;
  FILE *maps = fopen("/proc/self/smaps", "r");
  CHECK(maps != NULL);
  while (kb < 0 && fgets(line, sizeof line, maps)) {
    char *dash;
    uintptr_t start = strtoull(line, &dash, 16);
    if (*dash == '-' && dash != line) from = start, to = strtoull(dash + 1, NULL, 16);
    if ((uintptr_t)inside >= from && (uintptr_t)inside < to) sscanf(line, "Rss: %ld kB", &kb);
  }
  fclose(maps);
  CHECK_INT(kb, >=, 0);
  return kb;
}

/* As often as heaps are refused, none is lost by it. */
static void ask_for_heaps_in_vain(void) {
  enum { MOST = 8000, IN_VAIN = 20000 };
  static scalloc_heap *made[MOST];
  size_t n = 0;
  while (n < MOST && (made[n] = scalloc_heap_new()) != NULL) n++;
  for (int i = 0; i < IN_VAIN; i++) CHECK(scalloc_heap_new() == NULL);
  while (n > 0) scalloc_heap_destroy(made[--n]);
}

/* Everything is given back, also the pages of a refused purge. */
static void check_all_is_back(void) {
  void *block = scalloc_malloc(1);
  CHECK(block != NULL);
  scalloc_free(block);
  scalloc_purge();
  CHECK_INT(stats_now().committed, ==, 0);
  CHECK_INT(arena_rss_kb(block), ==, 0);
}

static void life(const struct setting *at, os_call call, long nth, bool on, outcome *out) {
  CHECK(scalloc_option_set("SCALLOC_PURGE_DELAY_MS", 0));
  CHECK(scalloc_option_set("SCALLOC_ARENA_BYTES", (long)at->arena));
  work = (work_terms){.before = before,
                      .excused = at->tight ? always : excused,
                      .largest = at->largest,
                      .heaps = at->heaps,
                      .in_turns = at->tight};
#if defined(HAVE_LUA_ALLOC)
  work.lua = work_lua;
#endif
  os_fake_refuse(call, nth, on);
  out->first = work_all();
  out->reached = os_fake_reached(call);
  if (call == OS_OPEN && on && nth <= 3) ask_for_heaps_in_vain();
  os_fake_refuse(call, 0, false);
  check_all_is_back();
  if (at->tight) {
    void *whole = scalloc_malloc(at->arena - 16 * MB);
    CHECK(whole != NULL);
    scalloc_free(whole);
  }
  if (call != OS_PURGE || at->tight || nth % 4 == 1) out->again = work_all();
  for (os_call other = OS_RESERVE; other <= OS_PURGE; other++)
    if (other != call) CHECK_INT(os_fake_refused(other), ==, 0);
}

static outcome live(const struct setting *at, os_call call, long nth, bool on) {
  outcome *out = mmap(NULL, sizeof *out, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  CHECK(out != MAP_FAILED);
  int status;
  fflush(NULL);
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    alarm(LIFE_SECONDS);
    life(at, call, nth, on, out);
    _exit(0);
  }
  CHECK(waitpid(pid, &status, 0) == pid);
  if (WIFSIGNALED(status)) test_fail(__FILE__, __LINE__, "call %ld refused: died by signal %d", nth, WTERMSIG(status));
  if (WEXITSTATUS(status) != 0) test_fail(__FILE__, __LINE__, "... with call %ld refused", nth);
  outcome copy = *out;
  munmap(out, sizeof *out);
  return copy;
}

static const char *const names[] = {"reserve", "open", "purge"};

/* Every call of a kind in turn, until the work makes no more. */
static void each(const struct setting *at, os_call call, bool on, long stride) {
  double start = now();
  outcome fresh = live(at, call, CALLS_MOST, on);
  long n = 1, tried = 0, troubled = 0;
  CHECK(!fresh.reached);
  CHECK(at->tight || fresh.first == 0);
  for (;; n += stride, tried++) {
    outcome o = live(at, call, n, on);
    if (!o.reached) break;
    if (o.again > fresh.again) test_fail(__FILE__, __LINE__, "after call %ld: %zu refusals, not %zu", n, o.again, fresh.again);
    if (call == OS_PURGE && !at->tight) CHECK_INT(o.first, ==, 0);
    troubled += o.first > fresh.first;
  }
  printf("%s, %s arena, %s: calls 1 to %ld, %ld of them refused in turn; %ld times something was NULL for it; %.1f s\n",
         names[call], at->name, on ? "all from one on" : "one", n - stride, tried, troubled, now() - start);
  CHECK_INT(n - 1, >=, call == OS_PURGE ? 50 : call == OS_OPEN && !at->tight ? 8 : 1);
  if (call != OS_PURGE && on) CHECK_INT(troubled, >, 0);
  if (!on)
    CHECK_INT(troubled, <=, call == OS_OPEN ? 2 : 0); /* the two steps of the heaps; all others have smaller steps behind */
}

int main(int argc, char **argv) {
  CHECK(argc >= 4);
  for (os_call call = OS_RESERVE; call <= OS_PURGE; call++)
    for (size_t i = 0; i < LENGTH(settings); i++)
      if (strcmp(argv[1], names[call]) == 0 && strcmp(argv[3], settings[i].name) == 0 &&
          (call != OS_RESERVE || !settings[i].tight))
        return each(&settings[i], call, strcmp(argv[2], "on") == 0, argc > 4 ? strtol(argv[4], NULL, 10) : 1), 0;
  return 2;
}
