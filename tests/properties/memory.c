/*
 * memory.c - what the operating system sees: resident pages, page tables, mappings, and the high-water mark of the arena.
 *
 *   real_spans   property 4. Restated: a fresh real span is 64 KB or more; a block of it costs its page all the same. Huge
 *                pages cannot be forced on for a test: the arena must carry the flag that forbids them (nh), which holds with
 *                THP=always too, and have none.
 *   mappings     property 6
 *   any_span     property 18. Restated: each class keeps one hot span, so what one heap needs at once is the most of any class
 *                and one of every other; from the second cycle on, when all classes have theirs, nothing is opened.
 *   decommit     property 21. Restated: pages go by age; eager mode is SCALLOC_PURGE_DELAY_MS=0. A hot span keeps its pages
 *                until scalloc_purge. Page tables are checked where the kernel frees them (6.14 and later).
 */
#include "properties.h"

#include <sys/utsname.h>

/* ---- /proc ------------------------------------------------------------------------------------------------------------ */

typedef struct resident {
  long rss, pte; /* KB */
} resident;

static resident resident_now(void) { return (resident){rss_kb(), pte_kb()}; }

static bool kernel_frees_page_tables(void) {
  struct utsname name;
  CHECK(uname(&name) == 0);
  char *end;
  long major = strtol(name.release, &end, 10), minor = *end == '.' ? strtol(end + 1, NULL, 10) : 0;
  return major > 6 || (major == 6 && minor >= 14);
}

static long mappings_now(void) {
  static char text[1 << 16];
  long lines = 0;
  int file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  CHECK(file >= 0);
  for (ssize_t got; (got = read(file, text, sizeof text)) > 0;)
    for (ssize_t i = 0; i < got; i++) lines += text[i] == '\n';
  close(file);
  return lines;
}

/* Every mapping of the arena: huge pages forbidden, and none there. How many mappings that were. */
static int check_no_huge_pages(void) {
  char line[512];
  bool inside = false;
  int arenas = 0;
  FILE *smaps = fopen("/proc/self/smaps", "re");
  CHECK(smaps != NULL);
  while (fgets(line, sizeof line, smaps)) {
    size_t from, to;
    if (sscanf(line, "%zx-%zx ", &from, &to) == 2 && strchr(line, '-')) {
      inside = to > arena.base && from < arena.base + ((size_t)arena.spans << SPAN_SHIFT);
      arenas += inside;
    } else if (inside && strncmp(line, "AnonHugePages:", 14) == 0) {
      CHECK_INT(strtol(line + 14, NULL, 10), ==, 0);
    } else if (inside && strncmp(line, "VmFlags:", 8) == 0) {
      CHECK(strstr(line, " nh") != NULL);
    }
  }
  fclose(smaps);
  return arenas;
}

/* ---- property 4 ------------------------------------------------------------------------------------------------------- */

static void real_spans(void) {
  enum { HEAPS = 60, BIG_CLASSES = 8 };
  static heap *heaps[HEAPS];
  long n = 0;
  skip_under_sanitizers();
  scalloc_free(scalloc_malloc(1));
  for (int i = 0; i < HEAPS; i++) heaps[i] = heap_create(HEAP_USER);
  long high = arena_high_water();
  resident before = resident_now();
  for (int i = 0; i < HEAPS; i++)
    for (unsigned c = 0; c < CLASSES - BIG_CLASSES; c++, n++) *(char *)heap_allocate_class(heaps[i], c) = 1;
  resident after = resident_now();
  CHECK_INT(arena_high_water(), ==, high + n);
  long metadata = n * (long)SLOT_BYTES / 1024 + 200; /* slots; what the kernel counts in batches */
  printf("%ld spans with a block each: RSS %ld KB, page tables %ld KB\n", n, after.rss - before.rss, after.pte - before.pte);
  CHECK_INT(after.rss - before.rss, <=, n * 2 * PAGE / 1024 + metadata);
  CHECK_INT(after.rss - before.rss, >=, n * PAGE / 1024 - 200); /* they were touched indeed */
  CHECK_INT(after.pte - before.pte, <=, n * PAGE / 1024 + 200);
  CHECK_INT(check_no_huge_pages(), >=, 1);
  for (int i = 0; i < HEAPS; i++) heap_end(heaps[i]);
}

/* ---- property 6 ------------------------------------------------------------------------------------------------------- */

static void mappings(void) {
  enum { AT_ONCE = 20000, SLACK = 4 };
  static void *blocks[2 * AT_ONCE];
  long spans = argument("--spans", 100000), made = 0;
  scalloc_free(scalloc_malloc(1));
  long before = mappings_now();
  for (; made < spans; made += AT_ONCE) {
    for (size_t i = 0; i < LENGTH(blocks); i++) CHECK((blocks[i] = scalloc_malloc(MB)) != NULL);
    CHECK_INT(mappings_now(), <=, before + SLACK);
    for (size_t i = 0; i < LENGTH(blocks); i++) scalloc_free(blocks[(i * 7919 + (size_t)made) % LENGTH(blocks)]);
    size_t bytes = scalloc_purge();
    CHECK_INT(bytes, >=, (AT_ONCE - 1) * MB); /* a page of each block was touched, a span and a half backed by the count */
    CHECK_INT(mappings_now(), <=, before + SLACK);
  }
  CHECK_INT(stats_now().purges, >=, spans);
  printf("%ld spans created, emptied and purged: %ld mappings before, %ld after\n", made, before, mappings_now());
}

/* ---- property 18 ------------------------------------------------------------------------------------------------------ */

enum { CYCLES = 3, BLOCKS_MOST = 400000 };

/* By the owner of the heap. */
static void allocate_and_free(heap *h, unsigned c, size_t *most) {
  void *chain = NULL;
  size_t spans = 0, bytes = 30 * MB;
  if (bytes > BLOCKS_MOST * class_size(c)) bytes = BLOCKS_MOST * class_size(c);
  for (size_t got = 0; got < bytes; got += class_size(c)) {
    void *block = heap_allocate_class(h, c);
    CHECK(block != NULL);
    spans += chain == NULL || span_of(block) != span_of(chain);
    chain = chain_push(chain, block);
  }
  if (spans > *most) *most = spans;
  for (void *below; chain; chain = below) below = *(void **)chain, scalloc_heap_free(h, chain);
}

/* A heap for each class, gone with it: no more is opened than what one class needs at once. */
static void cycle_through_heaps(size_t *most) {
  for (unsigned c = 0; c < CLASSES; c++) {
    heap *h = heap_create(HEAP_USER);
    allocate_and_free(h, c, most);
    heap_end(h);
  }
}

static void any_span(void) {
  size_t most = 0, processors = pool_stacks(), second = 0;
  CHECK(scalloc_option_set("SCALLOC_PURGE_DELAY_MS", -1)); /* spans stay as dirty as their class made them */
  for (int cycle = 0; cycle < 2; cycle++) cycle_through_heaps(&most);
  size_t of_heaps = arena_high_water() - 1;
  CHECK_INT(of_heaps, <=, most + processors);
  for (int cycle = 0; cycle < CYCLES; cycle++) {
    for (unsigned c = 0; c < CLASSES; c++) allocate_and_free(thread_use(), c, &most);
    if (cycle == 1) second = arena_high_water() - 1;
  }
  for (unsigned c = CLASSES; c-- > 0;) allocate_and_free(thread_use(), c, &most); /* and the other way round */
  size_t opened = arena_high_water() - 1;
  printf("at most %zu spans for a class: opened %zu with a heap for each; with one heap %zu after two cycles, %zu after %d\n",
         most, of_heaps, second, opened, CYCLES + 1);
  CHECK_INT(opened, <=, most + CLASSES - 1 + processors);
  CHECK_INT(opened, ==, second);
  take_census();
}

/* ---- property 21 ------------------------------------------------------------------------------------------------------ */

enum { WARM_KB = 2 * 1024, BASE_SLACK_KB = 1024, AMOUNT = 48 << 20 };

static void use_much(unsigned c) {
  void *chain = NULL;
  for (size_t got = 0; got < AMOUNT; got += class_size(c)) {
    void *block = heap_allocate_class(thread_use(), c);
    CHECK(block != NULL);
    memset(block, 0xA5, class_size(c));
    chain = chain_push(chain, block);
  }
  for (void *below; chain; chain = below) below = *(void **)chain, scalloc_free(chain);
}

static void check_given_back(const char *when, unsigned c, resident base, long slack) {
  resident r = resident_now();
  if (r.rss - base.rss > slack || (kernel_frees_page_tables() && r.pte - base.pte > slack))
    test_fail(__FILE__, __LINE__, "%s, blocks of %zu: RSS %+ld KB, page tables %+ld KB", when, class_size(c), r.rss - base.rss,
              r.pte - base.pte);
}

/* Decommitted memory reads zero, and a calloc of it, which trusts that, is zero as well. */
static void check_zero_after_purge(void) {
  size_t size = 40 * MB;
  char *block = scalloc_malloc(size);
  memset(block, 0xA5, size);
  scalloc_free(block);
  scalloc_purge();
  char *again = scalloc_calloc(1, size);
  CHECK(again != NULL && all_bytes(again, size, 0));
  scalloc_free(again);
  scalloc_purge();
  span *s = pool_take(0, 1); /* all of them are clean now */
  CHECK(s && s->dirty == 0 && all_bytes(span_start(s), SPAN_BYTES, 0));
  pool_put(s, 0);
}

static void decommit_in_mode(void) {
  for (unsigned c = 0; c < CLASSES; c += 3) scalloc_free(heap_allocate_class(thread_use(), c)); /* code, tables, slots */
  bool eager = options.purge_delay_ms == 0;
  scalloc_purge();
  resident base = resident_now();
  for (unsigned c = 0; c < CLASSES; c += 3) {
    use_much(c);
    if (eager) check_given_back("eager, before a purge", c, base, WARM_KB + BASE_SLACK_KB);
    if (!eager) CHECK_INT(resident_now().rss - base.rss, >=, AMOUNT / 1024 / 2); /* it was there, and stays for a while */
    scalloc_purge();
    check_given_back("after a purge", c, base, BASE_SLACK_KB);
  }
  check_zero_after_purge();
  resident end = resident_now();
  fprintf(stderr, "%s: RSS %+ld KB, page tables %+ld KB\n", eager ? "eager" : "by age", end.rss - base.rss, end.pte - base.pte);
}

static void decommit(void) {
  skip_under_sanitizers();
  static char eager[] = "SCALLOC_PURGE_DELAY_MS=0", by_age[] = "SCALLOC_PURGE_DELAY_MS=100000";
  if (!kernel_frees_page_tables()) printf("this kernel does not free page tables: only RSS is checked\n");
  printf("%s", run_self_ok("decommit_in_mode", (char *[]){eager, NULL}, 0).err);
  printf("%s", run_self_ok("decommit_in_mode", (char *[]){by_age, NULL}, 0).err);
}

MODES(MODE(real_spans), MODE(mappings), MODE(any_span), MODE(decommit), MODE(decommit_in_mode))
