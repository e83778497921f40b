// teardown_cxx.cc - scalloc in constructors and destructors of static and of thread_local C++ objects.
#include <scalloc/scalloc.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

namespace {

void require(bool condition, const char *what) {
  if (condition) return;
  std::fprintf(stderr, "failed: %s\n", what);
  std::_Exit(1);
}

int live_locals = 0, destroyed_locals = 0; // of one thread at a time

// Holds a block of a pattern for as long as it lives, and makes others while it comes and goes.
class Holder {
public:
  explicit Holder(std::size_t size, unsigned char value) : size_(size), value_(value), bytes_(take(size)) {
    scalloc_free(take(size_ / 2 + 1));
  }
  ~Holder() {
    for (std::size_t i = 0; i < size_; i++) require(bytes_[i] == value_, "a block kept its bytes");
    unsigned char *last = take(size_ * 2);
    scalloc_free(bytes_);
    scalloc_free(last);
  }
  Holder(const Holder &) = delete;
  Holder &operator=(const Holder &) = delete;

private:
  unsigned char *take(std::size_t size) const {
    void *block = scalloc_malloc(size);
    require(block != nullptr, "memory in a constructor or destructor");
    std::memset(block, value_, size);
    return static_cast<unsigned char *>(block);
  }
  std::size_t size_;
  unsigned char value_;
  unsigned char *bytes_;
};

// Uses the allocator from the destructor of a thread_local, after its thread's function has returned.
struct Local {
  Holder small{40, 1}, medium{100000, 2}, large{2000000, 3};
  bool touched = false;
  Local() { live_locals++; }
  ~Local() {
    live_locals--;
    destroyed_locals++;
  }
};

Holder static_small(100, 4), static_large(3000000, 5);
thread_local Local local;

void touch_local(void *foreign) {
  local.touched = true;
  require(live_locals >= 1, "the thread_local is there");
  scalloc_free(foreign);
}

void locals_of_threads_come_and_go() {
  const int threads = 50;
  int before = destroyed_locals;
  for (int i = 0; i < threads; i++) std::thread(touch_local, scalloc_malloc(500)).join();
  require(destroyed_locals == before + threads && live_locals == 0, "every thread_local was destroyed");
}

void the_heap_is_sound() {
  char why[256] = "";
  require(scalloc_check(why, sizeof why), why);
}

} // namespace

int main() {
  locals_of_threads_come_and_go();
  the_heap_is_sound();
  std::vector<std::thread> crowd;
  for (int i = 0; i < 8; i++) crowd.emplace_back([] { Holder holder(5000, 9); });
  for (auto &thread : crowd) thread.join();
  the_heap_is_sound();
  touch_local(scalloc_malloc(10)); // the main thread's own lives until the process ends
  std::atexit(the_heap_is_sound);
  return 0;
}
