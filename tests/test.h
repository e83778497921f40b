/*
 * test.h - what the test programs share. Only the public interface of scalloc is used.
 *
 *   CHECK         always active; prints file, line and expression and ends the process with status 1.
 *   rng           a small deterministic random generator.
 *   fill, intact  a pattern made of a block's address and size, so that a block overlapped by another one shows it.
 *   stats         the numbers of scalloc_stats_json.
 *   run_self      this program again in another mode, with environment variables, its stderr caught.
 */
#ifndef SCALLOC_TESTS_TEST_H
#define SCALLOC_TESTS_TEST_H

#include <errno.h>
#include <fcntl.h>
#include <scalloc/scalloc.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KB ((size_t)1024)
#define MB ((size_t)1024 * 1024)
#define SPAN_SHIFT 21 /* virtual spans are 2 MB */
/*
 * Tracked builds of the library keep at least TAIL bytes behind every block for themselves. Tests of the geometry of spans ask
 * for so much less. Their side zones cost memory beside the blocks, and page tables that a purge does not free.
 */
#ifndef TEST_TRACKED
#define TEST_TRACKED 0
#endif
enum { TAIL = TEST_TRACKED ? 8 : 0 };
/* What a tool keeps in memory of its own about so many KB that were used: AddressSanitizer's shadow, which no purge takes. */
static inline long tool_kb(long used) {
#if defined(__SANITIZE_ADDRESS__)
  return used / 8;
#else
  return 0 * used;
#endif
}

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* ---- checks ---------------------------------------------------------------------------------------------------------- */

__attribute__((noreturn, format(printf, 3, 4))) static inline void test_fail(const char *file, int line, const char *format,
                                                                             ...) {
  va_list arguments;
  va_start(arguments, format);
  fflush(stdout);
  fprintf(stderr, "%s:%d: ", file, line);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  _exit(1); /* not exit: other threads may be running */
}

#define CHECK(condition) ((condition) ? (void)0 : test_fail(__FILE__, __LINE__, "CHECK failed: %s", #condition))

/* As CHECK(left OP right), for integers; shows both values. */
#define CHECK_INT(left, op, right)                                                                                             \
  do {                                                                                                                         \
    long long left_value_ = (long long)(left), right_value_ = (long long)(right);                                              \
    if (!(left_value_ op right_value_))                                                                                        \
      test_fail(__FILE__, __LINE__, "CHECK failed: %s %s %s: %lld, %lld", #left, #op, #right, left_value_, right_value_);      \
  } while (0)

/* The whole heap is sound. Only while no other thread allocates or frees. */
static inline void test_heap(const char *file, int line) {
  char why[512] = "";
  if (!scalloc_check(why, sizeof why)) test_fail(file, line, "scalloc_check: %s", why);
}
#define check_heap() test_heap(__FILE__, __LINE__)

/* ---- random numbers, time -------------------------------------------------------------------------------------------- */

typedef struct rng {
  uint64_t state;
} rng;

static inline uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
  return x ^ (x >> 31);
}

static inline uint64_t rng_next(rng *random) { return mix(random->state += UINT64_C(0x9e3779b97f4a7c15)); }
static inline size_t rng_below(rng *random, size_t limit) { return (size_t)(rng_next(random) % limit); }
static inline bool rng_percent(rng *random, unsigned percent) { return rng_below(random, 100) < percent; }

/* Log-uniform in [1, 2^bits]: every power of two is as likely as any other. */
static inline size_t rng_log(rng *random, unsigned bits) {
  size_t top = (size_t)1 << rng_below(random, bits + 1);
  return top - rng_below(random, (top + 1) / 2);
}

static inline double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static inline void sleep_ms(long ms) { nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL); }

/*
 * For what holds of the very free that empties a span: in tracked builds freed blocks wait for nothing then, and no block has a
 * span of its own. At the beginning of main; children that this program starts inherit it.
 */
static inline void without_quarantine(void) {
  if (!TEST_TRACKED) return;
  CHECK(setenv("SCALLOC_QUARANTINE", "0", 1) == 0 && setenv("SCALLOC_GUARD_SAMPLE", "0", 1) == 0);
}

/* ---- memory of this process ------------------------------------------------------------------------------------------ */

/* The number behind "key:" in a file of /proc, in KB; -1 if it is not there. Allocates nothing. */
static inline long proc_kb(const char *path, const char *key) {
  char text[8192];
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return -1;
  size_t length = 0;
  for (ssize_t got; length < sizeof text - 1 && (got = read(file, text + length, sizeof text - 1 - length)) > 0;)
    length += (size_t)got;
  close(file);
  text[length] = 0;
  const char *at = strstr(text, key);
  return at ? strtol(at + strlen(key), NULL, 10) : -1;
}

/* Resident KB. smaps_rollup is exact; VmRSS may lag by a batch per CPU. */
static inline long rss_kb(void) {
  long exact = proc_kb("/proc/self/smaps_rollup", "\nRss:");
  return exact >= 0 ? exact : proc_kb("/proc/self/status", "\nVmRSS:");
}

static inline long pte_kb(void) { return proc_kb("/proc/self/status", "\nVmPTE:"); }

/* ---- patterns -------------------------------------------------------------------------------------------------------- */

enum { PATTERN_DENSE = 16384, PATTERN_STRIDE = 512 };

static inline uint64_t pattern_seed(const void *block, size_t size) {
  return mix((uint64_t)(uintptr_t)block ^ (uint64_t)size << 48);
}

/* Offset of the next word that carries the pattern: every word, but only every 64th in the middle of a big block. */
static inline size_t pattern_next(size_t at, size_t size) {
  bool middle = size > PATTERN_DENSE && at >= PATTERN_DENSE / 4 && at + PATTERN_STRIDE + PATTERN_DENSE / 4 < size;
  return at + (middle ? PATTERN_STRIDE : sizeof(uint64_t));
}

static inline void fill(void *block, size_t size) {
  unsigned char *bytes = block;
  uint64_t seed = pattern_seed(block, size);
  size_t at = 0;
  for (; at + sizeof seed <= size; at = pattern_next(at, size)) {
    uint64_t word = seed + at;
    memcpy(bytes + at, &word, sizeof word);
  }
  for (; at < size; at++) bytes[at] = (unsigned char)(seed >> (at & 7) * 8);
}

/* Do the first `length` bytes at `block` hold the start of the pattern that fill(origin, size) wrote? */
static inline bool intact_prefix(const void *block, size_t length, const void *origin, size_t size) {
  const unsigned char *bytes = block;
  uint64_t seed = pattern_seed(origin, size);
  size_t at = 0;
  for (; at + sizeof seed <= size; at = pattern_next(at, size)) {
    uint64_t word = seed + at;
    if (at >= length) return true;
    if (memcmp(bytes + at, &word, length - at < sizeof word ? length - at : sizeof word) != 0) return false;
  }
  for (; at < size && at < length; at++)
    if (bytes[at] != (unsigned char)(seed >> (at & 7) * 8)) return false;
  return true;
}

static inline bool intact(const void *block, size_t size) { return intact_prefix(block, size, block, size); }

static inline bool all_bytes(const void *block, size_t size, unsigned char value) {
  const unsigned char *bytes = block;
  return size == 0 || (bytes[0] == value && memcmp(bytes, bytes + 1, size - 1) == 0);
}

/* Sorted by address, no block may reach into the next one. */
typedef struct extent {
  uintptr_t start, end;
} extent;

static inline int extent_order(const void *left, const void *right) {
  uintptr_t a = ((const extent *)left)->start, b = ((const extent *)right)->start;
  return (a > b) - (a < b);
}

static inline void check_disjoint(extent *blocks, size_t count) {
  qsort(blocks, count, sizeof blocks[0], extent_order);
  for (size_t i = 1; i < count; i++) {
    if (blocks[i - 1].end > blocks[i].start)
      test_fail(__FILE__, __LINE__, "blocks overlap: [%#zx, %#zx) and [%#zx, %#zx)", (size_t)blocks[i - 1].start,
                (size_t)blocks[i - 1].end, (size_t)blocks[i].start, (size_t)blocks[i].end);
  }
}

/* ---- statistics ------------------------------------------------------------------------------------------------------ */

typedef struct stats {
  long long reserved, opened;
  long long hot, floating, reusable, pooled, large;
  long long live, committed, page_tables, limit;
  long long purges, remote_frees, adoptions;
} stats;

/* The value of `key` in the object `object` of a JSON text of two levels. */
static inline long long json_number(const char *json, const char *object, const char *key) {
  char quoted[64];
  snprintf(quoted, sizeof quoted, "\"%s\"", object);
  const char *from = strstr(json, quoted);
  from = from ? strchr(from, '{') : NULL;
  const char *end = from ? strchr(from, '}') : NULL;
  snprintf(quoted, sizeof quoted, "\"%s\"", key);
  const char *at = from ? strstr(from, quoted) : NULL;
  if (!at || !end || at > end) test_fail(__FILE__, __LINE__, "no %s.%s in: %s", object, key, json);
  at += strlen(quoted);
  at += strspn(at, " \t\r\n:");
  char *behind;
  long long value = strtoll(at, &behind, 10);
  if (behind == at) test_fail(__FILE__, __LINE__, "%s.%s is no number in: %s", object, key, json);
  return value;
}

static inline stats stats_parse(const char *json) {
  stats s;
  s.reserved = json_number(json, "arena", "reserved_bytes");
  s.opened = json_number(json, "arena", "spans_opened");
  s.hot = json_number(json, "spans", "hot");
  s.floating = json_number(json, "spans", "floating");
  s.reusable = json_number(json, "spans", "reusable");
  s.pooled = json_number(json, "spans", "pooled");
  s.large = json_number(json, "spans", "large");
  s.live = json_number(json, "bytes", "live");
  s.committed = json_number(json, "bytes", "committed");
  s.page_tables = json_number(json, "bytes", "page_tables");
  s.limit = json_number(json, "bytes", "limit");
  s.purges = json_number(json, "counts", "purges");
  s.remote_frees = json_number(json, "counts", "remote_frees");
  s.adoptions = json_number(json, "counts", "adoptions");
  return s;
}

static inline stats stats_now(void) {
  char json[4096];
  CHECK(scalloc_stats_json(json, sizeof json) < sizeof json);
  return stats_parse(json);
}

/* Every span below the high-water mark is in exactly one count. */
static inline void check_span_sum(stats s) { CHECK_INT(s.hot + s.floating + s.reusable + s.pooled + s.large, ==, s.opened); }

/* Everything allocated since `before` is freed: nothing is live and no span is kept by a purge, at a quiescent point. */
static inline void check_all_returned(stats before) {
  scalloc_purge();
  check_heap();
  stats after = stats_now();
  check_span_sum(after);
  CHECK_INT(after.live, ==, before.live);
  CHECK_INT(after.floating, ==, before.floating);
  CHECK_INT(after.reusable, ==, before.reusable);
  CHECK_INT(after.large, ==, before.large);
  CHECK_INT(after.hot, <=, before.hot);
}

/* ---- this program again ---------------------------------------------------------------------------------------------- */

typedef struct child {
  bool exited; /* and did not die by a signal */
  int code;    /* exit status or signal */
  char err[8192];
} child;

/*
 * Runs this program with argv[1] = mode. environment: NULL or "NAME=value" strings up to a NULL. address_space: bytes for
 * RLIMIT_AS, 0 = as here.
 */
static inline child run_self(const char *mode, char *const *environment, size_t address_space) {
  int ends[2];
  CHECK(pipe(ends) == 0);
  fflush(NULL);
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    for (; environment && *environment; environment++) putenv(*environment);
    if (address_space != 0) setrlimit(RLIMIT_AS, &(struct rlimit){address_space, address_space});
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
    char *arguments[] = {(char *)(uintptr_t) "self", (char *)(uintptr_t)mode, NULL};
    execv("/proc/self/exe", arguments);
    _exit(127);
  }
  close(ends[1]);
  child result = {false, 0, ""};
  size_t length = 0;
  for (ssize_t got; (got = read(ends[0], result.err + length, sizeof result.err - 1 - length)) > 0;) length += (size_t)got;
  close(ends[0]);
  int status;
  CHECK(waitpid(pid, &status, 0) == pid);
  result.exited = WIFEXITED(status);
  result.code = result.exited ? WEXITSTATUS(status) : WTERMSIG(status);
  return result;
}

/* As run_self; the child must succeed. Returns what it wrote to stderr. */
static inline child run_self_ok(const char *mode, char *const *environment, size_t address_space) {
  child result = run_self(mode, environment, address_space);
  if (!result.exited || result.code != 0) {
    test_fail(__FILE__, __LINE__, "child '%s' %s %d; it said: %s", mode, result.exited ? "exited with" : "died by signal",
              result.code, result.err);
  }
  return result;
}

/* ---- command lines --------------------------------------------------------------------------------------------------- */

/* The number behind --name, or `otherwise`. */
static inline long option_number(int argc, char **argv, const char *name, long otherwise) {
  for (int i = 1; i + 1 < argc; i++)
    if (strcmp(argv[i], name) == 0) return strtol(argv[i + 1], NULL, 10);
  return otherwise;
}

#endif
