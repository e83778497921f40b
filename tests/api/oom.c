/* Out of memory under RLIMIT_AS: always NULL and ENOMEM, never an abort, and life goes on afterwards. */
#include "../test.h"
#include <pthread.h>

enum { ADDRESS_SPACE = 1 << 28 };

typedef struct node { /* blocks are listed through themselves: the test needs no memory of its own */
  struct node *next;
  size_t size;
} node;

/* How much of a block behind the node carries a pattern: enough to notice a neighbour, little enough to be quick. */
static size_t marked(size_t size) { return size - sizeof(node) < 200 ? size - sizeof(node) : 200; }

static node *enlist(node *list, void *memory, size_t size) {
  node *block = memory;
  fill(block + 1, marked(size));
  block->next = list;
  block->size = size;
  return block;
}

static size_t release(node *list) {
  size_t bytes = 0;
  for (node *next; list; list = next) {
    next = list->next;
    bytes += list->size;
    CHECK(intact(list + 1, marked(list->size)));
    scalloc_free(list);
  }
  return bytes;
}

typedef void *allocator(scalloc_heap *heap, size_t size);

static void *by_malloc(scalloc_heap *heap, size_t size) { return (void)heap, scalloc_malloc(size); }
static void *by_calloc(scalloc_heap *heap, size_t size) { return (void)heap, scalloc_calloc(1, size); }
static void *by_aligned(scalloc_heap *heap, size_t size) { return (void)heap, scalloc_aligned_alloc(64, size); }
static void *by_heap(scalloc_heap *heap, size_t size) { return scalloc_heap_malloc(heap, size); }

/* Three times: fill the memory with blocks of up to `size`, be refused, free all, have as much again. */
static void exhaust(allocator *allocate, size_t size) {
  scalloc_heap *heap = scalloc_heap_new();
  CHECK(heap != NULL);
  size_t first = 0;
  for (int round = 0; round < 3; round++) {
    node *list = NULL;
    size_t bytes = 0;
    for (void *memory;; bytes += size, list = enlist(list, memory, size)) {
      errno = 0;
      if (!(memory = allocate(heap, size))) break;
    }
    CHECK_INT(errno, ==, ENOMEM);
    if (round == 0) first = bytes;
    CHECK_INT(bytes, >=, 16 * MB);
    CHECK_INT(bytes, <=, ADDRESS_SPACE);
    CHECK_INT(bytes, >=, first / 10 * 8); /* nothing was lost in the last round */
    check_heap();
    CHECK_INT(release(list), ==, bytes);
  }
  scalloc_heap_destroy(heap);
  check_heap();
}

static void exhaust_by_realloc(size_t step) {
  size_t size = step;
  unsigned char *block = scalloc_malloc(size);
  CHECK(block != NULL);
  fill(block, size);
  for (;;) {
    errno = 0;
    unsigned char *grown = scalloc_realloc(block, size + step);
    if (!grown) break;
    CHECK(intact_prefix(grown, size, block, size));
    block = grown;
    size += step;
    CHECK_INT(size, <=, ADDRESS_SPACE);
    fill(block, size);
  }
  CHECK_INT(errno, ==, ENOMEM);
  CHECK(intact(block, size)); /* the refusal left it alone */
  CHECK_INT(size, >=, 16 * MB);
  scalloc_free(block);
  check_heap();
}

/* Every block shrinks when there is no memory at all. */
static void shrinks_succeed_without_memory(size_t from, size_t to) {
  node *list = NULL, *small = NULL;
  size_t count = 0, shrunk = 0;
  for (void *memory; (memory = scalloc_malloc(from)); count++) list = enlist(list, memory, from);
  for (node *next; list; list = next, shrunk++) {
    next = list->next;
    node *block = scalloc_realloc(list, to);
    CHECK(block && intact_prefix(block + 1, marked(to), list + 1, marked(from)));
    small = enlist(small, block, to);
  }
  CHECK_INT(shrunk, ==, count);
  CHECK_INT(release(small), ==, count * to);
  check_heap();
}

static void no_more_heaps_is_no_disaster(void) {
  enum { MOST = 300000 };
  static scalloc_heap *heaps[MOST];
  size_t count = 0;
  node *list = NULL;
  for (void *memory; (memory = scalloc_malloc(4096));) list = enlist(list, memory, 4096);
  errno = 0;
  while (count < MOST && (heaps[count] = scalloc_heap_new())) count++;
  if (count < MOST) CHECK_INT(errno, ==, ENOMEM);
  for (size_t i = 0; i < count && i < 1000; i++) {
    errno = 0;
    void *block = scalloc_heap_malloc(heaps[i], 100);
    CHECK(block != NULL || errno == ENOMEM);
  }
  for (size_t i = 0; i < count; i++) scalloc_heap_destroy(heaps[i]);
  release(list);
  check_heap();
}

static void *start_with_nothing(void *argument) {
  for (size_t size = 1; size <= 4 * MB; size *= 2) {
    errno = 0;
    void *block = scalloc_malloc(size);
    CHECK(block != NULL || errno == ENOMEM);
    scalloc_free(block);
  }
  return argument;
}

/* A thread that makes its first allocation when there is no memory: the heap of its own may be what cannot be had. */
static void a_thread_may_start_without_memory(void) {
  pthread_t thread;
  node *list = NULL;
  pthread_attr_t attributes;
  CHECK(pthread_attr_init(&attributes) == 0 && pthread_attr_setstacksize(&attributes, 256 * KB) == 0);
  for (size_t size = 300000; size >= 16; size /= 2)
    for (void *memory; (memory = scalloc_malloc(size));) list = enlist(list, memory, size);
  CHECK(pthread_create(&thread, &attributes, start_with_nothing, NULL) == 0 && pthread_join(thread, NULL) == 0);
  release(list);
  check_heap();
  CHECK(pthread_create(&thread, &attributes, start_with_nothing, NULL) == 0 && pthread_join(thread, NULL) == 0);
}

static void paths(size_t size) {
  exhaust(by_malloc, size);
  exhaust(by_calloc, size);
  exhaust(by_aligned, size);
  exhaust(by_heap, size);
}

static void child_small(void) { paths(48); }
static void child_medium(void) { paths(3000), paths(60000); }
static void child_big(void) { paths(800000), paths(3000000); }
static void child_huge(void) { paths(12000000); }
static void child_mixed(void) { paths(64), paths(5000000), paths(1000), paths(100000), paths(2000000), paths(32); }
static void child_realloc(void) { exhaust_by_realloc(3000000), exhaust_by_realloc(700001); }
static void child_shrink(void) {
  shrinks_succeed_without_memory(1000, 300), shrinks_succeed_without_memory(60000, 32);
  shrinks_succeed_without_memory(700000, 4096), shrinks_succeed_without_memory(5000000, 100000);
}

static const struct {
  const char *name;
  void (*run)(void);
} modes[] = {{"small", child_small},
             {"medium", child_medium},
             {"big", child_big},
             {"huge", child_huge},
             {"mixed", child_mixed},
             {"realloc", child_realloc},
             {"shrink", child_shrink},
             {"heaps", no_more_heaps_is_no_disaster},
             {"thread", a_thread_may_start_without_memory}};

int main(int argc, char **argv) {
  for (size_t i = 0; i < LENGTH(modes); i++) {
    if (argc == 1)
      run_self_ok(modes[i].name, NULL, ADDRESS_SPACE);
    else if (strcmp(argv[1], modes[i].name) == 0)
      return modes[i].run(), 0;
  }
  return argc > 1;
}
