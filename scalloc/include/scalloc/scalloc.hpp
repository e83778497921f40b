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
 * Out of memory is std::bad_alloc, as for every allocator.
 */
#ifndef SCALLOC_SCALLOC_HPP
#define SCALLOC_SCALLOC_HPP

#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>

#include "scalloc.h"

namespace scalloc {

/* Owns a first-class heap: at its end every block of it ends, at once. Movable; one that was moved from has none. */
class heap {
public:
  heap() : heap_(scalloc_heap_new()) {
    if (heap_ == nullptr) throw std::bad_alloc();
  }
  heap(const heap &) = delete;
  heap &operator=(const heap &) = delete;
  heap(heap &&other) noexcept : heap_(other.heap_) { other.heap_ = nullptr; }
  heap &operator=(heap &&other) noexcept {
    scalloc_heap *mine = heap_;
    heap_ = other.heap_;
    other.heap_ = mine;
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
 * heap: containers on different heaps copy elements and do not take over blocks, which would end with the other heap.
 */
template <class T> class allocator {
public:
  using value_type = T;
  using propagate_on_container_move_assignment = std::true_type;
  using propagate_on_container_swap = std::true_type;
  using is_always_equal = std::false_type;

  allocator() noexcept : heap_(nullptr) {}
  explicit allocator(scalloc_heap *heap) noexcept : heap_(heap) {}
  explicit allocator(const heap &owner) noexcept : heap_(owner.get()) {}
  template <class U> allocator(const allocator<U> &other) noexcept : heap_(other.get()) {}

  T *allocate(std::size_t count) {
    if (count > SIZE_MAX / sizeof(T)) throw std::bad_alloc();
    void *block = heap_ == nullptr ? of_thread(count * sizeof(T)) : of_heap(count * sizeof(T));
    if (block == nullptr) throw std::bad_alloc();
    return static_cast<T *>(block);
  }

  void deallocate(T *block, std::size_t count) noexcept {
    if (is_wide)
      scalloc_free(block);
    else
      scalloc_free_sized(block, count * sizeof(T));
  }

  /* nullptr: the calling thread's. */
  scalloc_heap *get() const noexcept { return heap_; }

private:
  static constexpr bool is_wide = alignof(T) > 16; /* than any block is aligned */

  static void *of_thread(std::size_t bytes) {
    return is_wide ? scalloc_aligned_alloc(alignof(T), bytes) : scalloc_malloc(bytes);
  }
  void *of_heap(std::size_t bytes) const {
    return is_wide ? scalloc_heap_aligned_alloc(heap_, alignof(T), bytes) : scalloc_heap_malloc(heap_, bytes);
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
