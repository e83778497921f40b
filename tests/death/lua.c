/* lua.c - faults of a host that calls scalloc_lua_alloc itself. */
#include "death.h"

#if HAVE_LUA_ALLOC
#include <scalloc/lua_alloc.h>

static void *new_block(scalloc_lua_heap *heap, size_t size) {
  void *block = scalloc_lua_alloc(heap, NULL, 0, size);
  CHECK(block && scalloc_lua_alloc(heap, NULL, 0, size)); /* with a neighbour */
  target(block);
  return block;
}
static scalloc_lua_heap *heap_of_all;
static void *block_of(size_t size) { return new_block(heap_of_all = scalloc_lua_heap_new(NULL), size); }

static void free_too_large(void) {
  void *block = block_of(SMALL);
  scalloc_lua_alloc(heap_of_all, block, 104, 0);
}
static void free_wrong_small(void) {
  void *block = block_of(SMALL);
  scalloc_lua_alloc(heap_of_all, block, 96, 0);
}
static void resize_wrong(void) {
  void *block = block_of(SMALL);
  scalloc_lua_alloc(heap_of_all, block, 50, 200);
}
static void resize_wrong_large(void) {
  void *block = block_of(BIG);
  scalloc_lua_alloc(heap_of_all, block, BIG - 1, 2 * BIG);
}
static void double_free(void) {
  void *block = block_of(SMALL);
  scalloc_lua_alloc(heap_of_all, block, SMALL, 0);
  scalloc_lua_alloc(heap_of_all, hidden(block), SMALL, 0);
}
static void resize_of_freed(void) {
  void *block = block_of(SMALL);
  scalloc_lua_alloc(heap_of_all, block, SMALL, 0);
  scalloc_lua_alloc(heap_of_all, hidden(block), SMALL, 200);
}
static void other_heap(void) {
  void *block = block_of(SMALL);
  scalloc_lua_alloc(scalloc_lua_heap_new(NULL), block, SMALL, 0);
}
static void other_heap_resize(void) {
  void *block = block_of(SMALL);
  scalloc_lua_alloc(scalloc_lua_heap_new(NULL), block, SMALL, 1000);
}
static void thread_block(void) { /* of no heap, freed into one */
  void *block = scalloc_lua_alloc(NULL, NULL, 0, SMALL);
  target(block);
  scalloc_lua_alloc(scalloc_lua_heap_new(NULL), block, SMALL, 0);
}
static void no_heap_wrong_size(void) {
  void *block = scalloc_lua_alloc(NULL, NULL, 0, SMALL);
  target(block);
  scalloc_lua_alloc(NULL, block, SMALL + 4, 0);
}
static void foreign(void) {
  static char object[16];
  target(object);
  scalloc_lua_alloc(scalloc_lua_heap_new(NULL), hidden(object), 16, 0);
}
static void late_write(void) {
  char *block = block_of(SMALL);
  scalloc_lua_alloc(heap_of_all, block, SMALL, 0);
  ((char *)hidden(block))[3] = 1;
  for (int i = 0; i < 200; i++) scalloc_lua_alloc(heap_of_all, scalloc_lua_alloc(heap_of_all, NULL, 0, SMALL), SMALL, 0);
}
static void overflow(void) {
  char *block = block_of(24);
  ((char *)hidden(block))[24] = 0;
  scalloc_lua_alloc(heap_of_all, block, 24, 0);
}
static void overflow_at_the_end(void) {
  char *block = block_of(56);
  ((char *)hidden(block))[56] = 0;
  scalloc_lua_heap_destroy(heap_of_all);
}
static void double_after_destroy(void) {
  char *block = block_of(56);
  scalloc_lua_heap_destroy(heap_of_all);
  scalloc_lua_alloc(scalloc_lua_heap_new(NULL), hidden(block), 56, 0);
}

static void the_contract_of_lua_is_fine(void) {
  scalloc_lua_heap *heaps[] = {scalloc_lua_heap_new(NULL), NULL};
  for (size_t k = 0; k < 2; k++) {
    for (size_t size = 1; size < 2 * MB; size = size * 4 / 3 + 1) {
      char *block = scalloc_lua_alloc(heaps[k], NULL, 5, size);
      fill(block, size);
      char *moved = scalloc_lua_alloc(heaps[k], block, size, 2 * size);
      CHECK(moved && intact_prefix(moved, size, block, size));
      block = scalloc_lua_alloc(heaps[k], moved, 2 * size, size / 2 + 1);
      CHECK(block && scalloc_lua_alloc(heaps[k], block, size / 2 + 1, 0) == NULL);
    }
  }
  CHECK(scalloc_lua_used(heaps[0]) == 0);
  check_heap();
  scalloc_lua_heap_destroy(heaps[0]);
}
#else
#define free_too_large NULL
#define free_wrong_small NULL
#define resize_wrong NULL
#define resize_wrong_large NULL
#define double_free NULL
#define resize_of_freed NULL
#define other_heap NULL
#define other_heap_resize NULL
#define thread_block NULL
#define no_heap_wrong_size NULL
#define foreign NULL
#define late_write NULL
#define overflow NULL
#define overflow_at_the_end NULL
#define double_after_destroy NULL
#define the_contract_of_lua_is_fine NULL
#endif

#define SIZE(why) "size mismatch", why
#define WRONG_HEAP "wrong heap", "the block belongs to another heap"
#define NO NULL, NULL

static const shape shapes[] = {
    {"lua_free_larger", "a free with an osize too large", free_too_large, SIZE("said to have 104 bytes, but 100"), NO},
    {"lua_free_smaller", "too small", free_wrong_small, SIZE("said to have 96 bytes, but 100"), NO},
    {"lua_resize_wrong", "a resize with a wrong osize", resize_wrong, SIZE("said to have 50 bytes, but 100"), NO},
    {"lua_resize_wrong_large", "the same of 3 MB", resize_wrong_large, SIZE("said to have 3145727 bytes, but 3145728"), NO},
    {"lua_double_free", "a double free", double_free, "double free", "the block is free already", NO},
    {"lua_resize_of_freed", "a resize of a freed block", resize_of_freed, "use after free", "realloc of a block that is free",
     NO},
    {"lua_other_heap", "a free into another Lua heap", other_heap, WRONG_HEAP, NO},
    {"lua_other_heap_resize", "a resize in another Lua heap", other_heap_resize, WRONG_HEAP, NO},
    {"lua_thread_block", "a block of a thread's heap freed into a Lua heap", thread_block, WRONG_HEAP, NO},
    {"lua_no_heap_wrong_size", "a wrong osize where ud is NULL", no_heap_wrong_size, SIZE("said to have 104 bytes, but 100"),
     NO},
    {"lua_foreign", "a foreign pointer", foreign, "invalid pointer", "not in the arena of this allocator", NO},
    {"lua_late_write", "a write to a freed block", late_write, "write after free", "byte 3 of a free block", NO},
    {"lua_overflow", "a write behind 24 bytes", overflow, "overflow", "byte 24 of a block of 24 bytes", NO},
    {"lua_overflow_at_the_end", "the same, found by heap_destroy", overflow_at_the_end, "overflow", "byte 56 of a block of 56",
     NO},
    {"lua_double_after_destroy", "a free after heap_destroy", double_after_destroy, "double free", "free already", NO},
    {"the_contract_of_lua_is_fine", "", the_contract_of_lua_is_fine, NULL, NULL, NULL, NULL},
};
const subject lua_faults = {"lua", "Lua heaps", shapes, LENGTH(shapes)};
