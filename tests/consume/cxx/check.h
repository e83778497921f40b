// What the programs of this folder share.
#include <cstdio>
#include <cstdlib>

#define CHECK(condition)                                                                                                       \
  do {                                                                                                                         \
    if (!(condition)) std::fprintf(stderr, "%s:%d: CHECK failed: %s\n", __FILE__, __LINE__, #condition), std::exit(1);         \
  } while (0)
