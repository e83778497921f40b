/*
 * dlopen.c - the shared library opened and closed again and again, with use in between. It stays in memory once it was there
 * (nodelete): blocks stay valid, and threads that have a heap may end when nobody has it open.
 *
 *   dlopen PATH [--rounds N]     nothing of scalloc is linked with this program
 */
#include "life.h"
#include <dlfcn.h>

enum { SLOTS = 64, BIG = 3 << 20 };

typedef struct library {
  void *handle;
  void *(*malloc)(size_t);
  void (*free)(void *);
  bool (*check)(char *, size_t);
  size_t (*stats_json)(char *, size_t);
  size_t (*purge)(void);
} library;

static const char *path;
static void *slots[SLOTS];
static size_t sizes[SLOTS];

static void *symbol(void *handle, const char *name) {
  void *found = dlsym(handle, name);
  if (found == NULL) test_fail(__FILE__, __LINE__, "%s", dlerror());
  return found;
}

static library open_library(void) {
  library l = {.handle = dlopen(path, RTLD_NOW | RTLD_LOCAL)};
  if (l.handle == NULL) test_fail(__FILE__, __LINE__, "%s", dlerror());
  /* A data pointer to a function pointer, as POSIX has it. */
  *(void **)&l.malloc = symbol(l.handle, "scalloc_malloc");
  *(void **)&l.free = symbol(l.handle, "scalloc_free");
  *(void **)&l.check = symbol(l.handle, "scalloc_check");
  *(void **)&l.stats_json = symbol(l.handle, "scalloc_stats_json");
  *(void **)&l.purge = symbol(l.handle, "scalloc_purge");
  return l;
}

static void check_library(const library *l) {
  char why[256] = "";
  if (!l->check(why, sizeof why)) test_fail(__FILE__, __LINE__, "scalloc_check: %s", why);
}

static stats library_stats(const library *l) {
  char json[4096];
  CHECK(l->stats_json(json, sizeof json) < sizeof json);
  return stats_parse(json);
}

static void exchange(const library *l, rng *random) {
  size_t at = rng_below(random, SLOTS), size = rng_percent(random, 3) ? BIG : rng_log(random, 17);
  if (slots[at]) CHECK(intact(slots[at], sizes[at]));
  l->free(slots[at]);
  CHECK(slots[at] = l->malloc(size));
  sizes[at] = size;
  fill(slots[at], size);
}

/* ---- a thread that outlives the handle ------------------------------------------------------------------------------- */

typedef struct guest {
  library l;
  pthread_barrier_t closed;
  void *left;
} guest;

static void *outlive_the_handle(void *argument) {
  guest *me = argument;
  void *mine = me->l.malloc(1000);
  CHECK(mine && (me->left = me->l.malloc(2000)));
  fill(me->left, 2000);
  pthread_barrier_wait(&me->closed); /* has a heap */
  pthread_barrier_wait(&me->closed); /* the library is closed */
  me->l.free(mine);
  return NULL;
}

static void run_round(rng *random) {
  guest g = {.l = open_library()};
  pthread_t thread;
  for (int i = 0; i < 20; i++) exchange(&g.l, random);
  CHECK(pthread_barrier_init(&g.closed, NULL, 2) == 0);
  CHECK(pthread_create(&thread, NULL, outlive_the_handle, &g) == 0);
  pthread_barrier_wait(&g.closed);
  CHECK(dlclose(g.l.handle) == 0);
  for (size_t i = 0; i < SLOTS; i++) CHECK(slots[i] == NULL || intact(slots[i], sizes[i]));
  void *again = dlopen(path, RTLD_NOW | RTLD_NOLOAD); /* it is still there */
  CHECK(again && dlclose(again) == 0);
  pthread_barrier_wait(&g.closed);
  CHECK(pthread_join(thread, NULL) == 0);
  CHECK(intact(g.left, 2000));
  g.l.free(g.left);
  pthread_barrier_destroy(&g.closed);
}

static void work_in_child(void *context) {
  rng random = {99};
  library l = open_library();
  (void)context;
  for (int i = 0; i < 50; i++) exchange(&l, &random);
  check_library(&l);
}

int main(int argc, char **argv) {
  rng random = {3};
  CHECK(argc > 1);
  path = argv[1];
  long rounds = option_number(argc, argv, "--rounds", 100);
  for (long i = 0; i < rounds; i++) {
    run_round(&random);
    if (i % 10 == 0) reap(fork_child_to(work_in_child, NULL), "fork while the library is closed");
  }
  library l = open_library();
  for (size_t i = 0; i < SLOTS; i++) {
    CHECK(slots[i] == NULL || intact(slots[i], sizes[i]));
    l.free(slots[i]);
  }
  l.purge();
  check_library(&l);
  stats end = library_stats(&l);
  check_span_sum(end);
  CHECK_INT(end.live, ==, 0);
  CHECK_INT(end.large + end.floating + end.reusable, ==, 0);
  CHECK(dlclose(l.handle) == 0);
  return 0;
}
