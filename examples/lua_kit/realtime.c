/*
 * realtime.c - Lua in a loop that must never be late: audio, control, a game's frame. The state lives in memory that is allocated,
 * touched and locked before the loop begins, so that no call of the allocator asks the system for anything, and the collector
 * runs in small steps, a bounded amount in each turn.
 *
 *   example-realtime [TURNS]        default 20000
 *
 * Compares the same script on such a heap and on libc's allocator, and prints how long the turns took, by the clock and in time of
 * the processor. On either side the kernel may take the processor away, which the clock shows; for hard deadlines the thread also
 * needs SCHED_FIFO and a processor of its own.
 *
 * Build: cc realtime.c $(pkg-config --cflags --libs scalloc-lua lua5.4)
 */
#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <scalloc/lua_alloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { POOL_BYTES = 4 << 20, LOCKABLE_BYTES = 8 << 20 };

/* A mixer: voices come and go, each turn makes some garbage. */
static const char program[] =
    "local voices, samples, count = {}, {}, 0\n"
    "function turn(n)\n"
    "  count = count + 1\n"
    "  voices[(count - 1) % 64 + 1] = { note = n % 128, name = 'voice ' .. n % 128, envelope = { n, n / 2, n / 3 }, age = 0 }\n"
    "  if n % 8 == 0 then samples[n // 8 % 64 + 1] = ('s'):rep(n * 7919 % 40000 + 1) end\n"
    "  local mix = {}\n"
    "  for i = 1, #voices do\n"
    "    local v = voices[i]\n"
    "    v.age = v.age + 1\n"
    "    mix[i] = { level = v.envelope[1] / v.age, pan = { left = i / 64, right = 1 - i / 64 } }\n"
    "  end\n"
    "  local sum = 0\n"
    "  for i = 1, #mix do sum = sum + mix[i].level * mix[i].pan.left end\n"
    "  return sum\n"
    "end\n";

typedef struct {
  double median, late, most; /* microseconds; late: one turn in a thousand took longer */
} timing;

typedef struct {
  timing clock, processor;
  double sum; /* what the script computed */
} outcome;

static double now(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static int by_value(const void *left, const void *right) {
  double a = *(const double *)left, b = *(const double *)right;
  return (a > b) - (a < b);
}

/* Before the loop: everything that may take long. */
static void prepare(lua_State *L) {
  luaL_openlibs(L);
  if (luaL_dostring(L, program) != LUA_OK) {
    fprintf(stderr, "realtime: %s\n", lua_tostring(L, -1));
    exit(EXIT_FAILURE);
  }
  lua_gc(L, LUA_GCCOLLECT);
  lua_gc(L, LUA_GCINC, 110, 200, 10); /* cycles follow each other, in steps of 1 KB: the shorter, the less a turn may be late */
  lua_gc(L, LUA_GCSTOP);              /* from here on it runs when the loop says so */
}

/* One turn and its share of the collector's work. */
static double turn(lua_State *L, int n) {
  lua_getglobal(L, "turn");
  lua_pushinteger(L, n);
  lua_call(L, 1, 1);
  double result = lua_tonumber(L, -1);
  lua_pop(L, 1);
  lua_gc(L, LUA_GCSTEP, 20); /* KB: what a turn allocates, and a little more */
  return result;
}

static timing timing_of(double *took, int turns) {
  qsort(took, (size_t)turns, sizeof took[0], by_value);
  return (timing){took[turns / 2], took[turns - 1 - turns / 1000], took[turns - 1]};
}

/* `took` has room for two figures of each turn. */
static outcome run(lua_State *L, int turns, double *took) {
  outcome o = {.sum = 0};
  for (int n = 0; n < turns; n++) {
    double begin = now(CLOCK_MONOTONIC), begin_processor = now(CLOCK_THREAD_CPUTIME_ID);
    o.sum += turn(L, n);
    took[turns + n] = now(CLOCK_THREAD_CPUTIME_ID) - begin_processor;
    took[n] = now(CLOCK_MONOTONIC) - begin;
  }
  o.clock = timing_of(took, turns);
  o.processor = timing_of(took + turns, turns);
  return o;
}

static void show(const char *name, timing t) {
  printf("%-24s median %6.1f us   p99.9 %7.1f us   longest %7.1f us\n", name, t.median, t.late, t.most);
}

int main(int argc, char **argv) {
  int turns = argc > 1 ? atoi(argv[1]) : 20000;
  double *took = turns >= 1000 ? malloc(2 * (size_t)turns * sizeof *took) : NULL;
  if (took == NULL) {
    fprintf(stderr, "usage: realtime [TURNS, 1000 or more]\n");
    return EXIT_FAILURE;
  }
  memset(took, 0, 2 * (size_t)turns * sizeof *took);
  scalloc_lua_config config = {.size = sizeof config, .flags = SCALLOC_LUA_LOCKED, .prealloc = POOL_BYTES, .name = "mixer"};
  lua_State *L = scalloc_lua_newstate(&config), *plain = luaL_newstate();
  if (L == NULL && (errno == EPERM || errno == ENOMEM)) { /* RLIMIT_MEMLOCK: the same memory, touched but not locked */
    printf("memory cannot be locked here (ulimit -l); it is only touched\n");
    config.flags = 0;
    L = scalloc_lua_newstate(&config);
  }
  if (L == NULL || plain == NULL) return EXIT_FAILURE;
  prepare(L);
  prepare(plain);
  outcome libc = run(plain, turns, took), ours = run(L, turns, took);
  scalloc_lua_stats stats = {.size = sizeof stats};
  scalloc_lua_stats_read(scalloc_lua_heap_of(L), &stats);
  show("libc, clock", libc.clock);
  show("libc, processor", libc.processor);
  show("locked pool, clock", ours.clock);
  show("locked pool, processor", ours.processor);
  printf("%d turns; peak %zu of %zu bytes, %llu refusals\n", turns, stats.peak, stats.pool_bytes, stats.refusals);
  bool good = libc.sum == ours.sum && stats.refusals == 0 && stats.peak < stats.pool_bytes;
  scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FAST);
  lua_close(plain);
  free(took);
  return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
