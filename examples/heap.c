/*
 * heap.c - a heap of its own for everything that belongs together, and all of it gone with one call. No Lua here.
 *
 * The program reads "documents" into trees of nodes, text and child arrays. Each document has its own heap, so nobody has to
 * walk a tree to free it: scalloc_heap_destroy ends the heap in time that depends on its spans, not on its blocks. Single
 * blocks may still be resized and freed at any time, which an arena that only grows cannot do.
 */
#include <scalloc/scalloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CHILDREN = 4, DEPTH = 8, NODES = 87381 }; /* NODES = (4^9 - 1) / 3 */

typedef struct node {
  char *text;
  struct node **children; /* grows by one at a time */
  size_t count;
} node;

static double microseconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static bool add_child(scalloc_heap *heap, node *parent, node *child) {
  node **larger = scalloc_heap_realloc(heap, parent->children, (parent->count + 1) * sizeof(node *));
  if (larger == NULL) return false;
  parent->children = larger;
  parent->children[parent->count++] = child;
  return true;
}

/* A tree of the given depth, every block of it in `heap`. After a failure the heap can still be destroyed as a whole. */
static node *build(scalloc_heap *heap, int depth, unsigned *number) {
  node *n = scalloc_heap_calloc(heap, 1, sizeof *n);
  if (n == NULL) return NULL;
  size_t length = 20 + *number % 180;
  n->text = scalloc_heap_malloc(heap, length);
  if (n->text == NULL) return NULL;
  snprintf(n->text, length, "node %u", (*number)++);
  for (int i = 0; depth > 0 && i < CHILDREN; i++) {
    node *child = build(heap, depth - 1, number);
    if (child == NULL || !add_child(heap, n, child)) return NULL;
  }
  return n;
}

/* How many nodes there are; 0 if one of them is damaged or lies in another heap. */
static size_t count(const node *n, const scalloc_heap *heap) {
  scalloc_block block;
  if (!scalloc_find(&n->count, &block) || block.heap != heap || block.start != n) return 0; /* any address inside will do */
  if (memcmp(n->text, "node ", 5) != 0) return 0;
  size_t sum = 1;
  for (size_t i = 0; i < n->count; i++) {
    size_t below = count(n->children[i], heap);
    if (below == 0) return 0;
    sum += below;
  }
  return sum;
}

/* Destroys `first` and looks whether `second` is what it was. */
static bool destroy_one(scalloc_heap *first, scalloc_heap *second, const node *kept) {
  double start = microseconds();
  scalloc_heap_destroy(first);
  double took = microseconds() - start;
  size_t left = count(kept, second);
  printf("one document destroyed in %.0f us; the other still has %zu nodes\n", took, left);
  return left == NODES;
}

int main(void) {
  scalloc_heap *first = scalloc_heap_new(), *second = scalloc_heap_new();
  if (first == NULL || second == NULL) return EXIT_FAILURE;
  unsigned number = 0;
  double start = microseconds();
  node *one = build(first, DEPTH, &number), *other = build(second, DEPTH, &number);
  if (one == NULL || other == NULL) return EXIT_FAILURE;
  printf("two documents of %d nodes, some %d blocks each, built in %.0f us\n", NODES, 2 * NODES + NODES / CHILDREN,
         microseconds() - start);
  bool good = count(one, first) == NODES && count(other, second) == NODES;

  scalloc_heap_free(first, one->text); /* single blocks may go before the rest */
  good = destroy_one(first, second, other) && good;
  scalloc_heap_destroy(second);

  char why[256] = "";
  bool sound = scalloc_check(why, sizeof why);
  printf("both are gone; the allocator is %s%s\n", sound ? "sound" : "broken: ", why);
  return good && sound ? EXIT_SUCCESS : EXIT_FAILURE;
}
