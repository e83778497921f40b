/*
 * scalloc.hpp - scalloc.h for C++: a heap that ends with its scope, and an allocator for containers. C++11; nothing to link but
 * what scalloc.h needs.
 *
 *   std::vector<int, scalloc::allocator<int>> v;                 blocks of the calling thread's heap
 *
 *   scalloc::heap heap;                                          blocks of a heap of its own, which has to outlive its containers;
 *   std::map<int, int, std::less<int>,                           it is used by one thread at a time, as scalloc_heap_new says
 *            scalloc::allocator<std::pair<const int, int>>> m{scalloc::allocator<std::pair<const int, int>>(heap)};
 *
 * Out of memory is std::bad_alloc, as for every allocator; where exceptions are off (-fno-exceptions) it is std::abort.
 */
#ifndef SCALLOC_SCALLOC_HPP
#define SCALLOC_SCALLOC_HPP

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <type_traits>

#include "scalloc.h"

namespace scalloc {

namespace detail {

[[noreturn]] inline void no_memory() {
#ifdef __cpp_exceptions
  throw std::bad_alloc();
#else
  std::abort();
#endif
}

} // namespace detail

/*
 * Owns a first-class heap: at its end every block of it ends, at once. Movable; one that was moved from has none, and one that is
 * assigned to ends its own before, with all blocks of it.
 */
class heap {
public:
  heap() : heap_(scalloc_heap_new()) {
    if (heap_ == nullptr) detail::no_memory();
  }
  heap(const heap &) = delete;
  heap &operator=(const heap &) = delete;
  heap(heap &&other) noexcept : heap_(other.heap_) { other.heap_ = nullptr; }
  heap &operator=(heap &&other) noexcept {
    if (this == &other) return *this;
    if (heap_ != nullptr) scalloc_heap_destroy(heap_);
    heap_ = other.heap_;
    other.heap_ = nullptr;
    return *this;
  }
  ~heap() {
    if (heap_ != nullptr) scalloc_heap_destroy(heap_);
  }

  /* For the functions of scalloc.h. */
  scalloc_heap *get() const noexcept { return heap_; }

private:
  scalloc_heap *heap_;
};

/*
 * Blocks of the calling thread's heap, or of a first-class one. Any thread may free them. Two are equal if they are of the same
 * heap. As with std::pmr::polymorphic_allocator a container keeps the heap that it was made with: between containers on different
 * heaps assignment, also from an rvalue, copies or moves the elements one by one, and takes no block over, which would end with the
 * other heap. Move construction passes heap and blocks on; copy construction takes the heap over, too. swap() of two containers
 * has, as the standard says, undefined behaviour unless both are on the same heap.
 */
template <class T> class allocator {
public:
  using value_type = T;
  using propagate_on_container_copy_assignment = std::false_type;
  using propagate_on_container_move_assignment = std::false_type;
  using propagate_on_container_swap = std::false_type;
  using is_always_equal = std::false_type;

  allocator() noexcept : heap_(nullptr) {}
  explicit allocator(scalloc_heap *heap) noexcept : heap_(heap) {}
  explicit allocator(const heap &owner) noexcept : heap_(owner.get()) {}
  explicit allocator(heap &&) = delete; /* it would end before its blocks */
  explicit allocator(const heap &&) = delete;
  template <class U> allocator(const allocator<U> &other) noexcept : heap_(other.get()) {}

  T *allocate(std::size_t count) {
    if (count > SIZE_MAX / sizeof(T)) detail::no_memory();
    void *block = heap_ == nullptr ? of_thread(count * sizeof(T)) : of_heap(count * sizeof(T));
    if (block == nullptr) detail::no_memory();
    return static_cast<T *>(block);
  }

  void deallocate(T *block, std::size_t count) noexcept {
    if (is_wide())
      scalloc_free(block);
    else
      scalloc_free_sized(block, count * sizeof(T));
  }

  /* nullptr: the calling thread's. */
  scalloc_heap *get() const noexcept { return heap_; }

private:
  /* More than any block is aligned? A function, so that T may be incomplete where the class is instantiated. */
  static constexpr bool is_wide() { return alignof(T) > 16; }

  static void *of_thread(std::size_t bytes) {
    return is_wide() ? scalloc_aligned_alloc(alignof(T), bytes) : scalloc_malloc(bytes);
  }
  void *of_heap(std::size_t bytes) const {
    return is_wide() ? scalloc_heap_aligned_alloc(heap_, alignof(T), bytes) : scalloc_heap_malloc(heap_, bytes);
  }

  scalloc_heap *heap_;
};

template <class T, class U> bool operator==(const allocator<T> &a, const allocator<U> &b) noexcept {
  return a.get() == b.get();
}
template <class T, class U> bool operator!=(const allocator<T> &a, const allocator<U> &b) noexcept {
  return a.get() != b.get();
}

} // namespace scalloc

#endif
