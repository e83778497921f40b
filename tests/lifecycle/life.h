/*
 * life.h - what the lifecycle tests share.
 *
 *   use_all_sizes, use_heaps, use_lua, use_threads, use_everything   each fails the test if scalloc does not serve it
 *   block       a block that knows its size and is full of its pattern
 *   fork_child_to, reap   a child that must end well within a time limit
 */
#ifndef SCALLOC_TESTS_LIFE_H
#define SCALLOC_TESTS_LIFE_H

#include "../test.h"
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>

#ifdef HAVE_LUA_ALLOC
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <scalloc/lua_alloc.h>
#endif

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#elif __has_feature(address_sanitizer)
#define UNDER_ASAN 1
#endif
#endif
#ifndef UNDER_TSAN
#define UNDER_TSAN 0
#endif
#ifndef UNDER_ASAN
#define UNDER_ASAN 0
#endif

/*
 * TSan ends a child of a process with several threads as soon as it starts a thread. ASan (of GCC 12 at least) keeps its own
 * locks over a fork: if a thread was starting or ending at that moment, the child hangs in ASan.
 */
enum { FORKS_WITH_THREADS = !UNDER_TSAN, FORKS_WITH_ENDING_THREADS = !UNDER_TSAN && !UNDER_ASAN };

#define SKIP_CODE 77 /* SKIP_RETURN_CODE of CTest */
enum { CHILD_SECONDS = UNDER_TSAN ? 120 : 40 };

/* ---- blocks ---------------------------------------------------------------------------------------------------------- */

typedef struct block { /* the pattern follows */
  size_t size;
} block;

/* At least sizeof (block) bytes; never NULL. */
static inline block *block_new(size_t size) {
  if (size < sizeof(block)) size = sizeof(block);
  block *made = (block *)scalloc_malloc(size);
  CHECK(made != NULL);
  made->size = size;
  fill(made + 1, size - sizeof *made);
  return made;
}

static inline void block_check(const block *one) {
  CHECK(one->size >= sizeof *one && intact(one + 1, one->size - sizeof *one));
}

/* Holds the block to its pattern and frees it; NULL is ignored. */
static inline void block_free(block *one) {
  if (one == NULL) return;
  block_check(one);
  scalloc_free(one);
}

/* Mostly small, some of 64 KB to 1 MB, few larger. */
static inline size_t block_size(rng *random) {
  size_t kind = rng_below(random, 200);
  if (kind < 2) return MB + 1 + rng_below(random, 3 * MB);
  if (kind < 10) return 64 * KB + rng_below(random, 960 * KB);
  return rng_log(random, 15);
}

/* ---- everything once ------------------------------------------------------------------------------------------------- */

static inline void use_all_sizes(void) {
  for (size_t size = 1; size <= 3 * MB; size *= size < 32 * KB ? 5 : 17) {
    unsigned char *first = (unsigned char *)scalloc_malloc(size), *zeros = (unsigned char *)scalloc_calloc(1, size);
    CHECK(first && zeros && all_bytes(zeros, size, 0));
    fill(first, size);
    fill(zeros, size);
    unsigned char *grown = (unsigned char *)scalloc_realloc(first, size + 100);
    CHECK(grown && intact_prefix(grown, size, first, size) && intact(zeros, size));
    scalloc_free(zeros);
    scalloc_free(grown);
  }
  void *aligned = scalloc_aligned_alloc(4096, 100);
  CHECK(aligned && (uintptr_t)aligned % 4096 == 0);
  scalloc_free(aligned);
}

static inline void use_heaps(void) {
  scalloc_heap *own = scalloc_heap_new();
  void *kept[30];
  CHECK(own != NULL);
  for (size_t i = 0; i < LENGTH(kept); i++) {
    CHECK(kept[i] = scalloc_heap_malloc(own, i * i * i));
    fill(kept[i], i * i * i);
  }
  CHECK(scalloc_heap_malloc(own, 2 * MB) != NULL);
  for (size_t i = 0; i < LENGTH(kept); i++) {
    CHECK(intact(kept[i], i * i * i));
    if (i % 3 == 0) scalloc_heap_free(own, kept[i]);
    if (i % 3 == 1) scalloc_free(kept[i]);
  }
  scalloc_heap_destroy(own);
}

#ifdef HAVE_LUA_ALLOC
static inline void run_script(lua_State *L) {
  static const char script[] = "local t = {} "
                               "for i = 1, 500 do t[i] = {tostring(i)} end "
                               "for i = 1, 500, 2 do t[i] = nil end "
                               "collectgarbage() "
                               "local s = table.concat({t[2][1], string.rep('x', 3000), #t[500][1]}) "
                               "return #s";
  if (luaL_dostring(L, script) != LUA_OK) test_fail(__FILE__, __LINE__, "%s", lua_tostring(L, -1));
  CHECK_INT(lua_tointeger(L, -1), ==, 3002);
  lua_pop(L, 1);
}

/* A state on a heap of its own, and one on the heap of the calling thread. */
static inline void use_lua(void) {
  lua_State *own = scalloc_lua_newstate(NULL), *shared = lua_newstate(scalloc_lua_alloc, NULL);
  CHECK(own && shared);
  luaL_openlibs(own);
  luaL_openlibs(shared);
  run_script(own);
  run_script(shared);
  lua_close(shared);
  scalloc_lua_close(own, SCALLOC_LUA_CLOSE_FULL);
}
#else
static inline void use_lua(void) {}
#endif

static inline void *use_sizes_and_heaps(void *argument) {
  use_all_sizes();
  use_heaps();
  block_free((block *)argument);
  return block_new(3000);
}

/* Each thread frees a block of the caller and leaves one to it. */
static inline void use_threads(void) {
  pthread_t threads[2];
  for (size_t i = 0; i < LENGTH(threads); i++)
    CHECK(pthread_create(&threads[i], NULL, use_sizes_and_heaps, block_new(500 + i)) == 0);
  use_all_sizes(); /* while they do the same */
  for (size_t i = 0; i < LENGTH(threads); i++) {
    void *left;
    CHECK(pthread_join(threads[i], &left) == 0);
    block_free((block *)left);
  }
}

static inline void use_everything(void) {
  use_all_sizes();
  use_heaps();
  use_lua();
  use_threads();
  scalloc_purge();
}

/* As use_everything, by the only thread of a process; the heap is sound before and after, and nothing stays behind. */
static inline void use_everything_alone(void) {
  check_heap();
  stats before = stats_now();
  check_span_sum(before);
  use_everything();
  check_heap();
  stats after = stats_now();
  check_span_sum(after);
  CHECK_INT(after.live, ==, before.live);
  CHECK_INT(after.large, ==, before.large);
}

/* ---- children -------------------------------------------------------------------------------------------------------- */

/* The answer of a test that cannot be made here. */
static inline int skip(const char *why) {
  printf("skipped: %s\n", why);
  return SKIP_CODE;
}

/* Called first in a child: it must not outlive the test, nor hang in a lock that was held at the fork. */
static inline void child_begin(void) {
  signal(SIGALRM, SIG_DFL);
  alarm(CHILD_SECONDS);
}

/* Waits for a child that must exit with `code`. One that has not ended long after its own alarm is killed. */
static inline void reap_code(pid_t pid, const char *what, int code) {
  double end = now() + CHILD_SECONDS + 20;
  int status;
  pid_t got;
  for (long pause = 0; (got = waitpid(pid, &status, WNOHANG)) == 0; pause += pause < 20) {
    if (now() > end) {
      kill(pid, SIGKILL);
      waitpid(pid, &status, 0);
      test_fail(__FILE__, __LINE__, "%s: the child hangs", what);
    }
    nanosleep(&(struct timespec){0, 100000 + pause * 100000}, NULL);
  }
  CHECK(got == pid);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != code)
    test_fail(__FILE__, __LINE__, "%s: the child %s %d", what, WIFSIGNALED(status) ? "died by signal" : "exited with",
              WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static inline void reap(pid_t pid, const char *what) { reap_code(pid, what, 0); }

/* Forks; the child does `work` and leaves by _exit. */
static inline pid_t fork_child_to(void (*work)(void *), void *context) {
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    child_begin();
    work(context);
    _exit(0);
  }
  return pid;
}

#endif
