/* binary_trees: after the program of the benchmarks game. One tree that stays, and for each depth many that are built from the
 * leaves up, counted and dropped. With N mutators each does all of it, in one heap. */
#include "setup.h"

enum { LEAST_DEPTH = 4 };

typedef struct node {
  struct node *left, *right;
} node;

static long depth = 16;
static gc_type node_type;
static uint64_t objects;

static node *build(gc_thread *thread, long of_depth) {
  if (of_depth == 0) return gc_new(thread, &node_type);
  node *left = gc_keep(thread, build(thread, of_depth - 1));
  node *right = gc_keep(thread, build(thread, of_depth - 1));
  node *root = gc_new(thread, &node_type);
  root->left = left, root->right = right;
  gc_drop(thread, 2);
  return root;
}

static uint64_t count(const node *tree) { return tree->left ? 1 + count(tree->left) + count(tree->right) : 1; }

static uint64_t check(const node *tree, long of_depth) {
  uint64_t nodes = count(tree);
  if (nodes != (UINT64_C(2) << of_depth) - 1) program_fail("binary_trees: a tree lost nodes", 0);
  return nodes;
}

static void work(gc_thread *thread, unsigned index, void *unused) {
  (void)index, (void)unused;
  uint64_t made = check(build(thread, depth + 1), depth + 1);
  node *long_lived = gc_keep(thread, build(thread, depth));
  for (long of_depth = LEAST_DEPTH; of_depth <= depth; of_depth += 2) {
    for (long rounds = 1L << (depth - of_depth + LEAST_DEPTH); rounds > 0; rounds--) {
      made += check(build(thread, of_depth), of_depth);
      gc_safe_point(thread);
    }
  }
  made += check(long_lived, depth);
  gc_drop(thread, 1);
  __atomic_add_fetch(&objects, made, __ATOMIC_RELAXED);
}

int main(int argc, char **argv) {
  const program_option own[] = {{"depth", &depth, LEAST_DEPTH, 24, "depth of the tree that stays"}, {NULL, NULL, 0, 0, NULL}};
  unsigned mutators;
  gc_thread *self = setup(argc, argv, "Many short-lived binary trees beside one that stays.", own, &mutators);
  node_type = gc_type_of(sizeof(node), 2);
  double began = program_now();
  gc_run(self, mutators, work, NULL);
  setup_report("binary_trees", program_now() - began, objects);
  report_end();
  return 0;
}
