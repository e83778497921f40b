/*
 * server.c - a state on each of several threads, and one limit for all of them together: whoever is busy may use what the others
 * do not, and when it is used up the request that asks for more fails, not the process.
 *
 * Each thread keeps sessions in its state, as a server does; some requests are greedy. A session store that has grown out of
 * proportion is dropped when the heap says that it is above its soft limit.
 *
 * Build: cc -pthread server.c $(pkg-config --cflags --libs scalloc-lua lua5.4)
 */
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <scalloc/lua_alloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 4, REQUESTS = 2000, GROUP_BYTES = 24 << 20, SOFT_BYTES = 6 << 20 };

static const char program[] = "sessions, next_id = {}, 0\n"
                              "function handle(n)\n"
                              "  next_id = next_id + 1\n"
                              "  sessions[next_id] = { user = 'user ' .. n, cart = {}, text = ('.'):rep(n % 3000) }\n"
                              "  if n % 97 == 0 then\n" /* a greedy one */
                              "    local report = {}\n"
                              "    for i = 1, 400000 do report[i] = { i } end\n"
                              "    return #report\n"
                              "  end\n"
                              "  for i = 1, n % 20 do sessions[next_id].cart[i] = { item = i, price = i * 1.5 } end\n"
                              "  return next_id\n"
                              "end\n"
                              "function forget() sessions = {} end\n";

static scalloc_lua_group *group;
static atomic_size_t most_used;
static atomic_bool over;

typedef struct {
  int number;
  volatile bool pressed; /* set inside the allocator, looked at between requests */
  long served, refused, failed, forgotten;
} worker;

static void on_pressure(void *userdata, scalloc_lua_heap *heap, size_t used, size_t limit) {
  (void)heap, (void)used, (void)limit;
  ((worker *)userdata)->pressed = true;
}

static void handle(lua_State *L, worker *w, int n) {
  lua_getglobal(L, "handle");
  lua_pushinteger(L, n);
  int status = lua_pcall(L, 1, 1, 0);
  w->served += status == LUA_OK;
  w->refused += status == LUA_ERRMEM;
  w->failed += status != LUA_OK && status != LUA_ERRMEM;
  lua_settop(L, 0);
}

static void forget(lua_State *L, worker *w) {
  w->pressed = false;
  w->forgotten++;
  lua_getglobal(L, "forget");
  if (lua_pcall(L, 0, 0, 0) != LUA_OK) lua_settop(L, 0);
  lua_gc(L, LUA_GCCOLLECT);
}

/* What all states use together, as far as this thread can see it now. */
static void look(void) {
  size_t used = scalloc_lua_group_used(group), most = atomic_load(&most_used);
  while (used > most && !atomic_compare_exchange_weak(&most_used, &most, used)) {
  }
  if (used > GROUP_BYTES) atomic_store(&over, true);
}

static void *serve(void *argument) {
  worker *w = argument;
  scalloc_lua_config config = {
      .size = sizeof config, .soft_limit = SOFT_BYTES, .group = group, .on_pressure = on_pressure, .userdata = w};
  lua_State *L = scalloc_lua_newstate(&config);
  if (L == NULL || scalloc_lua_openlibs(L) != LUA_OK || luaL_dostring(L, program) != LUA_OK) return NULL;
  scalloc_lua_arm(scalloc_lua_heap_of(L));
  for (int n = 0; n < REQUESTS; n++) {
    handle(L, w, n * THREADS + w->number);
    if (w->pressed) forget(L, w);
    if (n % 16 == 0) look();
  }
  scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FAST);
  return w;
}

int main(void) {
  pthread_t threads[THREADS];
  worker workers[THREADS];
  long served = 0, refused = 0, failed = 0, forgotten = 0, ended = 0;
  group = scalloc_lua_group_new(GROUP_BYTES);
  if (group == NULL) return EXIT_FAILURE;
  for (int i = 0; i < THREADS; i++) {
    workers[i] = (worker){.number = i};
    if (pthread_create(&threads[i], NULL, serve, &workers[i]) != 0) return EXIT_FAILURE;
  }
  for (int i = 0; i < THREADS; i++) {
    void *result;
    pthread_join(threads[i], &result);
    ended += result != NULL;
    served += workers[i].served, refused += workers[i].refused, failed += workers[i].failed, forgotten += workers[i].forgotten;
  }
  printf("%d threads: %ld requests served, %ld refused for lack of memory, %ld failed; sessions dropped %ld times\n", THREADS,
         served, refused, failed, forgotten);
  printf("together they used at most %zu of %d bytes, and %zu after the last close\n", atomic_load(&most_used), GROUP_BYTES,
         scalloc_lua_group_used(group));
  bool good = ended == THREADS && served + refused == (long)THREADS * REQUESTS && served > refused && refused > 0 &&
              forgotten > 0 && !atomic_load(&over) && scalloc_lua_group_used(group) == 0;
  scalloc_lua_group_free(group);
  return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
