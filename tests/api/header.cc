// The public headers are C++11 as they stand.
#include <cstdio>
#include <scalloc/scalloc.h>
#ifdef HAVE_LUA_ALLOC
#include <scalloc/lua_alloc.h>
#endif

#define CHECK(condition)                                                                                                       \
  if (!(condition)) return std::fprintf(stderr, "%s:%d: CHECK failed: %s\n", __FILE__, __LINE__, #condition), 1

static int core() {
  int *numbers = static_cast<int *>(scalloc_calloc(10, sizeof(int)));
  CHECK(numbers != nullptr && numbers[9] == 0);
  CHECK(scalloc_usable_size(numbers) >= 10 * sizeof(int));
  scalloc_block found;
  CHECK(scalloc_find(numbers + 5, &found) && found.start == numbers && found.live && found.heap == nullptr);
  scalloc_free(numbers);
  scalloc_heap *heap = scalloc_heap_new();
  CHECK(heap != nullptr && scalloc_heap_malloc(heap, 100) != nullptr);
  scalloc_heap_destroy(heap);
  CHECK(scalloc_check(nullptr, 0));
  return 0;
}

static int lua() {
#ifdef HAVE_LUA_ALLOC
  scalloc_lua_config config = scalloc_lua_config();
  config.size = sizeof config;
  scalloc_lua_heap *heap = scalloc_lua_heap_new(&config);
  CHECK(heap != nullptr);
  void *block = scalloc_lua_alloc(heap, nullptr, 5, 56);
  CHECK(block != nullptr && scalloc_lua_used(heap) == 56);
  CHECK(scalloc_lua_alloc(heap, block, 56, 0) == nullptr && scalloc_lua_used(heap) == 0);
  scalloc_lua_heap_destroy(heap);
#endif
  return 0;
}

int main() { return core() + lua(); }
