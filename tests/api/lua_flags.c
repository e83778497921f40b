/* Heaps for Lua with flags: each does what it says, and all of them remain allocators. */
#include "../test.h"
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <scalloc/lua_alloc.h>
#include <signal.h>

static const size_t tags[] = {0, 4, 5, 6, 7, 8, 9, 10};

static scalloc_lua_heap *new_heap(unsigned flags, size_t prealloc) {
  scalloc_lua_config config = {.size = sizeof config, .flags = flags, .prealloc = prealloc, .name = "test"};
  scalloc_lua_heap *heap = scalloc_lua_heap_new(&config);
  CHECK(heap != NULL);
  return heap;
}

static void *grow(scalloc_lua_heap *heap, void *block, size_t osize, size_t nsize) {
  return scalloc_lua_alloc(heap, block, osize, nsize);
}

static void release(scalloc_lua_heap *heap, void *block, size_t size) {
  CHECK(scalloc_lua_alloc(heap, block, size, 0) == NULL);
}

static scalloc_lua_stats stats_of(scalloc_lua_heap *heap) {
  scalloc_lua_stats s = {.size = sizeof s};
  CHECK(scalloc_lua_stats_read(heap, &s));
  return s;
}

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

static const char workload[] = "local live, sum = {}, 0\n"
                               "for i = 1, 20000 do\n"
                               "  live[i % 300 + 1] = {tostring(i), function() return i end, ('x'):rep(i % 50)}\n"
                               "  sum = sum + live[i % 300 + 1][2]()\n"
                               "end\n"
                               "local co = coroutine.wrap(function() for i = 1, 100 do coroutine.yield(i) end end)\n"
                               "for i = 1, 100 do assert(co() == i) end\n"
                               "assert(load(string.dump(function() return 7 end))() == 7)\n"
                               "return sum";

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

static void child_leak(void) {
  scalloc_lua_config config = {.size = sizeof config, .flags = SCALLOC_LUA_STATS, .name = "leaky"};
  lua_State *L = scalloc_lua_newstate(&config);
  CHECK(L != NULL);
  void *ud;
  lua_Alloc f = lua_getallocf(L, &ud);
  CHECK(f(ud, NULL, 7, 100) != NULL && f(ud, NULL, 0, 23) != NULL);
  scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FULL);
}

static void child_no_leak(void) {
  scalloc_lua_config config = {.size = sizeof config, .flags = SCALLOC_LUA_STATS | SCALLOC_LUA_GUARD};
  lua_State *L = scalloc_lua_newstate(&config);
  CHECK(L != NULL && scalloc_lua_openlibs(L) == LUA_OK && luaL_dostring(L, workload) == LUA_OK);
  scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FULL);
}

static void a_full_close_tells_of_leaks(void) {
  child told = run_self_ok("leak", NULL, 0);
  CHECK(strstr(told.err, "scalloc: Lua heap leaky: 2 blocks, 123 bytes were leaked: 1 of type 0 1 of type 7\n") == told.err);
  CHECK(run_self_ok("no leak", NULL, 0).err[0] == 0);
}

/* ---- GUARD -------------------------------------------------------------------------------------------------------------------- */

static scalloc_lua_heap *guarded(void) { return new_heap(SCALLOC_LUA_GUARD, 0); }

static void child_overflow(void) {
  scalloc_lua_heap *heap = guarded();
  char *block = grow(heap, NULL, 7, 50);
  block[50] = 0;
  release(heap, block, 50);
}
static void child_overflow_resized(void) {
  scalloc_lua_heap *heap = guarded();
  char *block = grow(heap, NULL, 7, 64);
  memset(block, 'x', 72);
  grow(heap, block, 64, 100);
}
static void child_double_free(void) {
  scalloc_lua_heap *heap = guarded();
  void *block = grow(heap, NULL, 7, 50);
  release(heap, block, 50);
  release(heap, block, 50);
}
static void child_wrong_size(void) {
  scalloc_lua_heap *heap = guarded();
  release(heap, grow(heap, NULL, 7, 50), 49);
}
static void child_foreign(void) {
  scalloc_lua_heap *heap = guarded(), *other = guarded();
  release(heap, grow(other, NULL, 7, 50), 50);
}
static void child_stack(void) {
  long local[4] = {0};
  release(guarded(), local, 8);
}
static void child_late_write(void) {
  scalloc_lua_heap *heap = guarded();
  char *block = grow(heap, NULL, 7, 50);
  release(heap, block, 50);
  block[49] = 'x';
  for (int i = 0; i < 100; i++) release(heap, grow(heap, NULL, 5, 56), 56);
}
static void child_not_shared(void) { scalloc_lua_alloc_shared(new_heap(0, 0), NULL, 0, 8); }

static const struct {
  const char *mode;
  void (*run)(void);
  const char *line;
} faults[] = {
    {"overflow", child_overflow, "scalloc: overflow behind "},
    {"overflow resized", child_overflow_resized, "scalloc: overflow behind "},
    {"double free", child_double_free, "scalloc: double free of "},
    {"wrong size", child_wrong_size, "scalloc: wrong size of "},
    {"foreign", child_foreign, "scalloc: invalid pointer "},
    {"stack", child_stack, "scalloc: invalid pointer "},
    {"late write", child_late_write, "scalloc: write after free to "},
    {"not shared", child_not_shared, "scalloc: heap "},
};

static void faults_end_the_process(void) {
  for (size_t i = 0; i < LENGTH(faults); i++) {
    child end = run_self(faults[i].mode, NULL, 0);
    bool told = strncmp(end.err, faults[i].line, strlen(faults[i].line)) == 0;
    if (end.exited || end.code != SIGABRT || !told)
      test_fail(__FILE__, __LINE__, "'%s' %s %d and said: %s", faults[i].mode, end.exited ? "exited" : "signal", end.code,
                end.err);
  }
}

static void the_check_sees_faults_too(void) {
  scalloc_lua_heap *heap = guarded();
  char why[200], *block = grow(heap, NULL, 7, 1000);
  check_heap();
  char was = block[1000];
  block[1000] = 0;
  CHECK(!scalloc_check(why, sizeof why) && strstr(why, "bytes behind a block were written"));
  block[1000] = was;
  check_heap();
  release(heap, block, 1000);
  was = block[500];
  block[500] = 1;
  CHECK(!scalloc_check(why, sizeof why) && strstr(why, "freed block that was written"));
  block[500] = was;
  check_heap();
  scalloc_lua_heap_destroy(heap);
  check_heap();
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

/* ---- LOCKED ------------------------------------------------------------------------------------------------------------------------- */

/* Sanitizers make mlock do nothing. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { MLOCK_LOCKS = 0 };
#else
enum { MLOCK_LOCKS = 1 };
#endif

static void a_locked_heap_never_grows(void) {
  if (!may_lock) return;
  stats before = stats_now();
  long locked = proc_kb("/proc/self/status", "\nVmLck:");
  scalloc_lua_config config = {.size = sizeof config, .flags = SCALLOC_LUA_LOCKED, .prealloc = 2 * MB};
  lua_State *L = scalloc_lua_newstate(&config);
  CHECK(L != NULL && scalloc_lua_openlibs(L) == LUA_OK);
  if (MLOCK_LOCKS) CHECK_INT(proc_kb("/proc/self/status", "\nVmLck:") - locked, >=, 2048);
  stats made = stats_now();
  CHECK(luaL_dostring(L, workload) == LUA_OK);
  lua_settop(L, 0);
  CHECK(luaL_loadstring(L, "local t = {} for i = 1, 1e7 do t[i] = {i} end") == LUA_OK);
  CHECK_INT(lua_pcall(L, 0, 0, 0), ==, LUA_ERRMEM);
  lua_settop(L, 0);
  CHECK(luaL_dostring(L, workload) == LUA_OK);
  stats full = stats_now();
  CHECK_INT(full.committed, ==, made.committed);
  CHECK_INT(full.opened, ==, made.opened);
  CHECK_INT(scalloc_lua_peak(scalloc_lua_heap_of(L), false), <=, 2 * MB);
  CHECK_INT(scalloc_lua_peak(scalloc_lua_heap_of(L), false), >, MB);
  check_heap();
  scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FULL);
  CHECK_INT(proc_kb("/proc/self/status", "\nVmLck:"), ==, locked);
  check_all_returned(before);
}

/* Whoever runs this may be privileged: the child gives that up. */
static void child_may_not_lock(void) {
  CHECK(setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){0, 0}) == 0);
  if (geteuid() == 0) CHECK(setuid(65534) == 0);
  scalloc_lua_config config = {.size = sizeof config, .flags = SCALLOC_LUA_LOCKED, .prealloc = MB};
  stats before = stats_now();
  errno = 0;
  CHECK(scalloc_lua_heap_new(&config) == NULL && (errno == EPERM || errno == ENOMEM));
  check_all_returned(before);
}

static void a_pool_that_is_full_is_followed_by_spans(void) {
  scalloc_lua_heap *heap = new_heap(0, 64 * KB);
  void *blocks[4000];
  CHECK_INT(stats_of(heap).pool_bytes, >=, 64 * KB);
  for (size_t i = 0; i < LENGTH(blocks); i++) CHECK((blocks[i] = grow(heap, NULL, 5, 56)) != NULL);
  CHECK_INT(scalloc_lua_leaks(heap), ==, LENGTH(blocks));
  CHECK_INT(stats_of(heap).hot, >, 0);
  for (size_t i = 0; i < LENGTH(blocks); i++) release(heap, blocks[i], 56);
  CHECK_INT(scalloc_lua_leaks(heap), ==, 0);
  CHECK((blocks[0] = grow(heap, NULL, 5, 60 * KB)) != NULL); /* its pieces have been merged */
  check_heap();
  scalloc_lua_heap_destroy(heap);
}

/* ---- SHARED ------------------------------------------------------------------------------------------------------------------------- */

enum { THREADS = 4, SHARED_OPS = 20000 };
static void *volatile exchange[64];
static pthread_mutex_t exchange_lock = PTHREAD_MUTEX_INITIALIZER;

/* Allocates, and frees what others have allocated; a block's first word is its size. */
static void *share(void *argument) {
  scalloc_lua_heap *heap = argument;
  rng random = {(uint64_t)(uintptr_t)&random};
  for (int op = 0; op < SHARED_OPS; op++) {
    size_t size = 8 + rng_log(&random, 10);
    size_t *block = scalloc_lua_alloc_shared(heap, NULL, 4, size);
    CHECK(block != NULL);
    *block = size;
    size_t i = rng_below(&random, LENGTH(exchange));
    pthread_mutex_lock(&exchange_lock);
    size_t *other = exchange[i];
    exchange[i] = block;
    pthread_mutex_unlock(&exchange_lock);
    if (other) scalloc_lua_alloc_shared(heap, other, *other, 0);
  }
  return NULL;
}

static void threads_share_a_heap(unsigned flags, size_t prealloc) {
  scalloc_lua_heap *heap = new_heap(SCALLOC_LUA_SHARED | flags, prealloc);
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, share, heap) == 0);
  for (int i = 0; i < 100; i++) { /* while they work, each look is of one moment */
    scalloc_lua_stats s = stats_of(heap);
    CHECK_INT(s.used, <=, s.peak);
    CHECK_INT(s.used, >=, 8 * s.blocks);
    CHECK_INT(s.used, <=, 1100 * s.blocks);
  }
  for (int i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  size_t used = 0;
  for (size_t i = 0; i < LENGTH(exchange); i++)
    if (exchange[i]) used += *(size_t *)exchange[i];
  CHECK_INT(scalloc_lua_used(heap), ==, used);
  check_heap();
  for (size_t i = 0; i < LENGTH(exchange); i++)
    if (exchange[i]) release(heap, exchange[i], *(size_t *)exchange[i]), exchange[i] = NULL;
  CHECK_INT(scalloc_lua_used(heap), ==, 0);
  scalloc_lua_heap_destroy(heap);
}

static bool find_out_about_locking(void) {
  scalloc_lua_config config = {.size = sizeof config, .flags = SCALLOC_LUA_LOCKED, .prealloc = 2 * MB};
  scalloc_lua_heap *heap = scalloc_lua_heap_new(&config);
  scalloc_lua_heap_destroy(heap);
  return heap != NULL;
}

int main(int argc, char **argv) {
  for (size_t i = 0; argc > 1 && i < LENGTH(faults); i++)
    if (strcmp(argv[1], faults[i].mode) == 0) return faults[i].run(), 0;
  if (argc > 1 && strcmp(argv[1], "leak") == 0) return child_leak(), 0;
  if (argc > 1 && strcmp(argv[1], "no leak") == 0) return child_no_leak(), 0;
  if (argc > 1 && strcmp(argv[1], "may not lock") == 0) return child_may_not_lock(), 0;
  scalloc_free(scalloc_malloc(1));
  may_lock = find_out_about_locking();
  threads_share_a_heap(0, 0);
  threads_share_a_heap(SCALLOC_LUA_PROFILE | SCALLOC_LUA_GUARD, 0);
  threads_share_a_heap(0, 100000);
#if defined(__SANITIZE_THREAD__)
  return 0; /* the rest has no threads, and takes long */
#endif
  every_combination_is_an_allocator();
  what_makes_no_sense_is_refused();
  a_state_runs_on_each();
  types_are_counted();
  a_full_close_tells_of_leaks();
  faults_end_the_process();
  the_check_sees_faults_too();
  nothing_is_left_to_read();
  types_do_not_share_spans();
  a_locked_heap_never_grows();
  if (MLOCK_LOCKS) run_self_ok("may not lock", NULL, 0);
  a_pool_that_is_full_is_followed_by_spans();
  return 0;
}
