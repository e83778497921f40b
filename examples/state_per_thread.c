/*
 * state_per_thread.c - one Lua state for each thread, all at work at once, their results collected.
 *
 * A state's heap is used by its thread alone, so an allocation in one state takes no lock and no atomic operation, and shares
 * no cache line with another. Each thread counts the primes of its own part of 1 .. LIMIT with a table for a sieve; the parts
 * must add up to what is known.
 *
 * Usage: state_per_thread [THREADS]   (1 to 64, default 4)
 */
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <scalloc/lua_alloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { LIMIT = 1000000, PRIMES = 78498, MOST_THREADS = 64 };

static const char program[] = "local from, to = ...\n"
                              "local composite, count = {}, 0\n"
                              "for divisor = 2, math.floor(math.sqrt(to)) do\n"
                              "  local first = math.max(divisor, (from + divisor - 1) // divisor) * divisor\n"
                              "  for n = first, to, divisor do composite[n - from + 1] = { n, divisor } end\n"
                              "end\n"
                              "for n = math.max(from, 2), to do\n"
                              "  if not composite[n - from + 1] then count = count + 1 end\n"
                              "end\n"
                              "return count\n";

typedef struct part {
  pthread_t thread;
  int from, to; /* the task */
  int primes;   /* the result; -1: failed */
  size_t peak;  /* bytes its state used at most */
} part;

/* Runs the program in L and returns what it returned, or -1. */
static int count_primes(lua_State *L, const part *p) {
  luaL_openlibs(L);
  if (luaL_loadstring(L, program) != LUA_OK) return -1;
  lua_pushinteger(L, p->from);
  lua_pushinteger(L, p->to);
  if (lua_pcall(L, 2, 1, 0) != LUA_OK) return -1;
  return (int)lua_tointeger(L, -1);
}

static void *work(void *argument) {
  part *p = argument;
  lua_State *L = scalloc_lua_newstate(NULL);
  p->primes = -1;
  if (L == NULL) return NULL;
  p->primes = count_primes(L, p);
  p->peak = scalloc_lua_peak(scalloc_lua_heap_of(L), false);
  scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FULL);
  return NULL;
}

/* Starts the threads on equal parts, waits for all, prints the results; the sum, or -1 if anything failed. */
static int run(part *parts, int threads) {
  int started = 0, sum = 0;
  for (; started < threads; started++) {
    part *p = &parts[started];
    p->from = (int)((long)LIMIT * started / threads) + 1;
    p->to = (int)((long)LIMIT * (started + 1) / threads);
    if (pthread_create(&p->thread, NULL, work, p) != 0) break;
  }
  if (started < threads) sum = -1;
  for (int i = 0; i < started; i++) {
    const part *p = &parts[i];
    pthread_join(p->thread, NULL);
    printf("thread %d: %7d .. %7d  %6d primes, %5.1f MB at the peak\n", i, p->from, p->to, p->primes, (double)p->peak / 1e6);
    sum = sum < 0 || p->primes < 0 ? -1 : sum + p->primes;
  }
  return sum;
}

int main(int argc, char **argv) {
  static part parts[MOST_THREADS];
  char *end = "";
  long threads = argc > 1 ? strtol(argv[1], &end, 10) : 4;
  if (argc > 2 || *end != '\0' || threads < 1 || threads > MOST_THREADS) {
    fprintf(stderr, "usage: state_per_thread [THREADS]   (1 to %d)\n", MOST_THREADS);
    return 2;
  }
  int sum = run(parts, (int)threads);
  char why[256] = "";
  bool sound = scalloc_check(why, sizeof why);
  printf("together: %d primes up to %d, %d expected; the allocator is %s%s\n", sum, LIMIT, PRIMES,
         sound ? "sound" : "broken: ", why);
  return sum == PRIMES && sound ? EXIT_SUCCESS : EXIT_FAILURE;
}
