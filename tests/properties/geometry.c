/*
 * geometry.c - where blocks lie: found by arithmetic, in spans of one class with a fixed geometry, ascending while fresh.
 *
 *   lookup    property 1
 *   classes   property 3. Restated: real spans grow. A class has a first real span (64 KB, or 32 blocks if that is more) that
 *             doubles up to the virtual span of 2 MB; the threshold is a percentage of the blocks that it has room for at the
 *             time. Up to 15 pages of colour come off a full span of the classes up to 32 KB.
 *   fresh     property 11
 */
#include "properties.h"

/* ---- property 1 ------------------------------------------------------------------------------------------------------- */

enum { LOOKUPS = 200000, KEPT = 512 };

static void check_lookup(rng *random, char *block, size_t size) {
  uintptr_t offset = (uintptr_t)block - arena.base;
  CHECK(offset < (size_t)arena.spans << SPAN_SHIFT);
  const span *s = span_at((uint32_t)(offset >> SPAN_SHIFT));
  CHECK(s == span_of(block));
  CHECK_INT(s->block, >=, size);
  CHECK_INT(s->block, ==, class_size(s->class_index));
  size_t in_span = offset & (SPAN_BYTES - 1);
  CHECK(in_span >= s->first && in_span + s->block <= s->limit);
  CHECK_INT((in_span - s->first) % s->block, ==, 0);
  CHECK_INT(class_block_index(s->class_index, in_span - s->first), ==, (in_span - s->first) / s->block);
  scalloc_block found;
  CHECK(scalloc_find(block + rng_below(random, s->block), &found));
  CHECK(found.start == block && found.size == s->block);
  CHECK_INT(scalloc_usable_size(block), ==, s->block);
}

/* A thread may read the base before another thread makes the arena, and the opened length afterwards: nothing lies inside. */
static void check_before_the_arena(void) {
  int here;
  CHECK(arena.spans == 0);
  word_store_relaxed(&arena.opened, ARENA_BYTES_MAX);
  CHECK(!span_has(NULL) && !span_has(&here) && !span_has(&arena));
  word_store_relaxed(&arena.opened, 0);
}

static void lookup(void) {
  static char *kept[KEPT];
  rng random = {1};
  long count = argument("--count", LOOKUPS);
  check_before_the_arena();
  for (long i = 0; i < count; i++) {
    char **at = &kept[rng_below(&random, KEPT)];
    size_t size = rng_percent(&random, 90) ? rng_log(&random, 20) : rng_below(&random, LARGE_MIN + 1);
    scalloc_free(*at);
    CHECK(*at = scalloc_malloc(size));
    check_lookup(&random, *at, size);
  }
  for (size_t size = 0; size <= 5000; size++) {
    char *block = scalloc_malloc(size);
    check_lookup(&random, block, size);
    scalloc_free(block);
  }
  check_heap();
}

/* ---- property 3 ------------------------------------------------------------------------------------------------------- */

/* The class table: bytes of a block, KB of the first real span, blocks in it, blocks in 2 MB. */
static const struct {
  unsigned size, kb, first, full;
} table[] = {
    {8, 64, 8192, 262144},  {16, 64, 4096, 131072}, {24, 64, 2730, 87381},  {32, 64, 2048, 65536}, {40, 64, 1638, 52428},
    {48, 64, 1365, 43690},  {56, 64, 1170, 37449},  {64, 64, 1024, 32768},  {80, 64, 819, 26214},  {96, 64, 682, 21845},
    {112, 64, 585, 18724},  {128, 64, 512, 16384},  {144, 64, 455, 14563},  {160, 64, 409, 13107}, {176, 64, 372, 11915},
    {192, 64, 341, 10922},  {208, 64, 315, 10082},  {224, 64, 292, 9362},   {240, 64, 273, 8738},  {256, 64, 256, 8192},
    {320, 64, 204, 6553},   {384, 64, 170, 5461},   {448, 64, 146, 4681},   {512, 64, 128, 4096},  {640, 64, 102, 3276},
    {768, 64, 85, 2730},    {896, 64, 73, 2340},    {1024, 64, 64, 2048},   {1280, 64, 51, 1638},  {1536, 64, 42, 1365},
    {1792, 64, 36, 1170},   {2048, 64, 32, 1024},   {2560, 128, 51, 819},   {3072, 128, 42, 682},  {3584, 128, 36, 585},
    {4096, 128, 32, 512},   {5120, 256, 51, 409},   {6144, 256, 42, 341},   {7168, 256, 36, 292},  {8192, 256, 32, 256},
    {10240, 512, 51, 204},  {12288, 512, 42, 170},  {14336, 512, 36, 146},  {16384, 512, 32, 128}, {20480, 1024, 51, 102},
    {24576, 1024, 42, 85},  {28672, 1024, 36, 73},  {32768, 1024, 32, 64},  {40960, 2048, 51, 51}, {49152, 2048, 42, 42},
    {57344, 2048, 36, 36},  {65536, 2048, 32, 32},  {81920, 2048, 25, 25},  {98304, 2048, 21, 21}, {114688, 2048, 18, 18},
    {131072, 2048, 16, 16}, {163840, 2048, 12, 12}, {196608, 2048, 10, 10}, {229376, 2048, 9, 9},  {262144, 2048, 8, 8},
    {327680, 2048, 6, 6},   {393216, 2048, 5, 5},   {458752, 2048, 4, 4},   {524288, 2048, 4, 4},  {655360, 2048, 3, 3},
    {786432, 2048, 2, 2},   {917504, 2048, 2, 2},   {1048576, 2048, 2, 2},
};

static void check_sizes_around(unsigned c) {
  size_t size = table[c].size;
  CHECK_INT(class_size(c), ==, size);
  CHECK_INT(class_of(size), ==, c);
  if (c > 0) CHECK_INT(class_of(table[c - 1].size + 1), ==, c);
  if (size > 8) CHECK_INT(class_of(size - 1), ==, c);
  if (c + 1 < CLASSES) CHECK_INT(class_of(size + 1), ==, c + 1);
  for (size_t asked = size - 1; asked <= size + 1; asked++) {
    size_t least = asked <= size ? size : c + 1 < CLASSES ? table[c + 1].size : (size + PAGE);
    if (least % 16 != 0 && least < 64) least += 8; /* blocks of malloc are 16-aligned */
    CHECK_INT(scalloc_good_size(asked), ==, least);
    void *block = scalloc_malloc(asked);
    CHECK_INT(scalloc_usable_size(block), ==, least);
    scalloc_free(block);
  }
}

/* Every block of one span of the class: how many there are at first, and in the end. */
static void check_span_of_class(unsigned c) {
  heap *h = heap_create(HEAP_USER);
  char *block = heap_allocate_class(h, c);
  const span *s = span_of(block);
  CHECK_INT(s->class_index, ==, c);
  CHECK_INT(s->block, ==, table[c].size);
  CHECK_INT(s->first % (table[c].size & -table[c].size), ==, 0);
  CHECK(s->first % PAGE == 0 && s->first < REAL_SPAN_MIN);
  size_t room = SPAN_BYTES - s->first, kb = room < table[c].kb * KB ? room / KB : table[c].kb;
  CHECK_INT(s->limit - s->first, ==, kb * KB);
  CHECK_INT(span_blocks(s), ==, kb * KB / table[c].size);
  if (s->first == 0) CHECK_INT(span_blocks(s), ==, table[c].first);
  CHECK_INT(span_threshold(s), ==, span_blocks(s) * options.reuse_threshold / 100);
  uint32_t n = 0;
  for (; span_of(block) == s; block = heap_allocate_class(h, c)) {
    CHECK_INT(block - span_start(s), ==, s->first + n++ * table[c].size);
    size_t grown = (s->limit - s->first) / (kb * KB);
    CHECK(s->limit == SPAN_BYTES || (grown & (grown - 1)) == 0);      /* by doubling */
    CHECK_INT(n, >, grown == 1 ? 0 : grown / 2 * table[c].first - 1); /* not before its blocks are used up */
  }
  CHECK_INT(n, ==, room / table[c].size);
  if (s->first == 0) CHECK_INT(n, ==, table[c].full);
  CHECK_INT(s->limit, ==, SPAN_BYTES);
  CHECK_INT(s->reusable_below, ==, n - n * options.reuse_threshold / 100);
  heap_end(h);
  scalloc_purge(); /* a backed span in the pool would be taken before this one's successor grows */
}

static void classes(void) {
  _Static_assert(LENGTH(table) == CLASSES, "every class is in the table");
  scalloc_free(scalloc_malloc(1));
  for (unsigned c = 0; c < CLASSES; c++) check_sizes_around(c);
  for (unsigned c = 0; c < CLASSES; c++) check_span_of_class(c);
  for (size_t size = 1; size <= LARGE_MIN; size++) {
    unsigned c = class_of(size);
    if (table[c].size < size || (c > 0 && table[c - 1].size >= size))
      test_fail(__FILE__, __LINE__, "class of %zu: %u", size, c);
    if (size >= 16) CHECK_INT((table[c].size - size) * 4, <, size * 4 < 256 ? 64 : size);
  }
  printf("%d classes\n", CLASSES);
}

/* ---- property 11 ------------------------------------------------------------------------------------------------------ */

/* All blocks of a span in the order in which they were handed out, then freed by who asked for them. */
static void ascend(heap *h, unsigned c) {
  char *block = heap_allocate_class(h, c);
  const span *s = span_of(block);
  CHECK(block == span_start(s) + s->first);
  size_t n = 1;
  for (char *next; span_of(next = heap_allocate_class(h, c)) == s; block = next, n++)
    CHECK_INT(next - block, ==, class_size(c));
  CHECK_INT(n, >=, span_blocks(s));
}

/* New from the arena, then again with the same spans, dirty and full of old links. */
static void fresh(void) {
  scalloc_free(scalloc_malloc(1));
  for (unsigned c = 0; c < CLASSES; c++) {
    for (int life = 0; life < 2; life++) {
      size_t pooled = pooled_now();
      uint32_t opened = arena_high_water();
      heap *h = heap_create(HEAP_USER);
      if (life == 0) CHECK_INT(pooled, ==, 0);
      ascend(h, c);
      if (life == 0) CHECK_INT(arena_high_water(), >=, opened + 2);
      if (life == 1) CHECK_INT(arena_high_water(), ==, opened);
      heap_end(h);
    }
    for (span *s; (s = pool_take(0, 1)) != NULL;)
      span_set_state(s, SPAN_TAIL); /* out of the way: the next class starts fresh */
  }
}

MODES(MODE(lookup), MODE(classes), MODE(fresh))
