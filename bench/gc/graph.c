/* graph: what it costs to mark objects that lie in no order. Objects are linked as a binary tree in shuffled order, so that almost
 * every pointer leads to another span, and marked in several cycles. */
#include "setup.h"

#include <stdlib.h>

typedef struct node {
  struct node *left, *right;
} node;

static long objects = 262144, size = 64, rounds = 5;

static void shuffle(void **items, uint64_t n) {
  uint64_t state = 88172645463325252;
  for (uint64_t i = n - 1; i > 0; i--) {
    uint64_t k = program_random(&state) % (i + 1);
    void *item = items[i];
    items[i] = items[k], items[k] = item;
  }
}

static node *build(gc_thread *self, const gc_type *type, void **items, uint64_t n) {
  gc_hold(true);
  for (uint64_t i = 0; i < n; i++) items[i] = gc_new(self, type);
  gc_hold(false);
  shuffle(items, n);
  for (uint64_t i = 0; i < n; i++) {
    node *parent = items[i];
    parent->left = 2 * i + 1 < n ? items[2 * i + 1] : NULL;
    parent->right = 2 * i + 2 < n ? items[2 * i + 2] : NULL;
  }
  node *root = items[0];
  for (uint64_t i = 0; i < n; i++) items[i] = NULL;
  return root;
}

static uint64_t count(const node *tree) { return tree ? 1 + count(tree->left) + count(tree->right) : 0; }

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int main(int argc, char **argv) {
  const program_option own[] = {{"objects", &objects, 1, 1L << 30, "objects of the graph"},
                                {"size", &size, sizeof(node), 2048, "bytes of an object"},
                                {"rounds", &rounds, 1, 100, "cycles"},
                                {NULL, NULL, 0, 0, NULL}};
  static double marks[100];
  unsigned mutators;
  gc_thread *self = setup(argc, argv, "Marking a tree whose nodes lie in no order.", own, &mutators);
  gc_type type = gc_type_of((size_t)size, 2);
  uint64_t n = (uint64_t)objects;
  double began = program_now();
  node *root = gc_keep(self, build(self, &type, gc_root_vector(self, n), n));
  for (long i = 0; i < rounds; i++) {
    gc_collect(self);
    marks[i] = gc_read_numbers().last_mark;
  }
  if (count(root) != n) program_fail("graph: nodes were lost", 0);
  gc_drop(self, 1);
  qsort(marks, (size_t)rounds, sizeof *marks, by_value);
  setup_report("graph", program_now() - began, n);
  report_number("mark_ns_least", marks[0] * 1e9 / (double)n);
  report_number("mark_ns_median", marks[rounds / 2] * 1e9 / (double)n);
  report_end();
  return 0;
}
