/*
 * operators.cc - as conformance.c, for C++'s operator new and delete: every form, what they do without memory, and what the handler
 * may do about it. Run on glibc and libstdc++ alone and on scalloc, the outputs must be equal.
 */
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

static const std::size_t too_much = static_cast<std::size_t>(PTRDIFF_MAX) - 100;
static int calls;

struct gave_up {};

static void gives_up() {
  calls++;
  if (calls == 3) std::set_new_handler(nullptr);
}
static void throws_bad_alloc() {
  calls++;
  throw std::bad_alloc();
}
static void throws_another() {
  calls++;
  throw gave_up();
}

template <class F> static void attempt(const char *name, F f) {
  calls = 0;
  std::printf("%s: ", name);
  try {
    void *p = f();
    std::printf("%s", p ? "a block" : "NULL");
  } catch (const std::bad_alloc &e) {
    std::printf("bad_alloc %s", std::strcmp(e.what(), "std::bad_alloc") == 0 ? "as it is" : "another");
  } catch (const gave_up &) {
    std::printf("gave_up");
  }
  std::printf(", handler called %d times\n", calls);
}

static void without_memory(const char *handler_name, std::new_handler handler) {
  std::printf("-- handler: %s\n", handler_name);
  const std::align_val_t line{64};
#define ATTEMPT(form)          \
  std::set_new_handler(handler); \
  attempt(#form, [&] { return form; })
  ATTEMPT(::operator new(too_much));
  ATTEMPT(::operator new[](too_much));
  ATTEMPT(::operator new(too_much, line));
  ATTEMPT(::operator new[](too_much, line));
  std::set_new_handler(nullptr);
  if (handler == throws_another) return; // a nothrow form may let it pass or not
  ATTEMPT(::operator new(too_much, std::nothrow));
  ATTEMPT(::operator new[](too_much, std::nothrow));
  ATTEMPT(::operator new(too_much, line, std::nothrow));
  ATTEMPT(::operator new[](too_much, line, std::nothrow));
  std::set_new_handler(nullptr);
}

/* No handler can do anything about it. */
static void without_alignment() {
  for (std::size_t wrong : {0, 3, 24}) {
    const std::align_val_t alignment{wrong};
    std::set_new_handler(gives_up);
    attempt("wrong alignment", [&] { return ::operator new(10, alignment); });
    attempt("wrong alignment, array", [&] { return ::operator new[](10, alignment); });
    attempt("wrong alignment, nothrow", [&] { return ::operator new(10, alignment, std::nothrow); });
    attempt("wrong alignment, array, nothrow", [&] { return ::operator new[](10, alignment, std::nothrow); });
    std::set_new_handler(nullptr);
  }
}

static void *looked_at(void *p, std::size_t size, std::size_t alignment) {
  std::printf("%s", p && reinterpret_cast<std::uintptr_t>(p) % alignment == 0 ? "right " : "WRONG ");
  std::memset(p, 1, size);
  return p;
}

static void every_form(std::size_t size) {
  const std::align_val_t line{64}, page{4096};
  std::printf("%zu bytes: ", size);
  ::operator delete(looked_at(::operator new(size), size, 16));
  ::operator delete(looked_at(::operator new(size), size, 16), size);
  ::operator delete(looked_at(::operator new(size, std::nothrow), size, 16), std::nothrow);
  ::operator delete[](looked_at(::operator new[](size), size, 16));
  ::operator delete[](looked_at(::operator new[](size), size, 16), size);
  ::operator delete[](looked_at(::operator new[](size, std::nothrow), size, 16), std::nothrow);
  ::operator delete(looked_at(::operator new(size, line), size, 64), line);
  ::operator delete(looked_at(::operator new(size, page), size, 4096), size, page);
  ::operator delete(looked_at(::operator new(size, line, std::nothrow), size, 64), line, std::nothrow);
  ::operator delete[](looked_at(::operator new[](size, line), size, 64), line);
  ::operator delete[](looked_at(::operator new[](size, page), size, 4096), size, page);
  ::operator delete[](looked_at(::operator new[](size, line, std::nothrow), size, 64), line, std::nothrow);
  std::printf("\n");
}

struct alignas(128) wide {
  char bytes[300];
};

static void containers() {
  std::map<std::string, std::vector<wide>> all;
  for (int i = 0; i < 500; i++) all["key number " + std::to_string(i % 50)].emplace_back();
  std::size_t n = 0;
  for (const auto &one : all)
    for (const auto &w : one.second) n += reinterpret_cast<std::uintptr_t>(&w) % 128 == 0;
  std::printf("containers: %zu aligned\n", n);
}

static thread_local std::vector<std::string> last_words;

int main() {
  for (std::size_t size : {0, 1, 16, 100, 1024, 1025, 5000, 100000, 3000000}) every_form(size);
  ::operator delete(nullptr);
  ::operator delete[](nullptr, 10);
  without_memory("none", nullptr);
  without_memory("gives up after three", gives_up);
  without_memory("throws bad_alloc", throws_bad_alloc);
  without_memory("throws another", throws_another);
  without_alignment();
  try {
    throw std::runtime_error(std::string(1000, 'x'));
  } catch (const std::exception &e) {
    std::printf("caught %zu\n", std::strlen(e.what()));
  }
  containers();
  std::thread([] { last_words.assign(1000, "freed when the thread has ended, from a destructor"); }).join();
  std::printf("done\n");
  return 0;
}
