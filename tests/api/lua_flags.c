/* Heaps for Lua with flags: each does what it says, and all of them remain allocators. */
#include "lua_flags.h"

static const size_t tags[] = {0, 4, 5, 6, 7, 8, 9, 10};

/* ---- the contract, for each combination ------------------------------------------------------------------------------------ */

enum { SLOTS = 1500 };

typedef struct {
  void *block;
  size_t size;
  int tag;
} slot;

static slot slots[SLOTS];
static size_t walked, walked_bytes;
static bool records;

static void compare(void *userdata, const scalloc_lua_block *block) {
  (void)userdata;
  walked++;
  walked_bytes += block->size;
  CHECK(block->room >= block->size);
  if (!records) return;
  for (size_t i = 0; i < SLOTS; i += 1)
    if (slots[i].block == block->start) {
      CHECK_INT(block->size, ==, slots[i].size);
      CHECK_INT(block->tag, ==, slots[i].tag);
      return;
    }
  CHECK(!"a block that nobody has");
}

static void check_walk(scalloc_lua_heap *heap, size_t live) {
  walked = walked_bytes = 0;
  CHECK_INT(scalloc_lua_walk(heap, compare, NULL), ==, live);
  CHECK_INT(walked, ==, live);
  if (records) CHECK_INT(walked_bytes, ==, scalloc_lua_used(heap));
  check_heap();
}

static void check_model(unsigned flags, size_t prealloc) {
  enum { OPS = 40000 };
  rng random = {flags + 1};
  scalloc_lua_heap *heap = new_heap(flags, prealloc);
  size_t used = 0, live = 0;
  records = flags & (SCALLOC_LUA_STATS | SCALLOC_LUA_PROFILE | SCALLOC_LUA_GUARD);
  for (size_t op = 0; op < OPS; op++) {
    slot *s = &slots[rng_below(&random, SLOTS)];
    size_t size = rng_log(&random, rng_percent(&random, 97) ? 9 : rng_percent(&random, 90) ? 15 : 21);
    if (s->block && rng_percent(&random, 50)) {
      CHECK(intact(s->block, s->size));
      release(heap, s->block, s->size), s->block = NULL;
      used -= s->size, live--;
      continue;
    }
    int tag = s->block ? s->tag : (int)tags[rng_below(&random, LENGTH(tags))];
    size_t old = s->block ? s->size : 0;
    void *block = grow(heap, s->block, s->block ? old : (size_t)tag, size);
    if (block == NULL) {
      CHECK(flags & SCALLOC_LUA_LOCKED && size > old); /* full */
      continue;
    }
    CHECK_INT((uintptr_t)block % (size % 16 == 0 ? 16 : 8), ==, 0);
    if (s->block) CHECK(intact_prefix(block, old < size ? old : size, s->block, old));
    live += !s->block, used += size - old;
    *s = (slot){block, size, tag};
    fill(block, size);
    CHECK_INT(scalloc_lua_used(heap), ==, used);
    if (op % 8000 == 0) check_walk(heap, live);
  }
  check_walk(heap, live);
  CHECK_INT(stats_of(heap).blocks, ==, live);
  for (size_t i = 0; i < SLOTS; i++)
    if (slots[i].block) release(heap, slots[i].block, slots[i].size), slots[i].block = NULL;
  check_walk(heap, 0);
  CHECK_INT(scalloc_lua_used(heap), ==, 0);
  scalloc_lua_heap_destroy(heap);
}

static bool may_lock; /* this process may lock memory */

static void every_combination_is_an_allocator(void) {
  stats before = stats_now();
  for (unsigned flags = 0; flags < 128; flags++) {
    if (flags & SCALLOC_LUA_LOCKED || (flags & (flags - 1) && flags % 3)) continue; /* each flag, and a third of the sets */
    check_model(flags, 0);
    if (!(flags & SCALLOC_LUA_TAG_SEGREGATE)) check_model(flags, 300000);
    if (!(flags & SCALLOC_LUA_TAG_SEGREGATE) && may_lock) check_model(flags | SCALLOC_LUA_LOCKED, 1000000);
  }
  check_all_returned(before);
}

static void what_makes_no_sense_is_refused(void) {
  static const struct {
    unsigned flags;
    size_t prealloc;
  } bad[] = {{128, 0}, {SCALLOC_LUA_LOCKED, 0}, {SCALLOC_LUA_TAG_SEGREGATE, 4096}};
  for (size_t i = 0; i < LENGTH(bad); i++) {
    scalloc_lua_config config = {.size = sizeof config, .flags = bad[i].flags, .prealloc = bad[i].prealloc};
    errno = 0;
    CHECK(scalloc_lua_heap_new(&config) == NULL && errno == EINVAL);
  }
  scalloc_lua_config huge = {.size = sizeof huge, .prealloc = SIZE_MAX / 2};
  errno = 0;
  CHECK(scalloc_lua_heap_new(&huge) == NULL && errno == ENOMEM);
}

/* ---- a state on each ------------------------------------------------------------------------------------------------------- */

static void a_state_runs_on_each(void) {
  stats before = stats_now();
  static const unsigned sets[] = {0, 1, 4, 8, 16, 32, 64, 127 - 2, 127 - 2 - 64};
  for (size_t i = 0; i < LENGTH(sets); i++) {
    scalloc_lua_config config = {.size = sizeof config, .flags = sets[i]};
    lua_State *L = scalloc_lua_newstate(&config);
    CHECK(L != NULL && scalloc_lua_openlibs(L) == LUA_OK);
    CHECK(luaL_dostring(L, workload) == LUA_OK && lua_tointeger(L, -1) == 200010000);
    check_heap();
    scalloc_lua_heap *heap = scalloc_lua_heap_of(L);
    size_t counted = (size_t)lua_gc(L, LUA_GCCOUNT) * 1024 + (size_t)lua_gc(L, LUA_GCCOUNTB);
    CHECK_INT(scalloc_lua_used(heap), ==, counted);
    scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FULL);
  }
  check_all_returned(before);
}

/* ---- STATS and PROFILE ------------------------------------------------------------------------------------------------------- */

static void types_are_counted(void) {
  scalloc_lua_heap *heap = new_heap(SCALLOC_LUA_PROFILE, 0);
  void *tables[10], *string;
  for (size_t i = 0; i < 10; i++) tables[i] = grow(heap, NULL, 5, 56);
  string = grow(heap, NULL, 4, 30);
  string = grow(heap, string, 30, 31);
  string = grow(heap, string, 31, 31);
  string = grow(heap, string, 31, 20);
  scalloc_lua_alloc(heap, NULL, 0, 0);
  scalloc_lua_stats s = stats_of(heap);
  CHECK_INT(s.tags[5].live, ==, 10);
  CHECK_INT(s.tags[5].bytes, ==, 560);
  CHECK_INT(s.tags[4].live, ==, 1);
  CHECK_INT(s.tags[4].bytes, ==, 20);
  CHECK_INT(s.tags[0].live, ==, 0);
  CHECK_INT(s.calls.made, ==, 11);
  CHECK_INT(s.calls.grown, ==, 1);
  CHECK_INT(s.calls.same, ==, 1);
  CHECK_INT(s.calls.shrunk, ==, 1);
  CHECK_INT(s.calls.nothing, ==, 1);
  CHECK_INT(s.handed_out, ==, 560 + 30 + 1);
  for (size_t i = 0; i < 10; i++) release(heap, tables[i], 56);
  release(heap, string, 20);
  s = stats_of(heap);
  CHECK_INT(s.calls.freed, ==, 11);
  CHECK_INT(s.tags[5].live + s.tags[4].live + s.tags[5].bytes, ==, 0);
  CHECK_INT(s.tags[5].made, ==, 10);
  CHECK_INT(s.tags[5].made_bytes, ==, 560);
  unsigned long long freed = 0;
  for (size_t i = 0; i < SCALLOC_LUA_LIFETIMES; i++) freed += s.lifetimes[i];
  CHECK_INT(freed, ==, 11);
  CHECK_INT(s.lifetimes[9], >=, 1); /* the first table: 591 bytes, to 16 */
  scalloc_lua_heap_destroy(heap);
}

/* ---- ZERO_ON_FREE --------------------------------------------------------------------------------------------------------------- */

static const char secret[] = "a secret of 48 bytes that must not stay in memory";

/* Looks at memory that is nobody's, which tools forbid; tracked builds clear it anyway. */
static void nothing_is_left_to_read(void) {
  enum { COUNT = 500 };
  static char *blocks[COUNT];
  if (TEST_TRACKED) return;
  for (int round = 0; round < 3; round++) { /* freed, moved, ended */
    scalloc_lua_heap *heap = new_heap(SCALLOC_LUA_ZERO_ON_FREE, 0);
    for (size_t i = 0; i < COUNT; i++) {
      memcpy(blocks[i] = grow(heap, NULL, 4, 64 + 16 * (i % 10)), secret, sizeof secret);
    }
    for (size_t i = 0; i < COUNT && round < 2; i++) {
      if (round == 0) release(heap, blocks[i], 64 + 16 * (i % 10));
      if (round == 1) CHECK(memcmp(grow(heap, blocks[i], 64 + 16 * (i % 10), 5000), secret, sizeof secret) == 0);
    }
    if (round == 2) scalloc_lua_heap_destroy(heap);
    for (size_t i = 0; i < COUNT; i++) CHECK(all_bytes(blocks[i] + 8, 40, 0)); /* behind the link of a free block */
    if (round < 2) scalloc_lua_heap_destroy(heap);
  }
  scalloc_lua_heap *heap = new_heap(SCALLOC_LUA_ZERO_ON_FREE, 0);
  char *block = grow(heap, NULL, 4, 100);
  memset(block, 'x', 100);
  block = grow(heap, block, 100, 100 - 1); /* stays or moves */
  CHECK(all_bytes(block, 99, 'x'));
  scalloc_lua_heap_destroy(heap);
}

/* ---- TAG_SEGREGATE ---------------------------------------------------------------------------------------------------------------- */

static void types_do_not_share_spans(void) {
  static const int parts[] = {[0] = 0, [4] = 1, [5] = 2, [6] = 3, [7] = 4, [8] = 4, [9] = 3, [10] = 3};
  enum { COUNT = 4000 };
  static struct {
    uintptr_t span;
    int part;
    char *block;
    size_t size;
  } seen[COUNT];
  rng random = {9};
  scalloc_lua_heap *heap = new_heap(SCALLOC_LUA_TAG_SEGREGATE, 0);
  for (size_t i = 0; i < COUNT; i++) {
    size_t tag = tags[i % LENGTH(tags)], size = rng_log(&random, 10);
    seen[i].block = grow(heap, NULL, tag, size);
    seen[i].size = rng_log(&random, 10);
    CHECK((seen[i].block = grow(heap, seen[i].block, size, seen[i].size)) != NULL); /* stays with its type */
    seen[i].span = (uintptr_t)seen[i].block >> SPAN_SHIFT;
    seen[i].part = parts[tag];
  }
  for (size_t i = 0; i < COUNT; i++)
    for (size_t k = 0; k < i; k++) CHECK(seen[i].span != seen[k].span || seen[i].part == seen[k].part);
  for (size_t i = 0; i < COUNT; i++) release(heap, seen[i].block, seen[i].size);
  CHECK_INT(scalloc_lua_used(heap), ==, 0);
  scalloc_lua_heap_destroy(heap);
}

int main(int argc, char **argv) {
  if (argc > 1 && (faults_child(argv[1]) || locked_child(argv[1]))) return 0;
  scalloc_free(scalloc_malloc(1));
  may_lock = locked_possible();
  shared_run();
#if defined(__SANITIZE_THREAD__)
  return 0; /* the rest has no threads, and takes long */
#endif
  every_combination_is_an_allocator();
  what_makes_no_sense_is_refused();
  a_state_runs_on_each();
  types_are_counted();
  faults_run();
  nothing_is_left_to_read();
  types_do_not_share_spans();
  locked_run(may_lock);
  return 0;
}
