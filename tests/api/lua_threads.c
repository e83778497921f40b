/* States with limits and flags that go from thread to thread, are closed by others, and survive forks. */
#include "../test.h"
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <scalloc/lua_alloc.h>
#include <sched.h>

enum { STATES = 12, THREADS = 4, TURNS = 60 };

static const unsigned sets[] = {0, SCALLOC_LUA_STATS, SCALLOC_LUA_SHARED, SCALLOC_LUA_GUARD, SCALLOC_LUA_TAG_SEGREGATE, 0};

static const char step[] = "n = (n or 0) + 1 t = t or {} t[n % 50 + 1] = {n, tostring(n), function() return n end}\n"
                           "for i = 1, 500 do local x = {i} end return n";

static scalloc_lua_group *group;

static lua_State *new_state(size_t i) {
  scalloc_lua_config config = {.size = sizeof config,
                               .flags = sets[i % LENGTH(sets)],
                               .group = i % 2 ? group : NULL,
                               .hard_limit = 3 * MB,
                               .prealloc = i % LENGTH(sets) == 5 ? 100 * KB : 0};
  lua_State *L = scalloc_lua_newstate(&config);
  CHECK(L != NULL && scalloc_lua_openlibs(L) == LUA_OK);
  scalloc_lua_arm(scalloc_lua_heap_of(L));
  return L;
}

static lua_Integer run_step(lua_State *L) {
  CHECK(luaL_dostring(L, step) == LUA_OK);
  lua_Integer n = lua_tointeger(L, -1);
  lua_settop(L, 0);
  return n;
}

/* ---- from thread to thread -------------------------------------------------------------------------------------------------- */

static struct {
  pthread_mutex_t lock;
  lua_State *L;
  int turns;
} slots[STATES];

/* Takes whatever state is free, runs it, now and then closes it and makes another in its place. */
static void *work(void *argument) {
  rng random = {(uint64_t)(uintptr_t)argument};
  for (int turn = 0; turn < TURNS; turn++) {
    size_t i = rng_below(&random, STATES);
    pthread_mutex_lock(&slots[i].lock);
    CHECK_INT(run_step(slots[i].L), ==, ++slots[i].turns);
    if (rng_percent(&random, 10)) {
      scalloc_lua_close(slots[i].L, turn % 2 ? SCALLOC_LUA_CLOSE_FULL : SCALLOC_LUA_CLOSE_FAST);
      slots[i].L = new_state(i);
      slots[i].turns = 0;
    }
    pthread_mutex_unlock(&slots[i].lock);
  }
  return NULL;
}

static void states_go_from_thread_to_thread(void) {
  stats before = stats_now();
  pthread_t threads[THREADS];
  CHECK((group = scalloc_lua_group_new(30 * MB)) != NULL);
  for (size_t i = 0; i < STATES; i++) {
    pthread_mutex_init(&slots[i].lock, NULL);
    slots[i].L = new_state(i);
    slots[i].turns = 0;
  }
  for (size_t i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, work, (void *)(i + 1)) == 0);
  for (size_t i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  check_heap();
  for (size_t i = 0; i < STATES; i++) {
    CHECK_INT(run_step(slots[i].L), ==, slots[i].turns + 1);
    scalloc_lua_close(slots[i].L, SCALLOC_LUA_CLOSE_FULL);
  }
  CHECK_INT(scalloc_lua_group_used(group), ==, 0);
  scalloc_lua_group_free(group);
  check_all_returned(before);
}

/* ---- a heap that threads use together, under a state that was adopted ---------------------------------------------------- */

static bool enough;
static size_t borrowed;

static void *borrow(void *heap) {
  while (!__atomic_load_n(&enough, __ATOMIC_ACQUIRE)) {
    void *block = scalloc_lua_alloc_shared(heap, NULL, 0, 48);
    CHECK(block != NULL);
    scalloc_lua_alloc_shared(heap, block, 48, 0);
    __atomic_add_fetch(&borrowed, 1, __ATOMIC_RELAXED);
  }
  return NULL;
}

/* The state gives up what it had before, and lets other parts come over, while others use its heap: no byte is lost. */
static void an_adopted_heap_is_shared(void) {
  lua_State *L = luaL_newstate();
  CHECK(L != NULL);
  CHECK(luaL_dostring(L, "t, u = {}, {} for i = 1, 200000 do t[i] = {i} end for i = 1, 20000 do u[i] = {} end") == LUA_OK);
  scalloc_lua_config config = {.size = sizeof config, .flags = SCALLOC_LUA_SHARED};
  scalloc_lua_heap *heap = scalloc_lua_adopt(L, &config);
  pthread_t thread;
  CHECK(heap != NULL && pthread_create(&thread, NULL, borrow, heap) == 0);
  while (__atomic_load_n(&borrowed, __ATOMIC_RELAXED) < 100) sched_yield();
  CHECK(luaL_dostring(L, "t = nil for i = 1, 20000 do u[i][1] = i u[i][2] = i end") == LUA_OK);
  lua_gc(L, LUA_GCCOLLECT);
  __atomic_store_n(&enough, true, __ATOMIC_RELEASE);
  CHECK(pthread_join(thread, NULL) == 0);
  CHECK_INT(scalloc_lua_used(heap), ==, (size_t)lua_gc(L, LUA_GCCOUNT) * 1024 + (size_t)lua_gc(L, LUA_GCCOUNTB));
  scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FULL);
}

/* TSan ends a child of a fork that came while threads ran; ASan may hang there in its own lock. */
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)

/* ---- forks -------------------------------------------------------------------------------------------------------------------- */

/* The parent's states run in the child, with their groups and limits, and close in each mode. */
static void child_of_a_fork(lua_State **states) {
  for (size_t i = 0; i < STATES; i++) {
    scalloc_lua_heap *heap = scalloc_lua_heap_of(states[i]);
    CHECK_INT(run_step(states[i]), ==, 2);
    CHECK(luaL_loadstring(states[i], "local t = {} for i = 1, 1e6 do t[i] = {i} end") == LUA_OK);
    CHECK_INT(lua_pcall(states[i], 0, 0, 0), ==, LUA_ERRMEM); /* the limit holds here, too */
    lua_settop(states[i], 0);
    CHECK_INT(scalloc_lua_peak(heap, false), <=, 3 * MB);
    scalloc_lua_close(states[i], (scalloc_lua_close_mode)(i % 3));
  }
  CHECK_INT(scalloc_lua_group_used(group), ==, 0);
  lua_State *L = new_state(1);
  CHECK_INT(run_step(L), ==, 1);
  scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FULL);
  check_heap();
  _exit(0);
}

static volatile bool stop;
static lua_State *volatile busy_state;

/* While others fork this one makes, runs and closes states in a group. */
static void *keep_busy(void *argument) {
  (void)argument;
  while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
    lua_State *L = new_state(1);
    __atomic_store_n(&busy_state, L, __ATOMIC_RELEASE);
    run_step(L);
    __atomic_store_n(&busy_state, NULL, __ATOMIC_RELEASE);
    scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FULL);
  }
  return NULL;
}

static void wait_for(pid_t pid) {
  int status;
  CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void states_survive_forks(void) {
  lua_State *states[STATES];
  CHECK((group = scalloc_lua_group_new(100 * MB)) != NULL);
  for (size_t i = 0; i < STATES; i++) CHECK_INT(run_step(states[i] = new_state(i)), ==, 1);
  pid_t pid = fork();
  if (pid == 0) child_of_a_fork(states);
  wait_for(pid);
  for (size_t i = 0; i < STATES; i++) CHECK_INT(run_step(states[i]), ==, 2); /* of the child nothing is seen here */
  for (size_t i = 0; i < STATES; i++) scalloc_lua_close(states[i], SCALLOC_LUA_CLOSE_FULL);
  scalloc_lua_group_free(group);
}

/* The state that another thread was running is cut off anywhere; the child lets it be, or discards it, and makes its own. */
static void forks_come_at_any_moment(void) {
  pthread_t thread;
  CHECK((group = scalloc_lua_group_new(100 * MB)) != NULL);
  CHECK(pthread_create(&thread, NULL, keep_busy, NULL) == 0);
  for (int i = 0; i < 40; i++) {
    pid_t pid = fork();
    if (pid == 0) {
      lua_State *cut_off = busy_state;
      for (int k = 0; k < 3; k++) {
        lua_State *L = new_state(1);
        CHECK_INT(run_step(L), ==, 1);
        scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FULL);
      }
      if (cut_off && i % 2) scalloc_lua_close(cut_off, SCALLOC_LUA_CLOSE_DISCARD);
      check_heap();
      _exit(0);
    }
    wait_for(pid);
  }
  __atomic_store_n(&stop, true, __ATOMIC_RELEASE);
  CHECK(pthread_join(thread, NULL) == 0);
  CHECK_INT(scalloc_lua_group_used(group), ==, 0);
  scalloc_lua_group_free(group);
}

/* ---- forks beside a heap that threads share ------------------------------------------------------------------------------- */

static void *use_shared(void *heap) {
  for (size_t i = 0; !__atomic_load_n(&stop, __ATOMIC_ACQUIRE); i++) {
    void *block = scalloc_lua_alloc_shared(heap, NULL, 4, 48), *other = scalloc_lua_alloc_shared(heap, NULL, 4, 48);
    CHECK(block != NULL && other != NULL);
    scalloc_lua_alloc_shared(heap, block, 48, 0);
    scalloc_lua_alloc_shared(heap, other, 48, 0);
  }
  return NULL;
}

/* Nobody is within the heap in the child: it is open, and its counts agree. */
static void child_beside_a_shared_heap(scalloc_lua_heap *heap) {
  scalloc_lua_stats s = {.size = sizeof s};
  alarm(20);
  CHECK(scalloc_lua_stats_read(heap, &s));
  CHECK_INT(s.used, ==, 48 * s.blocks);
  void *block = scalloc_lua_alloc(heap, NULL, 4, 1000);
  CHECK(block != NULL);
  check_heap();
  scalloc_lua_alloc(heap, block, 1000, 0);
  scalloc_lua_heap_destroy(heap);
  _exit(0);
}

static void forks_wait_for_shared_heaps(unsigned flags, size_t prealloc) {
  scalloc_lua_config config = {.size = sizeof config, .flags = SCALLOC_LUA_SHARED | flags, .prealloc = prealloc};
  scalloc_lua_heap *heap = scalloc_lua_heap_new(&config);
  pthread_t threads[2];
  stop = false;
  for (int i = 0; i < 2; i++) CHECK(heap != NULL && pthread_create(&threads[i], NULL, use_shared, heap) == 0);
  for (int i = 0; i < 40; i++) {
    pid_t pid = fork();
    if (pid == 0) child_beside_a_shared_heap(heap);
    wait_for(pid);
  }
  __atomic_store_n(&stop, true, __ATOMIC_RELEASE);
  for (int i = 0; i < 2; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  CHECK_INT(scalloc_lua_used(heap), ==, 0);
  scalloc_lua_heap_destroy(heap);
}

static void fork_in_a_walk(void *userdata, const scalloc_lua_block *block) {
  (void)block;
  *(pid_t *)userdata = fork();
}

/* Who forks holds the lock itself: the fork goes on after a while. */
static void a_visitor_may_fork(void) {
  scalloc_lua_config config = {.size = sizeof config, .flags = SCALLOC_LUA_SHARED};
  scalloc_lua_heap *heap = scalloc_lua_heap_new(&config);
  pid_t pid = -1;
  CHECK(heap != NULL && scalloc_lua_alloc(heap, NULL, 4, 48) != NULL);
  CHECK_INT(scalloc_lua_walk(heap, fork_in_a_walk, &pid), ==, 1);
  if (pid == 0) child_beside_a_shared_heap(heap);
  wait_for(pid);
  scalloc_lua_heap_destroy(heap);
}

#else
static void forks_wait_for_shared_heaps(unsigned flags, size_t prealloc) { (void)flags, (void)prealloc; }
static void a_visitor_may_fork(void) {}
static void states_survive_forks(void) {}
static void forks_come_at_any_moment(void) {}
#endif

int main(void) {
  scalloc_free(scalloc_malloc(1));
  states_go_from_thread_to_thread();
  an_adopted_heap_is_shared();
  states_survive_forks();
  forks_come_at_any_moment();
  forks_wait_for_shared_heaps(0, 0);
  forks_wait_for_shared_heaps(SCALLOC_LUA_STATS | SCALLOC_LUA_GUARD, 0);
  forks_wait_for_shared_heaps(SCALLOC_LUA_TAG_SEGREGATE, 0);
  forks_wait_for_shared_heaps(0, 100 * KB);
  a_visitor_may_fork();
  return 0;
}
