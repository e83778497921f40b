/* lua_flags.h - what the parts of the test of heaps with flags share, and the parts. */
#ifndef LUA_FLAGS_H
#define LUA_FLAGS_H

#include "../test.h"
#include <lauxlib.h>
#include <lualib.h>
#include <scalloc/lua_alloc.h>

static inline scalloc_lua_heap *new_heap(unsigned flags, size_t prealloc) {
  scalloc_lua_config config = {.size = sizeof config, .flags = flags, .prealloc = prealloc, .name = "test"};
  scalloc_lua_heap *heap = scalloc_lua_heap_new(&config);
  CHECK(heap != NULL);
  return heap;
}

static inline void *grow(scalloc_lua_heap *heap, void *block, size_t osize, size_t nsize) {
  return scalloc_lua_alloc(heap, block, osize, nsize);
}

static inline void release(scalloc_lua_heap *heap, void *block, size_t size) {
  CHECK(scalloc_lua_alloc(heap, block, size, 0) == NULL);
}

static inline scalloc_lua_stats stats_of(scalloc_lua_heap *heap) {
  scalloc_lua_stats s = {.size = sizeof s};
  CHECK(scalloc_lua_stats_read(heap, &s));
  return s;
}

/* What a state does that is to show that it works; returns 200010000. */
static const char workload[] = "local live, sum = {}, 0\n"
                               "for i = 1, 20000 do\n"
                               "  live[i % 300 + 1] = {tostring(i), function() return i end, ('x'):rep(i % 50)}\n"
                               "  sum = sum + live[i % 300 + 1][2]()\n"
                               "end\n"
                               "local co = coroutine.wrap(function() for i = 1, 100 do coroutine.yield(i) end end)\n"
                               "for i = 1, 100 do assert(co() == i) end\n"
                               "assert(load(string.dump(function() return 7 end))() == 7)\n"
                               "return sum";

/* lua_flags_faults.c: faults of programs on heaps with STATS or GUARD; true if the argument names one, which then has been made. */
bool faults_child(const char *mode);
void faults_run(void);

/* lua_flags_locked.c: memory in one piece. locked_possible: this process may lock memory. */
bool locked_possible(void);
bool locked_child(const char *mode);
void locked_run(bool may_lock);

/* lua_flags_shared.c: threads on one heap. */
void shared_run(void);

#endif
