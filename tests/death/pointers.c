/* pointers.c - addresses that are no block: inside one, beside one, of somebody else, never handed out. */
#include "death.h"

static int object;

static void free_at(const void *block, size_t offset) {
  const char *address = (const char *)block + offset;
  target(address);
  scalloc_free(hidden(address));
}

static void interior_small(void) { free_at(scalloc_malloc(SMALL), 48); }
static void interior_by_8(void) { free_at(scalloc_malloc(SMALL), 8); }
static void interior_medium(void) { free_at(scalloc_malloc(MEDIUM), 8192); }
static void interior_large(void) { free_at(scalloc_malloc(BIG), 4096); }
static void interior_large_far(void) { free_at(scalloc_malloc(BIG), 2 * MB + 64); }
static void interior_large_span(void) { free_at(scalloc_malloc(5 * MB), 4 * MB); }
static void interior_free_block(void) {
  char *block = scalloc_malloc(SMALL), *other = scalloc_malloc(SMALL);
  CHECK(other);
  scalloc_free(block);
  free_at(block, 16);
}
static void misaligned_by_1(void) { free_at(scalloc_malloc(SMALL), 1); }
static void misaligned_by_4(void) { free_at(scalloc_malloc(MEDIUM), 4); }
static void misaligned_large(void) { free_at(scalloc_malloc(BIG), 1); }

static void free_1_off(void *block) { free_at(block, 1); }
static void misaligned_in_other_thread(void) { in_thread(free_1_off, scalloc_malloc(SMALL)); }

static void of_stack(void) {
  int local[4] = {0};
  free_at(local, 0);
}
static void of_static_data(void) { free_at(&object, 0); }
static void of_libc(void) { free_at(malloc(SMALL), 0); }
static void of_nobody(void) { free_at(NULL, 64); }
static void beyond_the_arena(void) { free_at(scalloc_malloc(SMALL), (size_t)1 << 44); }
static void in_arena_not_opened(void) { free_at(scalloc_malloc(SMALL), (size_t)100 << 30); }
static void span_never_used(void) {
  uintptr_t block = (uintptr_t)scalloc_malloc(SMALL);
  free_at((void *)((block | (2 * MB - 1)) + 1), 200 * MB);
}
static void never_handed_out(void) {
  char *block = scalloc_malloc(SMALL);
  size_t stride = (size_t)((char *)scalloc_malloc(SMALL) - block);
  free_at(block, stride * 5);
}
/* In memory that has had blocks of another heap. */
static void never_handed_out_again(void) {
  scalloc_heap *heap = scalloc_heap_new();
  for (int i = 0; i < 100; i++) CHECK(scalloc_heap_malloc(heap, SMALL));
  scalloc_heap_destroy(heap);
  heap = scalloc_heap_new();
  char *block = scalloc_heap_malloc(heap, SMALL);
  size_t stride = (size_t)((char *)scalloc_heap_malloc(heap, SMALL) - block);
  free_at(block, stride * 5);
}
static void behind_all_blocks(void) {
  char *block = scalloc_malloc(SMALL);
  size_t stride = (size_t)((char *)scalloc_malloc(SMALL) - block);
  free_at(block, stride * 10000);
}
static void in_front_of_all_blocks(void) { /* a second span of the size begins a page later */
  uintptr_t block = (uintptr_t)scalloc_malloc(SMALL);
  free_at((void *)(block & ~(uintptr_t)(2 * MB - 1)), 0);
}

static void realloc_of_static_data(void) {
  target(&object);
  scalloc_realloc(hidden(&object), 100);
}
static void realloc_of_interior(void) {
  char *block = scalloc_malloc(SMALL);
  target(block + 16);
  scalloc_realloc(hidden(block + 16), 200);
}
static void realloc_of_freed(void) {
  char *block = scalloc_malloc(SMALL);
  target(block);
  scalloc_free(block);
  scalloc_realloc(hidden(block), 200);
}
static void realloc_of_freed_large(void) {
  char *block = scalloc_malloc(BIG);
  target(block);
  scalloc_free(block);
  scalloc_realloc(hidden(block), 2 * BIG);
}
static void heap_realloc_of_freed(void) {
  scalloc_heap *heap = scalloc_heap_new();
  char *block = scalloc_heap_malloc(heap, SMALL);
  target(block);
  scalloc_heap_free(heap, block);
  scalloc_heap_realloc(heap, hidden(block), 1000);
}
static void size_of(const char *address) {
  target(address);
  object = (int)scalloc_usable_size(hidden(address));
}
static void size_of_freed(void) {
  char *block = scalloc_malloc(SMALL);
  scalloc_free(block);
  size_of(block);
}
static void size_of_interior(void) { size_of((char *)scalloc_malloc(SMALL) + 32); }
static void size_of_misaligned(void) { size_of((char *)scalloc_malloc(SMALL) + 3); }

static void looking_is_never_a_fault(void) {
  scalloc_block found;
  char *block = scalloc_malloc(SMALL), *big = scalloc_malloc(BIG);
  for (int i = 0; i < 3000; i++) scalloc_find(block - 1500 + i, &found), scalloc_find(big + i * 1024 - 5, &found);
  scalloc_free(block), scalloc_free(big);
  CHECK(!scalloc_find(big, &found) && (!scalloc_find(block, &found) || !found.live));
  CHECK(scalloc_usable_size(NULL) == 0 && scalloc_usable_size(&object) == 0);
}

#define INTERIOR(where) "interior pointer", where
#define MISALIGNED "misaligned pointer", "multiples of 8"
#define FOREIGN "invalid pointer", "not in the arena of this allocator"
#define PLAIN_NOT_A_BLOCK "invalid pointer", "not a block"
#define PLAIN_IN_LARGE "invalid pointer", "inside a large block"
#define UNALLOCATED "invalid pointer", "in memory that is not allocated"
#define NEVER "invalid pointer", "no block was ever handed out there"
#define NO NULL, NULL

static const shape shapes[] = {
    {"interior_small", "free of an address inside a block of 100 bytes", interior_small,
     INTERIOR("byte 48 of a live block of 100"), NO},
    {"interior_by_8", "the same, 8 bytes off", interior_by_8, INTERIOR("byte 8 of a live block of 100 bytes"), NO},
    {"interior_medium", "inside a block of 200,000 bytes", interior_medium, INTERIOR("byte 8192 of a live block of 200000"),
     NO},
    {"interior_large", "inside a block of 3 MB", interior_large, INTERIOR("byte 4096 of a live block"), PLAIN_IN_LARGE},
    {"interior_large_far", "the same, in its second span", interior_large_far, INTERIOR("byte 2097216 of a live"),
     PLAIN_IN_LARGE},
    {"interior_large_span", "the same, at the start of a span", interior_large_span, INTERIOR("byte 4194304 of a live"),
     PLAIN_IN_LARGE},
    {"interior_free_block", "inside a free block", interior_free_block, INTERIOR("byte 16 of a free block"), NO},
    {"misaligned_by_1", "free of an address 1 off", misaligned_by_1, MISALIGNED, NO},
    {"misaligned_by_4", "the same, 4 off", misaligned_by_4, MISALIGNED, NO},
    {"misaligned_in_other_thread", "the same in another thread", misaligned_in_other_thread, MISALIGNED, PLAIN_NOT_A_BLOCK},
    {"misaligned_large", "the same in 3 MB", misaligned_large, MISALIGNED, PLAIN_IN_LARGE},
    {"foreign_stack", "free of an address on the stack", of_stack, FOREIGN, FOREIGN},
    {"foreign_static", "of static data", of_static_data, FOREIGN, FOREIGN},
    {"foreign_libc", "of a block of another malloc", of_libc, FOREIGN, FOREIGN},
    {"foreign_nobody", "of the address 64", of_nobody, FOREIGN, FOREIGN},
    {"foreign_beyond", "of an address far behind the arena", beyond_the_arena, FOREIGN, FOREIGN},
    {"foreign_not_opened", "in the arena, but never opened", in_arena_not_opened, FOREIGN, FOREIGN},
    {"foreign_span_never_used", "in a span never used", span_never_used, UNALLOCATED, UNALLOCATED},
    {"never_handed_out", "a free block that never was another", never_handed_out, NEVER, NO},
    {"never_handed_out_again", "the same, where another heap had a block", never_handed_out_again, NEVER, NO},
    {"never_carved", "the never-used tail of a span", behind_all_blocks, NEVER, NO},
    {"before_all_blocks", "the beginning of a span, in front of its blocks", in_front_of_all_blocks, NEVER, NO},
    {"realloc_foreign", "realloc of static data", realloc_of_static_data, FOREIGN, FOREIGN},
    {"realloc_interior", "realloc of an address inside a block", realloc_of_interior, INTERIOR("byte 16 of a live block"), NO},
    {"realloc_freed", "realloc of a freed block", realloc_of_freed, "use after free", "realloc of a block that is free", NO},
    {"realloc_freed_large", "the same of 3 MB", realloc_of_freed_large, "use after free", "realloc of a block that is free",
     UNALLOCATED},
    {"heap_realloc_freed", "heap_realloc of a freed block", heap_realloc_of_freed, "use after free",
     "realloc of a block that is free", NO},
    {"size_of_freed", "usable_size of a freed block", size_of_freed, "use after free", "usable_size of a block that is free",
     NO},
    {"size_of_interior", "usable_size inside a block", size_of_interior, INTERIOR("byte 32 of a live block"), NO},
    {"size_of_misaligned", "usable_size 3 off", size_of_misaligned, MISALIGNED, NO},
    {"looking_is_never_a_fault", "", looking_is_never_a_fault, NULL, NULL, NULL, NULL},
};
const subject pointers = {"pointers", "Addresses that are no block", shapes, LENGTH(shapes)};
