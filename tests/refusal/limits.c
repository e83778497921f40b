/*
 * limits.c - the work of work.h under limits of the real system: `ulimit -v` from too little for anything up to plenty, limits on
 * data, which refuse the opening of the arena, and what happens when they are lifted.
 */
#include "work.h"

enum { STATUS_NO_MEMORY = 3 };

static bool always(void) { return true; }

static void begin_work(bool (*excused)(void)) {
  CHECK(scalloc_option_set("SCALLOC_PURGE_DELAY_MS", 0));
  work = (work_terms){.excused = excused, .largest = 80 * MB, .heaps = 20};
#if defined(HAVE_LUA_ALLOC)
  work.lua = work_lua;
#endif
}

/* 0: none. A macro, since the type of a resource differs from one C library to another. */
#define LIMIT(resource, bytes)                                                                                                 \
  do {                                                                                                                         \
    struct rlimit limit_;                                                                                                      \
    CHECK(getrlimit(resource, &limit_) == 0);                                                                                  \
    limit_.rlim_cur = (bytes) == 0 ? limit_.rlim_max : (bytes);                                                                \
    CHECK(setrlimit(resource, &limit_) == 0);                                                                                  \
  } while (0)

/* ---- without any memory ------------------------------------------------------------------------------------------------ */

static void gives_nothing(const void *result) {
  CHECK(result == NULL);
  CHECK_INT(errno, ==, ENOMEM);
  errno = 0;
}

static void everything_says_so(void) {
  errno = 0;
  for (int i = 0; i < 3; i++) {
    gives_nothing(scalloc_malloc(0));
    gives_nothing(scalloc_malloc(100));
    gives_nothing(scalloc_malloc(10 * MB));
    gives_nothing(scalloc_calloc(3, 7));
    gives_nothing(scalloc_realloc(NULL, 50));
    gives_nothing(scalloc_aligned_alloc(4096, 100));
    gives_nothing(scalloc_heap_new());
  }
  scalloc_free(NULL);
  CHECK_INT(scalloc_usable_size(&errno), ==, 0);
  CHECK_INT(scalloc_purge(), ==, 0);
  CHECK_INT(stats_now().opened, ==, 0);
  check_heap();
}

/* ---- modes of the child ------------------------------------------------------------------------------------------------ */

/* Has as much as the limit it was started under leaves. */
static int under_a_limit(void) {
  fputs("started\n", stderr);
  begin_work(always);
  errno = 0;
  void *block = scalloc_malloc(1);
  if (block == NULL) {
    everything_says_so();
    return STATUS_NO_MEMORY;
  }
  scalloc_free(block);
  struct rlimit space;
  CHECK(getrlimit(RLIMIT_AS, &space) == 0);
  long long reserved = stats_now().reserved;
  CHECK(reserved <= (long long)space.rlim_cur / 2 || reserved == (long long)(64 * MB)); /* the program needs some, too */
  work_all();
  work_all();
  return 0;
}

/* No reservation at first; then all that is wanted. */
static int until_lifted(void) {
  begin_work(NULL);
  LIMIT(RLIMIT_AS, 64 * MB);
  everything_says_so();
  LIMIT(RLIMIT_AS, 0);
  CHECK_INT(work_all(), ==, 0);
  return 0;
}

/* The arena is reserved, but only some of it may be opened: mprotect counts what becomes writable as data. */
static int under_a_data_limit(size_t bytes, bool enough) {
  begin_work(enough ? NULL : always);
  LIMIT(RLIMIT_DATA, bytes);
  size_t refused = work_all();
  CHECK(enough || refused > 0);
  LIMIT(RLIMIT_DATA, 0);
  work.excused = NULL;
  CHECK_INT(work_all(), ==, 0); /* as if nothing had been */
  CHECK_INT(work_all(), ==, 0);
  return 0;
}

/* A limit that comes when the work is under way: what is open stays. */
static int under_a_late_limit(void) {
  begin_work(NULL);
  CHECK_INT(work_all(), ==, 0);
  LIMIT(RLIMIT_DATA, MB);
  LIMIT(RLIMIT_AS, MB);
  work.excused = always; /* threads need stacks, Lua's library memory of its own */
  work_all();
  for (int i = 0; i < 1000; i++) {
    void *block = scalloc_malloc(1000);
    CHECK(block != NULL);
    scalloc_free(block);
  }
  return 0;
}

/* ---- the parent -------------------------------------------------------------------------------------------------------- */

/* STATUS_NO_MEMORY or 0; -1: the system could not even start the program. */
static int status_under(size_t bytes) {
  child c = run_self("limit", NULL, bytes);
  bool started = strncmp(c.err, "started\n", 8) == 0;
  if (!started) return -1;
  if (!c.exited || (c.code != 0 && c.code != STATUS_NO_MEMORY))
    test_fail(__FILE__, __LINE__, "under %zu bytes: %s %d; it said: %s", bytes, c.exited ? "status" : "signal", c.code, c.err);
  return c.code;
}

/* More never serves worse; little gives NULL from everything; 512 MB are enough for all to work. */
static void address_space_from_none_to_plenty(void) {
  static const size_t megabytes[] = {1,   2,   4,   6,   8,    10,   12,   16,   24,    32,    48,      64,       80,
                                     88,  96,  104, 112, 128,  144,  160,  192,  224,   256,   320,     384,      448,
                                     512, 640, 768, 896, 1024, 1536, 2048, 4096, 16384, 65536, 1 << 20, 33 << 20, 100 << 20};
  int before = -1, none = 0;
  for (size_t i = 0; i < LENGTH(megabytes); i++) {
    int status = status_under(megabytes[i] * MB);
    none += status == STATUS_NO_MEMORY;
    if (status == -1) CHECK(before == -1 && megabytes[i] < 64);
    if (status == STATUS_NO_MEMORY) CHECK(before != 0);
    if (status != 0) CHECK_INT(megabytes[i], <, 512);
    before = status;
  }
  CHECK_INT(none, >, 0);
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    size_t data;
    bool enough;
  } limits[] = {{"data 0", 1, false},          {"data 1", MB, false},         {"data 20", 20 * MB, false},
                {"data 70", 70 * MB, false},   {"data 150", 150 * MB, false}, {"data 900", 900 * MB, true},
                {"data 3000", 3000 * MB, true}};
  alarm(110);
  const char *mode = argc > 1 ? argv[1] : "";
  if (strcmp(mode, "limit") == 0) return under_a_limit();
  if (strcmp(mode, "lifted") == 0) return until_lifted();
  if (strcmp(mode, "late") == 0) return under_a_late_limit();
  for (size_t i = 0; i < LENGTH(limits); i++)
    if (strcmp(mode, limits[i].name) == 0) return under_a_data_limit(limits[i].data, limits[i].enough);
  for (size_t i = 0; i < LENGTH(limits); i++) run_self_ok(limits[i].name, NULL, 0);
  run_self_ok("lifted", NULL, 0);
  run_self_ok("late", NULL, 0);
  address_space_from_none_to_plenty();
  return 0;
}
