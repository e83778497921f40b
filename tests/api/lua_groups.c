/* One limit over many heaps for Lua: to the byte, with threads, with heaps that hold quota and give it back. */
#include "../test.h"
#include <lauxlib.h>
#include <pthread.h>
#include <scalloc/lua_alloc.h>

static scalloc_lua_heap *new_heap(scalloc_lua_group *group, bool armed) {
  scalloc_lua_config config = {.size = sizeof config, .group = group};
  scalloc_lua_heap *heap = scalloc_lua_heap_new(&config);
  CHECK(heap != NULL);
  if (armed) scalloc_lua_arm(heap);
  return heap;
}

static void *grow(scalloc_lua_heap *heap, size_t size) { return scalloc_lua_alloc(heap, NULL, 5, size); }

static void release(scalloc_lua_heap *heap, void *block, size_t size) {
  CHECK(scalloc_lua_alloc(heap, block, size, 0) == NULL);
}

static scalloc_lua_group *new_group(size_t hard) {
  scalloc_lua_group *group = scalloc_lua_group_new(hard);
  CHECK(group != NULL);
  return group;
}

static void one_heap_gets_it_to_the_byte(void) {
  static const size_t sizes[] = {1, 8, 56, 1000, 5000, 70000, 2000000};
  for (size_t i = 0; i < LENGTH(sizes); i++) {
    size_t hard = 100 * sizes[i] + sizes[i] / 2, count = 0;
    scalloc_lua_group *group = new_group(hard);
    scalloc_lua_heap *heap = new_heap(group, true);
    while (grow(heap, sizes[i])) count++;
    CHECK_INT(count, ==, 100);
    CHECK_INT(scalloc_lua_group_used(group), ==, 100 * sizes[i]);
    if (sizes[i] > 1) CHECK(grow(heap, sizes[i] / 2) != NULL);
    CHECK(grow(heap, 1) == NULL);
    CHECK_INT(scalloc_lua_group_used(group), ==, scalloc_lua_used(heap));
    scalloc_lua_heap_destroy(heap);
    CHECK_INT(scalloc_lua_group_used(group), ==, 0);
    heap = new_heap(group, true); /* the whole of it again */
    for (count = 0; grow(heap, sizes[i]);) count++;
    CHECK_INT(count, ==, 100);
    scalloc_lua_group_free(group);
    CHECK(grow(heap, 1 + sizes[i] / 2) == NULL); /* goes on as before */
    scalloc_lua_heap_destroy(heap);
  }
}

/* Ten heaps that work in turns come to use everything, since each gives back what it does not use once another is refused. */
static void heaps_that_run_leave_nothing_unused(void) {
  enum { HEAPS = 10, HARD = 8000000, SIZE = 64 };
  scalloc_lua_group *group = new_group(HARD);
  scalloc_lua_heap *heaps[HEAPS];
  void **lists[HEAPS] = {NULL};
  for (size_t i = 0; i < HEAPS; i++) heaps[i] = new_heap(group, true);
  bool any = true;
  for (int idle = 0; any || idle < 400; idle = any ? 0 : idle + 1) { /* 400 rounds: each refills its class several times */
    any = false;
    for (size_t i = 0; i < HEAPS; i++) {
      void **block = grow(heaps[i], SIZE);
      if (block == NULL && lists[i]) { /* what a state does when it is refused: it frees, and tries again */
        void **gone = lists[i];
        lists[i] = *gone;
        release(heaps[i], gone, SIZE);
        block = grow(heaps[i], SIZE);
      } else if (block) {
        any = true;
      }
      if (block) *block = lists[i], lists[i] = block;
    }
    CHECK_INT(scalloc_lua_group_used(group), <=, HARD);
  }
  CHECK_INT(scalloc_lua_group_used(group), >, HARD - HEAPS * SIZE);
  size_t sum = 0;
  for (size_t i = 0; i < HEAPS; i++) sum += scalloc_lua_used(heaps[i]);
  CHECK_INT(sum, ==, scalloc_lua_group_used(group));
  for (size_t i = 0; i < HEAPS; i++) scalloc_lua_disarm(heaps[i]); /* and then nobody holds anything */
  scalloc_lua_arm(heaps[0]);
  size_t rest = HARD - sum, got = 0;
  while (grow(heaps[0], 8)) got += 8;
  CHECK_INT(got, ==, rest / 8 * 8);
  for (size_t i = 0; i < HEAPS; i++) scalloc_lua_heap_destroy(heaps[i]);
  CHECK_INT(scalloc_lua_group_used(group), ==, 0);
  scalloc_lua_group_free(group);
}

/* A heap that is refused gets what another one does not use as soon as that one runs again, if only to refill a class. */
static void a_refusal_makes_the_others_give_back(void) {
  enum { HARD = 4000000 };
  scalloc_lua_group *group = new_group(HARD);
  scalloc_lua_heap *busy = new_heap(group, true), *hungry = new_heap(group, true);
  size_t used = 0, before, got = 0;
  while (used < 1000000) CHECK(grow(busy, 64) != NULL), used += 64;
  while (grow(hungry, 64)) got += 64;
  before = got;
  CHECK(grow(busy, 40) != NULL); /* the first of its class */
  while (grow(hungry, 64)) got += 64;
  CHECK_INT(got, >, before);
  CHECK_INT(scalloc_lua_group_used(group), >, HARD - 4096 - 64); /* a step that the busy one has taken for that */
  CHECK_INT(scalloc_lua_group_used(group), <=, HARD);
  scalloc_lua_heap_destroy(busy);
  scalloc_lua_heap_destroy(hungry);
  scalloc_lua_group_free(group);
}

static void idle_heaps_hold_little(void) {
  enum { HEAPS = 100, HARD = 100 * 200000 };
  scalloc_lua_group *group = new_group(HARD);
  scalloc_lua_heap *heaps[HEAPS];
  size_t live = 0, got = 0;
  for (size_t i = 0; i < HEAPS; i++) {
    heaps[i] = new_heap(group, true);
    for (int k = 0; k < 1000; k++) CHECK(grow(heaps[i], 56) != NULL), live += 56;
  }
  while (grow(heaps[0], 1000)) got += 1000; /* the others sleep */
  CHECK_INT(live + got, <=, HARD);
  CHECK_INT(live + got, >, HARD - live / 8 - HEAPS * 4096 - 1000);
  for (size_t i = 1; i < HEAPS; i++) scalloc_lua_trim(heaps[i], SIZE_MAX);
  while (grow(heaps[0], 1000)) got += 1000;
  CHECK_INT(live + got, >, HARD - 1000 - 4096);
  for (size_t i = 0; i < HEAPS; i++) scalloc_lua_heap_destroy(heaps[i]);
  scalloc_lua_group_free(group);
}

static void a_collection_gives_quota_back(void) {
  enum { HARD = 40000000, COUNT = 9000 };
  static void *blocks[COUNT];
  scalloc_lua_group *group = new_group(HARD);
  scalloc_lua_heap *heap = new_heap(group, true), *other = new_heap(group, true);
  for (size_t i = 0; i < COUNT; i++) CHECK((blocks[i] = grow(heap, 4000)) != NULL);
  CHECK(grow(other, 10000000) == NULL);
  for (size_t i = 0; i < COUNT; i++) release(heap, blocks[i], 4000);
  CHECK(grow(other, 30000000) != NULL); /* though the first has not allocated since */
  scalloc_lua_heap_destroy(heap);
  scalloc_lua_heap_destroy(other);
  scalloc_lua_group_free(group);
}

static void disarmed_heaps_count_but_are_not_refused(void) {
  scalloc_lua_group *group = new_group(100000);
  scalloc_lua_heap *free_one = new_heap(group, false), *armed = new_heap(group, true);
  void *block = grow(free_one, 150000);
  CHECK(block != NULL);
  CHECK_INT(scalloc_lua_group_used(group), ==, 150000);
  CHECK(grow(armed, 1) == NULL);
  release(free_one, block, 150000);
  scalloc_lua_arm(free_one);
  scalloc_lua_disarm(free_one);
  CHECK(grow(armed, 90000) != NULL);
  CHECK(grow(armed, 10001) == NULL);
  scalloc_lua_heap_destroy(free_one);
  scalloc_lua_heap_destroy(armed);
  scalloc_lua_group_free(group);
}

/* A running state counts with all it has from the moment it is adopted, though that be more than the limit. */
static void an_adopted_state_counts_at_once(void) {
  enum { HARD = 3000000 };
  static const char script[] = "t = {} for i = 1, 20000 do t[i] = {i} end";
  for (int round = 1; round <= 2; round++) {
    scalloc_lua_group *group = new_group(HARD);
    scalloc_lua_config config = {.size = sizeof config, .group = group};
    lua_State *L = luaL_newstate();
    CHECK(L != NULL);
    CHECK(luaL_dostring(L, script) == LUA_OK);
    if (round == 2) CHECK(luaL_dostring(L, "u = t") == LUA_OK && luaL_dostring(L, script) == LUA_OK);
    scalloc_lua_heap *adopted = scalloc_lua_adopt(L, &config), *other = new_heap(group, true);
    CHECK(adopted != NULL);
    scalloc_lua_arm(adopted);
    size_t had = scalloc_lua_used(adopted), got = 0;
    CHECK_INT(scalloc_lua_group_used(group), ==, had);
    CHECK_INT(had, >, round == 1 ? HARD / 4 : HARD);
    while (grow(other, 1000)) got += 1000;
    if (round == 1) CHECK_INT(had + got, <=, HARD);
    if (round == 1) CHECK_INT(had + got, >, HARD * 3 / 4);
    if (round == 2) CHECK_INT(got, ==, 0);
    lua_pushnil(L), lua_setglobal(L, "t");
    lua_pushnil(L), lua_setglobal(L, "u");
    lua_gc(L, LUA_GCCOLLECT);
    CHECK_INT(scalloc_lua_used(adopted), <, had / 4);
    CHECK_INT(scalloc_lua_group_used(group), ==, scalloc_lua_used(adopted) + got);
    scalloc_lua_disarm(adopted); /* what it does not use goes back */
    while (grow(other, 1000)) got += 1000;
    CHECK_INT(scalloc_lua_group_used(group), >, HARD - 2000);
    scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FULL);
    scalloc_lua_heap_destroy(other);
    CHECK_INT(scalloc_lua_group_used(group), ==, 0);
    scalloc_lua_group_free(group);
  }
}

/* ---- threads ---------------------------------------------------------------------------------------------------------------- */

enum { THREADS = 4, LIMIT = 6 * 1000 * 1000 };
static scalloc_lua_group *shared_group;
static size_t in_use; /* by all states, never more than is true at the moment */

/* The allocator of the states: counts a free before it is made, a growth after it was. */
static void *counting_alloc(void *ud, void *block, size_t osize, size_t nsize) {
  if (block == NULL) osize = 0;
  if (nsize < osize) __atomic_sub_fetch(&in_use, osize - nsize, __ATOMIC_SEQ_CST);
  void *result = scalloc_lua_alloc(ud, block, osize, nsize);
  if (nsize > osize && result) CHECK_INT(__atomic_add_fetch(&in_use, nsize - osize, __ATOMIC_SEQ_CST), <=, LIMIT);
  return result;
}

static int fill_a_table(lua_State *L) {
  lua_newtable(L);
  for (int i = 1; i <= 20000; i++) {
    lua_createtable(L, 2, 0);
    lua_pushfstring(L, "%d", i);
    lua_rawseti(L, -2, 1);
    lua_rawseti(L, -2, i);
  }
  return 0;
}

/* A state in the group that lives near the limit: it fills a table until it is refused, drops it, and so on. */
static void *live_at_the_limit(void *argument) {
  (void)argument;
  for (int round = 0; round < 3; round++) {
    scalloc_lua_heap *heap = new_heap(shared_group, true);
    lua_State *L = lua_newstate(counting_alloc, heap);
    CHECK(L != NULL || scalloc_lua_used(heap) == 0); /* refused: the others have it all */
    for (int k = 0; L != NULL && k < 5; k++) {
      lua_pushcfunction(L, fill_a_table);
      int status = lua_pcall(L, 0, 0, 0);
      CHECK(status == LUA_OK || status == LUA_ERRMEM);
      lua_settop(L, 0);
      CHECK_INT(scalloc_lua_group_used(shared_group), >, 0); /* while the others work */
    }
    if (L != NULL) lua_close(L);
    CHECK_INT(scalloc_lua_used(heap), ==, 0);
    scalloc_lua_heap_destroy(heap);
  }
  return NULL;
}

static void states_of_threads_share_a_limit(void) {
  pthread_t threads[THREADS];
  shared_group = new_group(LIMIT);
  for (int i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, live_at_the_limit, NULL) == 0);
  for (int i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  CHECK_INT(in_use, ==, 0);
  CHECK_INT(scalloc_lua_group_used(shared_group), ==, 0);
  scalloc_lua_heap *heap = new_heap(shared_group, true);
  CHECK(grow(heap, LIMIT) != NULL); /* no quota has been lost */
  CHECK(grow(heap, 1) == NULL);
  scalloc_lua_group_free(shared_group);
  scalloc_lua_heap_destroy(heap);
  check_heap();
}

int main(void) {
  scalloc_free(scalloc_malloc(1));
  scalloc_lua_group_free(NULL);
  stats before = stats_now();
  one_heap_gets_it_to_the_byte();
  heaps_that_run_leave_nothing_unused();
  a_refusal_makes_the_others_give_back();
  idle_heaps_hold_little();
  a_collection_gives_quota_back();
  disarmed_heaps_count_but_are_not_refused();
  an_adopted_state_counts_at_once();
  states_of_threads_share_a_limit();
  check_all_returned(before);
  return 0;
}
