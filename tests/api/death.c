/* A foreign pointer given to a free ends the process: one line "scalloc: <what> <address>: <why>" on stderr, then SIGABRT. */
#include "../test.h"
#include <signal.h>
#include <sys/mman.h>

static int object;

static void *of_stack(void) {
  static void *volatile address; /* hides from the compiler where it points */
  int local = 0;
  address = &local;
  return address;
}
static void *of_static_data(void) { return &object; }
static void *of_libc(void) { return malloc(100); }
static void *of_a_mapping(void) { return mmap(NULL, 4 * MB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); }
static void *of_nobody(void) { return (void *)(uintptr_t)64; }
static void *of_a_string(void) { return (void *)(uintptr_t) "a string, 16 or more bytes long"; }

static const struct {
  const char *name;
  void *(*make)(void);
} pointers[] = {{"stack", of_stack},       {"static", of_static_data}, {"libc", of_libc},
                {"mapping", of_a_mapping}, {"nobody", of_nobody},      {"string", of_a_string}};

static void by_free(void *block) { scalloc_free(block); }
static void by_free_sized(void *block) { scalloc_free_sized(block, 16); }
static void by_heap_free(void *block) { scalloc_heap_free(scalloc_heap_new(), block); }

static const struct {
  const char *name;
  void (*call)(void *block);
} frees[] = {{"free", by_free}, {"free_sized", by_free_sized}, {"heap_free", by_heap_free}};

/* mode: "<free> <pointer> <used>", by index; used = 1: after an allocation, 0: as the very first call. */
static int run_child(const char *mode) {
  void *block = pointers[mode[1] - '0'].make();
  if (mode[2] == '1') scalloc_free(scalloc_malloc(100)), CHECK(scalloc_malloc(100));
  printf("%p\n", block);
  fprintf(stderr, "%p\n", block);
  frees[mode[0] - '0'].call(block);
  return 0; /* survived: a failure */
}

/* err: the address on a line of its own, then what scalloc said. */
static void check_death(const char *what, child result) {
  char *said = strchr(result.err, '\n');
  CHECK(said != NULL);
  *said++ = 0;
  char *newline = strchr(said, '\n');
  if (result.exited || result.code != SIGABRT || !newline || newline[1] || strncmp(said, "scalloc: ", 9) != 0 ||
      !strstr(said, result.err)) {
    test_fail(__FILE__, __LINE__, "%s of %s: %s %d, stderr \"%s\"", what, result.err, result.exited ? "exit" : "signal",
              result.code, said);
  }
}

int main(int argc, char **argv) {
  if (argc > 1) {
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
    return run_child(argv[1]);
  }
  for (size_t i = 0; i < LENGTH(frees); i++)
    for (size_t k = 0; k < LENGTH(pointers); k++)
      for (size_t used = 0; used < 2; used++) {
        char mode[4] = {(char)('0' + i), (char)('0' + k), (char)('0' + used), 0}, what[64];
        snprintf(what, sizeof what, "%s, %s pointer", frees[i].name, pointers[k].name);
        check_death(what, run_self(mode, NULL, 0));
      }
  return 0;
}
