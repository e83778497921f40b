// new and delete in a program that is linked with the malloc replacement, in every form.
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "check.h"

struct alignas(64) line {
  char bytes[64];
};

int main() {
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < 100000; i++) texts.emplace_back(i % 100, 'x');
  auto lines = std::make_unique<line[]>(100);
  auto *one = new (std::nothrow) line;
  CHECK(reinterpret_cast<std::uintptr_t>(lines.get()) % 64 == 0 && reinterpret_cast<std::uintptr_t>(one) % 64 == 0);
  delete one;
  volatile std::size_t much = SIZE_MAX / 4;
  CHECK(new (std::nothrow) char[much] == nullptr);
  bool thrown = false;
  try {
    delete[] new char[much];
  } catch (const std::bad_alloc &) {
    thrown = true;
  }
  CHECK(thrown && texts[99].size() == 99);
  std::puts("operators work");
}
