/*
 * foreign.c - blocks of another malloc: those of a deeply bound plugin go back to glibc, which must be able to use them again; an
 * address that is nobody's is left alone with one line. Run under scalloc-run, with the plugin's path.
 */
#include "own.h"

#include <pthread.h>
#include <sys/mman.h>

static void *(*plugin_malloc)(size_t);
static void *(*plugin_aligned)(size_t, size_t);
static char *(*plugin_strdup)(const char *);

static void *symbol(void *plugin, const char *name) {
  void *found = dlsym(plugin, name);
  if (found == NULL) test_fail(__FILE__, __LINE__, "%s", dlerror());
  return found;
}

/* Blocks of every kind of chunk: fast, small, large, mapped, aligned, at the end of the heap. */
static void *any_block(rng *random, size_t *size) {
  *size = rng_percent(random, 5) ? 200000 + rng_below(random, 400000) : rng_log(random, 16);
  void *p = rng_percent(random, 10) ? plugin_aligned((size_t)16 << rng_below(random, 12), *size) : plugin_malloc(*size);
  CHECK(p != NULL && !is_ours(p));
  fill(p, *size);
  return p;
}

static void go_back(unsigned seed) {
  enum { KEPT = 100, ROUNDS = 20000 };
  void *kept[KEPT] = {NULL};
  size_t sizes[KEPT] = {0};
  rng random = {seed};
  for (int i = 0; i < ROUNDS; i++) {
    size_t at = rng_below(&random, KEPT);
    if (kept[at] == NULL) {
      kept[at] = any_block(&random, &sizes[at]);
      CHECK(malloc_usable_size(kept[at]) >= sizes[at]);
      continue;
    }
    CHECK(intact(kept[at], sizes[at]));
    if (rng_percent(&random, 20)) {
      size_t size = 1 + rng_log(&random, 17);
      unsigned char before = *(unsigned char *)kept[at];
      CHECK((kept[at] = realloc(kept[at], size)) != NULL);
      CHECK(sizes[at] == 0 || *(unsigned char *)kept[at] == before);
      fill(kept[at], sizes[at] = size);
    } else {
      errno = 4711;
      free(kept[at]);
      CHECK_INT(errno, ==, 4711);
      kept[at] = NULL;
    }
  }
  for (size_t i = 0; i < KEPT; i++) free(kept[i]);
}

static void *go_back_beside(void *seed) {
  go_back((unsigned)(uintptr_t)seed); /* glibc gives a thread an arena of its own */
  return NULL;
}

/* The line on stderr, of which there is one. */
static void left_alone(void) {
  static char own[4096] __attribute__((aligned(64)));
  char local[256];
  int ends[2], saved = dup(STDERR_FILENO);
  char *page = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(page != MAP_FAILED && munmap(page, 4096) == 0 && pipe(ends) == 0 && dup2(ends[1], STDERR_FILENO) >= 0);
  memset(own, 0xff, sizeof own);
  memset(local, 0x21, sizeof local);
  void *nobodys[] = {own, own + 64, own + 65, local + 128, page + 4096, page + 4096 + 16, (void *)64, (void *)(uintptr_t)-4096};
  for (size_t i = 0; i < LENGTH(nobodys); i++) {
    free(nobodys[i]);
    CHECK(malloc_usable_size(nobodys[i]) == 0);
    errno = 0;
    CHECK(realloc(nobodys[i], 100) == NULL && errno == ENOMEM);
  }
  CHECK(dup2(saved, STDERR_FILENO) >= 0);
  close(ends[1]);
  char text[1000];
  ssize_t length = read(ends[0], text, sizeof text - 1);
  CHECK(length > 0);
  text[length] = 0;
  CHECK(strncmp(text, "scalloc: foreign pointer 0x", 27) == 0 && strchr(text, '\n') == text + length - 1);
  for (size_t i = 0; i < sizeof own; i++) CHECK(own[i] == (char)0xff);
  free(malloc(10));
}

int main(int argc, char **argv) {
  CHECK_INT(argc, ==, 2);
  on_scalloc();
  void *plugin = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
  if (plugin == NULL) test_fail(__FILE__, __LINE__, "%s", dlerror());
  *(void **)&plugin_malloc = symbol(plugin, "plugin_malloc");
  *(void **)&plugin_aligned = symbol(plugin, "plugin_aligned");
  *(void **)&plugin_strdup = symbol(plugin, "plugin_strdup");
  char *text = plugin_strdup("of another malloc");
  CHECK(text != NULL); /* of the malloc that the C library itself finds */
  free(text);
  go_back(1);
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, go_back_beside, (void *)2) == 0);
  go_back(3);
  CHECK(pthread_join(thread, NULL) == 0);
  left_alone();
  return 0;
}
