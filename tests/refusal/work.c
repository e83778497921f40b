/* work.c - see work.h. The two threads take turns but for a few frees, so that a refused call is the same one in every run. */
#include "work.h"

#include <pthread.h>
#include <signal.h>

enum { HELD_MOST = 1000, HEAPS_MOST = 480, PARTNER_BLOCKS = 120, CHILD_SECONDS = 20 };

work_terms work;
static size_t refusals; /* by both threads, which take turns */

typedef struct held {
  unsigned char *block;
  size_t size;
} held;

static held mine[HELD_MOST], theirs[PARTNER_BLOCKS];
static size_t count;

/* ---- blocks ------------------------------------------------------------------------------------------------------------ */

void work_begin(void) {
  if (work.before) work.before();
  errno = 0;
}

bool work_came(const void *result) {
  if (result != NULL) return true;
  CHECK_INT(errno, ==, ENOMEM);
  CHECK(work.excused != NULL && work.excused());
  refusals++;
  return false;
}

/* Only the ends of a big block carry the pattern: its middle costs no memory. */
enum { END_BYTES = 4096 };

static void mark(held h) {
  size_t end = h.size < END_BYTES ? h.size : END_BYTES;
  fill(h.block, end);
  if (h.size >= 2 * END_BYTES) fill(h.block + h.size - END_BYTES, END_BYTES);
}

static void check_mark(held h) {
  CHECK(intact(h.block, h.size < END_BYTES ? h.size : END_BYTES));
  if (h.size >= 2 * END_BYTES) CHECK(intact(h.block + h.size - END_BYTES, END_BYTES));
}

static held hold(void *block, size_t size) {
  held h = {block, size};
  if (!work_came(block)) return (held){NULL, 0};
  CHECK_INT(scalloc_usable_size(block), >=, size);
  mark(h);
  return h;
}

static void release(held *h) {
  if (h->block) check_mark(*h);
  errno = 77;
  scalloc_free(h->block);
  CHECK_INT(errno, ==, 77);
  *h = (held){NULL, 0};
}

static void keep(void *block, size_t size) {
  held h = hold(block, size);
  if (h.block == NULL) return;
  CHECK_INT(count, <, HELD_MOST);
  mine[count++] = h;
}

static void *zeroed(size_t size) {
  unsigned char *block = scalloc_calloc(1, size);
  if (block) CHECK(all_bytes(block, size < END_BYTES ? size : END_BYTES, 0) && block[size - 1] == 0 && block[size / 2] == 0);
  return block;
}

static void every_class(void) {
  bool clear = false;
  for (size_t size = 1; size <= MB; size = scalloc_good_size(size) + 1, clear = !clear) {
    work_begin();
    keep(clear ? zeroed(size) : scalloc_malloc(size), size);
  }
  for (int i = 0; i < 100; i++) { /* more than one real span of a class, with the two of work_all */
    work_begin();
    keep(scalloc_malloc(700), 700);
  }
}

static void large_and_aligned(void) {
  for (size_t size = work.largest; size > MB; size /= 3) {
    work_begin();
    keep(scalloc_malloc(size), size);
  }
  work_begin();
  keep(zeroed(5 * MB), 5 * MB);
  for (size_t alignment = 32; alignment <= 8 * MB; alignment *= 8) {
    work_begin();
    void *block = scalloc_aligned_alloc(alignment, 3 * alignment / 2);
    CHECK_INT((uintptr_t)block % alignment, ==, 0);
    keep(block, 3 * alignment / 2);
  }
}

static void resize(held *h, size_t size) {
  work_begin();
  unsigned char *block = scalloc_realloc(h->block, size);
  if (block == NULL) {
    CHECK_INT(size, >, h->size); /* a shrink never fails */
    work_came(block);
    check_mark(*h);
    return;
  }
  size_t common = size < h->size ? size : h->size, end = h->size < END_BYTES ? h->size : END_BYTES;
  CHECK(intact_prefix(block, common < end ? common : end, h->block, end));
  *h = (held){block, size};
  mark(*h);
}

static void grow_and_shrink(void) {
  rng random = {3};
  for (size_t i = 0; i < count; i += 5) resize(&mine[i], 1 + rng_log(&random, i % 3 ? 15 : 21));
  for (size_t i = 0; i < count; i += 7) resize(&mine[i], 1 + mine[i].size / 3);
  work_begin();
  held chain = hold(scalloc_malloc(1000), 1000);
  for (size_t size = 2000; chain.block && size < 12 * MB; size = size * 7 / 2) resize(&chain, size);
  for (size_t size = chain.size / 2; chain.block && size > 500; size /= 5) resize(&chain, size);
  release(&chain);
}

static void give_back_every(size_t step) {
  for (size_t i = 0; i < count; i += step) release(&mine[i]);
  size_t left = 0;
  for (size_t i = 0; i < count; i++)
    if (mine[i].block) mine[left++] = mine[i];
  count = left;
}

/* ---- heaps ------------------------------------------------------------------------------------------------------------- */

/* Blocks in a heap of its own: some freed by its user, some by anybody, the rest with the heap. */
static void one_heap(scalloc_heap *heap) {
  held blocks[40] = {{NULL, 0}};
  size_t n = 0;
  for (size_t size = 9; n < LENGTH(blocks); size = size < 3 * MB ? size * 5 / 2 : 9, n++) {
    work_begin();
    blocks[n] = hold(n % 3 ? scalloc_heap_malloc(heap, size) : scalloc_heap_calloc(heap, 1, size), size);
    if (blocks[n].block && n % 4 == 0) {
      work_begin();
      void *block = scalloc_heap_realloc(heap, blocks[n].block, size + size / 3);
      if (work_came(block)) mark(blocks[n] = (held){block, size + size / 3});
    }
  }
  for (size_t i = 0; i < n; i++) {
    if (blocks[i].block) check_mark(blocks[i]);
    if (i % 4 == 1) scalloc_heap_free(heap, blocks[i].block);
    if (i % 4 == 2) scalloc_free(blocks[i].block);
  }
}

static void several_heaps(void) {
  static scalloc_heap *heaps[HEAPS_MOST];
  CHECK_INT(work.heaps, <=, HEAPS_MOST);
  for (size_t i = 0; i < work.heaps; i++) {
    work_begin();
    heaps[i] = scalloc_heap_new();
    if (work_came(heaps[i]) && (i < 2 || i + 1 == work.heaps)) one_heap(heaps[i]);
  }
  for (size_t i = 0; i < work.heaps; i++) scalloc_heap_destroy(heaps[i]);
}

/* ---- a second thread, and a fork while it stands in the middle of its life ------------------------------------------------- */

static pthread_barrier_t turn;

static void take_theirs(size_t from, size_t step) {
  for (size_t i = from; i < PARTNER_BLOCKS; i += step) {
    size_t size = i % 40 == 39 ? 2 * MB + i : 16 + i * i;
    work_begin();
    theirs[i] = hold(scalloc_malloc(size), size);
  }
}

static void release_theirs(size_t from, size_t step) {
  for (size_t i = from; i < PARTNER_BLOCKS; i += step) release(&theirs[i]);
}

static void *partner(void *unused) {
  take_theirs(0, 1);
  pthread_barrier_wait(&turn); /* the other thread frees the odd ones, forks, takes some itself */
  pthread_barrier_wait(&turn);
  release_theirs(1, 4); /* blocks of the other */
  take_theirs(1, 4);
  pthread_barrier_wait(&turn);
  for (size_t i = 0; i < PARTNER_BLOCKS; i += 6) release(&theirs[i]); /* both at the same time */
  return unused;                                                      /* and leaves the rest behind */
}

/* What the child of a fork does: it has all the blocks and one thread. */
static void life_of_the_child(void) {
  check_heap();
  release_theirs(0, 1);
  give_back_every(2);
  take_theirs(0, 1);
  release_theirs(0, 1);
  give_back_every(1);
  scalloc_purge();
  check_heap();
}

static void fork_now(void) {
  int status;
  fflush(NULL);
  pid_t pid = fork();
  if (pid < 0) return; /* a limit of the system */
  if (pid == 0) {
    signal(SIGALRM, SIG_DFL);
    alarm(CHILD_SECONDS);
    life_of_the_child();
    _exit(0);
  }
  CHECK(waitpid(pid, &status, 0) == pid);
  CHECK(WIFEXITED(status));
  CHECK_INT(WEXITSTATUS(status), ==, 0);
}

static void two_threads(bool with_fork) {
  pthread_t thread;
  pthread_attr_t attributes;
  CHECK(pthread_barrier_init(&turn, NULL, 2) == 0);
  CHECK(pthread_attr_init(&attributes) == 0 && pthread_attr_setstacksize(&attributes, 256 * KB) == 0);
  if (pthread_create(&thread, &attributes, partner, NULL) == 0) {
    pthread_barrier_wait(&turn);
    release_theirs(1, 2);
    if (with_fork) fork_now();
    take_theirs(1, 2);
    pthread_barrier_wait(&turn);
    pthread_barrier_wait(&turn);
    if (work.in_turns) CHECK(pthread_join(thread, NULL) == 0);
    for (size_t i = 3; i < PARTNER_BLOCKS; i += 6) release(&theirs[i]);
    if (!work.in_turns) CHECK(pthread_join(thread, NULL) == 0);
    release_theirs(0, 1); /* also of a thread that is gone */
  }
  pthread_attr_destroy(&attributes);
  pthread_barrier_destroy(&turn);
}

/* ---- all of it --------------------------------------------------------------------------------------------------------- */

size_t work_all(void) {
  refusals = 0;
  count = 0;
  several_heaps();
  every_class();
  large_and_aligned();
  grow_and_shrink();
  two_threads(true);
  give_back_every(3);
  scalloc_purge();
  if (work.lua) work.lua();
  two_threads(false); /* the new thread takes over what the first one left */
  every_class();
  give_back_every(1);
  scalloc_purge();
  check_heap();
  check_span_sum(stats_now());
  CHECK_INT(stats_now().live, ==, 0);
  return refusals;
}
