// What every standard from C++11 on, and a program without exceptions, does with scalloc.hpp; it is compiled with each of them.
#include <cstdio>
#include <list>
#include <scalloc/scalloc.hpp>
#include <vector>

// An incomplete type in a container.
struct node {
  std::vector<node, scalloc::allocator<node>> children;
};

int main() {
  scalloc::heap heap;
  node root;
  root.children.resize(10);
  root.children[9].children.resize(5);
  std::list<int, scalloc::allocator<int>> numbers{scalloc::allocator<int>(heap)};
  for (int i = 0; i < 1000; i++) numbers.push_back(i);
  if (numbers.back() != 999 || root.children[9].children.size() != 5) return 1;
  std::puts("a user works");
}
