// The standard containers on scalloc::allocator: whose blocks they have, what moves between heaps, what happens without memory.
#include <list>
#include <map>
#include <memory>
#include <scalloc/scalloc.hpp>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "check.h"

template <class T> using vector_of = std::vector<T, scalloc::allocator<T>>;
using text = std::basic_string<char, std::char_traits<char>, scalloc::allocator<char>>;

static const scalloc_heap *heap_of(const void *address) {
  scalloc_block block{};
  CHECK(scalloc_find(address, &block) && block.live);
  return block.heap;
}

static void containers_have_blocks_of_the_thread() {
  vector_of<int> numbers(1000, 7);
  std::map<int, text, std::less<>, scalloc::allocator<std::pair<const int, text>>> names;
  std::unordered_map<int, int, std::hash<int>, std::equal_to<>, scalloc::allocator<std::pair<const int, int>>> squares;
  for (int i = 0; i < 1000; i++) names[i] = text(100, 'x'), squares[i] = i * i;
  CHECK(heap_of(numbers.data()) == nullptr && heap_of(names[5].data()) == nullptr && heap_of(&squares[7]) == nullptr);
  CHECK(names.size() == 1000 && squares[31] == 961 && numbers[999] == 7);
  std::thread([moved = std::move(names)]() mutable { moved.clear(); }).join(); // any thread may free
  auto shared = std::allocate_shared<text>(scalloc::allocator<text>(), 50, 'y');
  CHECK(heap_of(shared.get()) == nullptr && shared->size() == 50);
}

static void a_heap_is_for_its_containers() {
  scalloc::heap one, other;
  std::list<text, scalloc::allocator<text>> list{scalloc::allocator<text>(one)};
  for (int i = 0; i < 100; i++) list.emplace_back(100, 'z', list.get_allocator());
  CHECK(heap_of(&list.front()) == one.get() && heap_of(list.front().data()) == one.get());

  vector_of<int> here(100, 1, scalloc::allocator<int>(one)), there(scalloc::allocator<int>{other});
  const int *block = here.data();
  vector_of<int> copied(here, scalloc::allocator<int>(other)), moved(std::move(here), scalloc::allocator<int>(other));
  CHECK(heap_of(copied.data()) == other.get() && heap_of(moved.data()) == other.get() && moved.data() != block);
  there = std::move(copied); // of the same heap: the block itself
  CHECK(heap_of(there.data()) == other.get() && there.size() == 100);
  CHECK(scalloc::allocator<int>(one) == scalloc::allocator<long>(one) &&
        scalloc::allocator<int>(one) != scalloc::allocator<int>());
}

// The heap that was moved from ends first: nothing of the other container may be in it.
static void a_container_keeps_its_heap() {
  scalloc::heap stays;
  vector_of<text> texts{scalloc::allocator<text>(stays)};
  std::map<int, int, std::less<>, scalloc::allocator<std::pair<const int, int>>> squares{
      scalloc::allocator<std::pair<const int, int>>(stays)};
  {
    scalloc::heap ends;
    vector_of<text> from(100, text(200, 'a', scalloc::allocator<char>(stays)), scalloc::allocator<text>(ends));
    auto other = decltype(squares)(scalloc::allocator<std::pair<const int, int>>(ends));
    for (int i = 0; i < 1000; i++) other[i] = i * i;
    texts = std::move(from);
    squares = std::move(other);
  }
  CHECK(heap_of(texts.data()) == stays.get() && heap_of(texts[99].data()) == stays.get() && texts[99] == texts[0]);
  CHECK(heap_of(&squares.begin()->second) == stays.get() && squares.size() == 1000 && squares[999] == 999 * 999);
  vector_of<text> more(50, text(200, 'b', scalloc::allocator<char>(stays)), scalloc::allocator<text>(stays));
  const text *block = more.data();
  texts.swap(more);
  CHECK(texts.data() == block && more.size() == 100);
}

static void a_heap_moves_and_ends_at_once() {
  scalloc::heap first;
  scalloc_heap *itself = first.get();
  scalloc::heap second(std::move(first));
  CHECK(second.get() == itself && first.get() == nullptr);
  for (int i = 0; i < 100000; i++) CHECK(scalloc_heap_malloc(second.get(), 100) != nullptr);
  first = std::move(second);
  CHECK(first.get() == itself && second.get() == nullptr);
  scalloc::heap third;
  const void *ended = scalloc_heap_malloc(third.get(), 5000000);
  CHECK(heap_of(ended) == nullptr); // of large blocks it is not known
  third = std::move(first);
  scalloc_block block{};
  CHECK(third.get() == itself && (!scalloc_find(ended, &block) || !block.live));
}

static_assert(std::is_constructible<scalloc::allocator<int>, const scalloc::heap &>::value &&
                  !std::is_constructible<scalloc::allocator<int>, scalloc::heap>::value,
              "no allocator on a heap that ends at once");

static void wide_types_are_aligned() {
  struct alignas(128) line {
    char bytes[128];
  };
  scalloc::heap heap;
  vector_of<line> own(33), given(33, scalloc::allocator<line>(heap));
  CHECK(reinterpret_cast<std::uintptr_t>(own.data()) % 128 == 0 && reinterpret_cast<std::uintptr_t>(given.data()) % 128 == 0);
  CHECK(heap_of(given.data()) == heap.get());
}

template <class T> static bool throws(scalloc::allocator<T> allocator, std::size_t count) {
  try {
    allocator.deallocate(allocator.allocate(count), count);
    return false;
  } catch (const std::bad_alloc &) {
    return true;
  }
}

static void without_memory_it_throws() {
  struct alignas(64) line {
    char bytes[64];
  };
  scalloc::heap heap;
  // Products that overflow; sizes above PTRDIFF_MAX; and those that scalloc itself has to refuse.
  for (std::size_t count : {SIZE_MAX, SIZE_MAX / 8, static_cast<std::size_t>(PTRDIFF_MAX), SIZE_MAX / 16, SIZE_MAX / 32}) {
    CHECK(throws(scalloc::allocator<long double>(), count) && throws(scalloc::allocator<long double>(heap), count));
    CHECK(throws(scalloc::allocator<line>(), count / 4) && throws(scalloc::allocator<line>(heap), count / 4));
  }
  scalloc::allocator<int> numbers;
  int *block = numbers.allocate(1);
  numbers.deallocate(block, 1);
}

int main() {
  containers_have_blocks_of_the_thread();
  a_heap_is_for_its_containers();
  a_container_keeps_its_heap();
  a_heap_moves_and_ends_at_once();
  wide_types_are_aligned();
  without_memory_it_throws();
  char why[200];
  if (!scalloc_check(why, sizeof why)) return std::fprintf(stderr, "%s\n", why), 1;
  std::puts("containers work");
}
