/*
 * state_pool.c - a fresh state for every request: nothing that one request leaves behind reaches the next, and making it is cheap,
 * as states come into heaps that are emptied and used again.
 *
 *   example-state_pool [REQUESTS]   default 20000, on four threads
 *
 * Each request is limited to one megabyte; one in a hundred wants more and fails alone.
 *
 * Build: cc -pthread state_pool.c $(pkg-config --cflags --libs scalloc-lua lua5.4)
 */
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <scalloc/lua_alloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { THREADS = 4, POOL = THREADS, REQUEST_BYTES = 1 << 20 };

static const char request[] = "local n = ...\n"
                              "assert(visited == nil, 'somebody was here before')\n"
                              "visited = true\n"
                              "local wanted = n % 100 == 0 and 1e6 or 200\n"
                              "local rows = {}\n"
                              "for i = 1, wanted do rows[i] = { id = i, name = 'row ' .. i } end\n"
                              "return #rows\n";

/* ---- the pool: empty heaps ------------------------------------------------------------------------------------------------- */

static struct {
  pthread_mutex_t lock;
  scalloc_lua_heap *heaps[POOL];
  int count;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* A heap from the pool, or a new one. */
static scalloc_lua_heap *take_heap(void) {
  static const scalloc_lua_config config = {.size = sizeof config, .hard_limit = REQUEST_BYTES, .name = "request"};
  pthread_mutex_lock(&pool.lock);
  scalloc_lua_heap *heap = pool.count > 0 ? pool.heaps[--pool.count] : NULL;
  pthread_mutex_unlock(&pool.lock);
  return heap ? heap : scalloc_lua_heap_new(&config);
}

static void give_heap(scalloc_lua_heap *heap) {
  if (heap == NULL) return;
  pthread_mutex_lock(&pool.lock);
  bool kept = pool.count < POOL;
  if (kept) pool.heaps[pool.count++] = heap;
  pthread_mutex_unlock(&pool.lock);
  if (!kept) scalloc_lua_heap_destroy(heap);
}

/* ---- requests ---------------------------------------------------------------------------------------------------------------- */

/* Returns the status of the request; LUA_ERRMEM where it wanted too much. */
static int serve(lua_State *L, long number) {
  int status = luaL_loadstring(L, request);
  lua_pushinteger(L, number);
  return status == LUA_OK ? lua_pcall(L, 1, 1, 0) : status;
}

static int serve_pooled(long number) {
  scalloc_lua_heap *heap = take_heap();
  lua_State *L = heap ? scalloc_lua_newstate_in(heap) : NULL;
  int status = LUA_ERRMEM;
  if (L == NULL) {
    give_heap(heap);
    return status;
  }
  if (scalloc_lua_openlibs(L) == LUA_OK) {
    scalloc_lua_arm(heap); /* the libraries are not the request's */
    status = serve(L, number);
  }
  give_heap(scalloc_lua_close_keep(L, SCALLOC_LUA_CLOSE_FAST));
  return status;
}

/* As it is done without: limits take an allocator of one's own, left out here. */
static int serve_plain(long number) {
  lua_State *L = luaL_newstate();
  if (L == NULL) return LUA_ERRMEM;
  luaL_openlibs(L);
  int status = number % 100 == 0 ? LUA_ERRMEM : serve(L, number);
  lua_close(L);
  return status;
}

typedef struct {
  int (*serve)(long number);
  long first, behind, served, refused;
} worker;

static void *work(void *argument) {
  worker *w = argument;
  for (long n = w->first; n < w->behind; n++) {
    int status = w->serve(n);
    w->served += status == LUA_OK;
    w->refused += status == LUA_ERRMEM;
  }
  return NULL;
}

/* ---- ----------------------------------------------------------------------------------------------------------------------------- */

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool run(const char *name, int (*how)(long number), long requests) {
  pthread_t threads[THREADS];
  worker workers[THREADS];
  long served = 0, refused = 0, share = requests / THREADS;
  double begin = now();
  for (int i = 0; i < THREADS; i++) {
    workers[i] = (worker){.serve = how, .first = share * i, .behind = share * (i + 1)};
    if (pthread_create(&threads[i], NULL, work, &workers[i]) != 0) return false;
  }
  for (int i = 0; i < THREADS; i++) {
    pthread_join(threads[i], NULL);
    served += workers[i].served;
    refused += workers[i].refused;
  }
  printf("%-24s %ld served, %ld refused, %.0f a second\n", name, served, refused, (double)requests / (now() - begin));
  return served + refused == share * THREADS && refused == (share * THREADS + 99) / 100;
}

int main(int argc, char **argv) {
  long requests = argc > 1 ? atol(argv[1]) : 20000;
  bool good = run("luaL_newstate, lua_close", serve_plain, requests);
  good = run("pool of heaps", serve_pooled, requests) && good;
  printf("%d heaps in the pool\n", pool.count);
  while (pool.count > 0) scalloc_lua_heap_destroy(pool.heaps[--pool.count]);
  return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
