/* Options: each by its environment variable and by scalloc_option_set. One process per setting: they are read once. */
#include "../test.h"

#define SET(text) ((char *[]){(char *)(uintptr_t)(text), NULL})

/* ---- exhaustion: blocks in a list through themselves, so that the test needs no memory of its own --------------------- */

typedef struct node {
  struct node *next;
  size_t size;
} node;

static node *push(node *list, size_t size) {
  node *block = scalloc_malloc(size);
  if (!block) return NULL;
  fill(block + 1, size - sizeof *block);
  block->next = list;
  block->size = size;
  return block;
}

static size_t check_and_free(node *list, size_t every) {
  size_t bytes = 0, index = 0;
  for (node *next, **link = &list; *link; index++) {
    CHECK(intact(*link + 1, (*link)->size - sizeof **link));
    if (index % every != 0)
      link = &(*link)->next;
    else
      next = (*link)->next, bytes += (*link)->size, scalloc_free(*link), *link = next;
  }
  for (node *next; every > 1 && list; list = next) next = list->next, bytes += list->size, scalloc_free(list);
  return bytes;
}

/* Allocates until NULL + ENOMEM; everything stays as it was; after frees there is memory again. */
static size_t exhaust(size_t size, size_t at_most) {
  node *list = NULL, *more;
  size_t bytes = 0;
  errno = 0;
  for (; (more = push(list, size)); list = more) {
    bytes += size;
    CHECK_INT(bytes, <=, at_most);
  }
  CHECK_INT(errno, ==, ENOMEM);
  check_heap();
  errno = 0;
  CHECK(scalloc_calloc(2, size) == NULL && errno == ENOMEM);
  CHECK(list != NULL);
  node *shrunk = scalloc_realloc(list, size / 2); /* a shrink needs no memory, or has it all the same */
  CHECK(shrunk && intact_prefix(shrunk + 1, size / 2 - sizeof *list, list + 1, size - sizeof *list));
  list = shrunk->next;
  scalloc_free(shrunk);
  CHECK_INT(check_and_free(list, 3), ==, bytes - size);
  for (int i = 0; i < 3; i++) {
    CHECK(more = push(NULL, size));
    check_and_free(more, 1);
  }
  check_heap();
  return bytes;
}

static const size_t exhausting_sizes[] = {32, 1000, 20000, 700000, 3000000};

static void child_arena(void) {
  scalloc_free(scalloc_malloc(1));
  CHECK_INT(stats_now().reserved, >, 0);
  CHECK_INT(stats_now().reserved, <=, 256 * MB);
  for (size_t i = 0; i < LENGTH(exhausting_sizes); i++) {
    size_t bytes = exhaust(exhausting_sizes[i], 256 * MB);
    CHECK_INT(bytes, >=, 64 * MB); /* not the whole: spans have tails and classes keep their own */
  }
  CHECK_INT(stats_now().opened << SPAN_SHIFT, <=, 256 * MB);
}

static void child_limit(void) {
  scalloc_free(scalloc_malloc(1));
  CHECK_INT(stats_now().limit, ==, 64 * MB);
  long before = rss_kb();
  for (size_t i = 0; i < LENGTH(exhausting_sizes); i++) {
    size_t bytes = exhaust(exhausting_sizes[i], 64 * MB);
    CHECK_INT(bytes, >=, 32 * MB);
    CHECK_INT(rss_kb() - before, <=, (64 * KB + 8 * KB) * (TEST_TRACKED ? 8 : 5) / 5);
  }
  errno = 0;
  CHECK(!scalloc_malloc(65 * MB) && errno == ENOMEM);
  CHECK(!scalloc_aligned_alloc(4096, 100 * MB) && errno == ENOMEM);
}

/* ---- when memory goes back ------------------------------------------------------------------------------------------- */

static long rss_after_freeing_100_mb(size_t size) {
  static void *blocks[200000];
  size_t count = 100 * MB / size + 1;
  CHECK(count <= LENGTH(blocks));
  memset(blocks, 1, sizeof blocks);
  scalloc_free(scalloc_malloc(size));
  long before = rss_kb();
  for (size_t i = 0; i < count; i++) memset(blocks[i] = scalloc_malloc(size), 1, size);
  CHECK_INT(rss_kb() - before, >=, 98 * KB); /* all but what the first of them had touched before */
  for (size_t i = 0; i < count; i++) scalloc_free(blocks[i]);
  sleep_ms(300);
  for (int i = 0; i < 1000; i++) scalloc_free(scalloc_malloc(size)); /* whatever goes by age may go now */
  return rss_kb() - before;
}

static const size_t purge_sizes[] = {600, 4096, 100000, 3000000};

/* What a thread holds in empty spans of many sizes is no reason for a refusal. */
static void child_small_limit(void) {
  for (int round = 0; round < 3; round++) {
    for (size_t size = 16; size <= MB; size *= 2) scalloc_free(scalloc_malloc(size));
    void *large = scalloc_malloc(7 * MB);
    CHECK(large != NULL);
    scalloc_free(large);
    for (size_t size = 16; size <= MB; size *= 2) {
      void *block = scalloc_malloc(size);
      CHECK(block != NULL);
      scalloc_free(block);
    }
  }
  check_heap();
}

static void child_eager(void) { /* all but a hot span is gone without being asked for */
  for (size_t i = 0; i < LENGTH(purge_sizes); i++)
    CHECK_INT(rss_after_freeing_100_mb(purge_sizes[i]), <=, (long)(6 * KB) + tool_kb(100 * KB));
}

static void child_never(void) {
  for (size_t i = 0; i < LENGTH(purge_sizes); i++) {
    if (TEST_TRACKED && purge_sizes[i] > MB) continue; /* these are purged when they are freed */
    CHECK_INT(rss_after_freeing_100_mb(purge_sizes[i]), >=, 90 * KB);
    CHECK_INT(scalloc_purge(), >=, 90 * MB); /* but at once when asked for */
  }
}

/* ---- the threshold: a full span becomes reusable with the first free above it ------------------------------------------ */

/* Frees of one span's blocks until the count of reusable spans rises, in percent of the span. */
static long percent_until_reusable(void) {
  enum { SIZE = 256, COUNT = 3 * 2097152 / SIZE };
  static void *blocks[COUNT];
  for (size_t i = 0; i < COUNT; i++) CHECK(blocks[i] = scalloc_malloc(SIZE));
  uintptr_t span = (uintptr_t)blocks[COUNT / 2] >> SPAN_SHIFT;
  CHECK((uintptr_t)blocks[COUNT - 1] >> SPAN_SHIFT != span);
  long total = 0, freed = 0;
  for (size_t i = 0; i < COUNT; i++) total += (uintptr_t)blocks[i] >> SPAN_SHIFT == span;
  long long before = stats_now().reusable;
  for (size_t i = 0; i < COUNT; i++) {
    if ((uintptr_t)blocks[i] >> SPAN_SHIFT != span) continue;
    scalloc_free(blocks[i]);
    freed++;
    if (stats_now().reusable > before) return 100 * freed / total;
  }
  return 100;
}

static void child_threshold_0(void) { CHECK_INT(percent_until_reusable(), ==, 0); }
static void child_threshold_20(void) { CHECK_INT(percent_until_reusable(), ==, 20); }
static void child_threshold_100(void) { CHECK_INT(percent_until_reusable(), ==, 100); }

/* ---- the C interface ------------------------------------------------------------------------------------------------- */

static void check_refused(const char *name, long value) {
  errno = 0;
  if (scalloc_option_set(name, value)) test_fail(__FILE__, __LINE__, "%s accepts %ld", name, value);
  CHECK_INT(errno, ==, EINVAL);
}

static void child_set(void) {
  check_refused("SCALLOC_NO_SUCH_OPTION", 1);
  check_refused("", 1);
  check_refused("LIMIT_BYTES", 1);
  check_refused("SCALLOC_REUSE_THRESHOLD", 101);
  check_refused("SCALLOC_REUSE_THRESHOLD", -1);
  check_refused("SCALLOC_PURGE_DELAY_MS", -2);
  check_refused("SCALLOC_LIMIT_BYTES", -1);
  check_refused("SCALLOC_ARENA_BYTES", -1);
  CHECK(scalloc_option_set("SCALLOC_ARENA_BYTES", 256L << 20));
  CHECK(scalloc_option_set("SCALLOC_REUSE_THRESHOLD", 20));
  CHECK(scalloc_option_set("SCALLOC_PURGE_DELAY_MS", -1));
  CHECK(scalloc_option_set("SCALLOC_LIMIT_BYTES", 32L << 20)); /* the environment says 64 MB */
  CHECK(scalloc_option_set("SCALLOC_LIMIT_BYTES", 48L << 20)); /* the last one counts */
  scalloc_free(scalloc_malloc(1));
  CHECK_INT(stats_now().limit, ==, 48 * MB);
  CHECK_INT(stats_now().reserved, <=, 256 * MB);
  CHECK_INT(percent_until_reusable(), ==, 20);
  static const char *const names[] = {"SCALLOC_ARENA_BYTES", "SCALLOC_LIMIT_BYTES", "SCALLOC_REUSE_THRESHOLD",
                                      "SCALLOC_PURGE_DELAY_MS", "SCALLOC_STATS"};
  for (size_t i = 0; i < LENGTH(names); i++) check_refused(names[i], 1); /* too late */
  CHECK_INT(stats_now().limit, ==, 48 * MB);
  exhaust(1000, 48 * MB);
}

static void child_stats_by_set(void) {
  CHECK(scalloc_option_set("SCALLOC_STATS", 1));
  child_arena();
}

static void child_work(void) { /* nothing special: the allocator works */
  static void *blocks[10000];
  for (size_t i = 0; i < LENGTH(blocks); i++) CHECK(blocks[i] = scalloc_malloc(i));
  for (size_t i = 0; i < LENGTH(blocks); i++) scalloc_free(blocks[i]);
  check_heap();
}

static const struct {
  const char *name;
  void (*run)(void);
} modes[] = {{"arena", child_arena},
             {"limit", child_limit},
             {"small limit", child_small_limit},
             {"eager", child_eager},
             {"never", child_never},
             {"threshold 0", child_threshold_0},
             {"threshold 20", child_threshold_20},
             {"threshold 100", child_threshold_100},
             {"set", child_set},
             {"stats by set", child_stats_by_set},
             {"work", child_work}};

/* ---- the parent ------------------------------------------------------------------------------------------------------ */

static void check_says_nothing(const char *mode, char *const *environment) {
  child result = run_self_ok(mode, environment, 0);
  if (result.err[0]) test_fail(__FILE__, __LINE__, "child '%s' with %s says: %s", mode, environment[0], result.err);
}

/* Reported on one line that names the variable, and ignored. */
static void check_bad_value(const char *assignment) {
  char name[64];
  snprintf(name, sizeof name, "%.*s", (int)strcspn(assignment, "="), assignment);
  child result = run_self_ok("work", SET(assignment), 0);
  char *newline = strchr(result.err, '\n');
  if (!newline || newline[1] || !strstr(result.err, name) || strncmp(result.err, "scalloc: ", 9) != 0)
    test_fail(__FILE__, __LINE__, "%s gives on stderr: \"%s\"", assignment, result.err);
}

static void check_prints_stats(const char *mode, char *const *environment) {
  child result = run_self_ok(mode, environment, 0);
  CHECK_INT(stats_parse(result.err).opened, >, 0);
}

/* Whole lines, of which the first is known. */
static void check_begins(const char *mode, char *const *environment, const char *text) {
  child result = run_self_ok(mode, environment, 0);
  size_t length = strlen(result.err);
  if (strncmp(result.err, text, strlen(text)) != 0 || result.err[length - 1] != '\n' || strstr(result.err, "\n\n"))
    test_fail(__FILE__, __LINE__, "child '%s' with %s says: %s", mode, environment[0], result.err);
}

int main(int argc, char **argv) {
  without_quarantine();
  for (size_t i = 0; argc > 1 && i < LENGTH(modes); i++)
    if (strcmp(argv[1], modes[i].name) == 0) return modes[i].run(), 0;
  CHECK_INT(argc, ==, 1);
  check_says_nothing("work", SET("NOT_AN_OPTION_OF_OURS=1"));
  check_says_nothing("arena", SET("SCALLOC_ARENA_BYTES=268435456"));
  check_says_nothing("limit", SET("SCALLOC_LIMIT_BYTES=67108864"));
  check_says_nothing("small limit", SET("SCALLOC_LIMIT_BYTES=8388608"));
  check_says_nothing("eager", SET("SCALLOC_PURGE_DELAY_MS=0"));
  check_says_nothing("never", SET("SCALLOC_PURGE_DELAY_MS=-1"));
  check_says_nothing("threshold 0", SET("SCALLOC_REUSE_THRESHOLD=0"));
  check_says_nothing("threshold 20", SET("SCALLOC_REUSE_THRESHOLD=20"));
  check_says_nothing("threshold 100", SET("SCALLOC_REUSE_THRESHOLD=100"));
  check_says_nothing("set", SET("SCALLOC_LIMIT_BYTES=67108864"));
  check_prints_stats("work", SET("SCALLOC_STATS=1"));
  check_prints_stats("stats by set", SET("SCALLOC_ARENA_BYTES=268435456"));
  check_begins("work", SET("SCALLOC_STATS=2"), "scalloc: of ");
  check_begins("work", SET("SCALLOC_STATS=3"), "# HELP scalloc_");
  check_says_nothing("work", SET("SCALLOC_STATS=0"));
  check_bad_value("SCALLOC_ARENA_BYTES=much");
  check_bad_value("SCALLOC_LIMIT_BYTES=12monkeys");
  check_bad_value("SCALLOC_LIMIT_BYTES=-7");
  check_bad_value("SCALLOC_LIMIT_BYTES=99999999999999999999999999");
  check_bad_value("SCALLOC_REUSE_THRESHOLD=101");
  check_bad_value("SCALLOC_PURGE_DELAY_MS=-2");
  check_bad_value("SCALLOC_PURGE_DELAY_MS=soon");
  return 0;
}
