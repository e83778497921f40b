/* gcbench: after GCBench by Ellis, Kovac and Boehm. A long-lived tree and array stay while binary trees of growing depth come and
 * go, half of them built from the root down, half from the leaves up. With N mutators each does all of it, in one heap. */
#include "setup.h"

enum { LEAST_DEPTH = 4, ARRAY_LENGTH = 500000 };

typedef struct node {
  struct node *left, *right;
  int i, j;
} node;

static long depth = 16;
static gc_type node_type;
static uint64_t objects;

static uint64_t tree_size(long of_depth) { return (UINT64_C(2) << of_depth) - 1; }

/* From the root down: `parent` is reachable, so are its children as soon as they are linked. */
static void grow(gc_thread *thread, long by, node *parent) {
  if (by == 0) return;
  parent->left = gc_new(thread, &node_type);
  parent->right = gc_new(thread, &node_type);
  grow(thread, by - 1, parent->left);
  grow(thread, by - 1, parent->right);
}

/* From the leaves up: a finished subtree is held by nothing but this function. */
static node *build(gc_thread *thread, long of_depth) {
  if (of_depth == 0) return gc_new(thread, &node_type);
  node *left = gc_keep(thread, build(thread, of_depth - 1));
  node *right = gc_keep(thread, build(thread, of_depth - 1));
  node *root = gc_new(thread, &node_type);
  root->left = left, root->right = right;
  gc_drop(thread, 2);
  return root;
}

static uint64_t count(const node *tree) { return tree ? 1 + count(tree->left) + count(tree->right) : 0; }

static void check(const node *tree, long of_depth) {
  if (count(tree) != tree_size(of_depth)) program_fail("gcbench: a tree lost nodes", 0);
}

static uint64_t one_depth(gc_thread *thread, long of_depth) {
  uint64_t rounds = 2 * tree_size(depth + 2) / tree_size(of_depth);
  for (uint64_t i = 0; i < rounds; i++) {
    node *tree = gc_keep(thread, gc_new(thread, &node_type));
    grow(thread, of_depth, tree);
    if (i == 0) check(tree, of_depth);
    gc_drop(thread, 1);
  }
  for (uint64_t i = 0; i < rounds; i++) {
    node *tree = build(thread, of_depth);
    if (i == 0) check(tree, of_depth);
  }
  return 2 * rounds * tree_size(of_depth);
}

static void work(gc_thread *thread, unsigned index, void *unused) {
  (void)index, (void)unused;
  check(build(thread, depth + 2), depth + 2);
  node *long_lived = gc_keep(thread, gc_new(thread, &node_type));
  grow(thread, depth, long_lived);
  double *array = gc_keep(thread, gc_new_data(thread, ARRAY_LENGTH * sizeof *array));
  for (int i = 0; i < ARRAY_LENGTH; i++) array[i] = 1.0 / (i + 1);
  uint64_t made = tree_size(depth + 2) + tree_size(depth) + 1;
  for (long of_depth = LEAST_DEPTH; of_depth <= depth; of_depth += 2) made += one_depth(thread, of_depth);
  check(long_lived, depth);
  for (int i = 0; i < ARRAY_LENGTH; i++) {
    if (array[i] != 1.0 / (i + 1)) program_fail("gcbench: the array has changed", 0);
  }
  gc_drop(thread, 2);
  __atomic_add_fetch(&objects, made, __ATOMIC_RELAXED);
}

int main(int argc, char **argv) {
  const program_option own[] = {{"depth", &depth, LEAST_DEPTH, 24, "depth of the long-lived tree"}, {NULL, NULL, 0, 0, NULL}};
  unsigned mutators;
  gc_thread *self =
      setup(argc, argv, "Trees from the root down and from the leaves up, beside a long-lived tree.", own, &mutators);
  node_type = gc_type_of(sizeof(node), 2);
  double began = program_now();
  gc_run(self, mutators, work, NULL);
  setup_report("gcbench", program_now() - began, objects);
  report_end();
  return 0;
}
