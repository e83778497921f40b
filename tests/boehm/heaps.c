/* What holds a collected object: every word of an allocated scanned block, and nothing else of a boehm heap. */
#include "objects.h"

#include <sys/socket.h>
#include <threads.h>

static long died, others_died;

typedef object *volatile word;

static void release(scalloc_boehm_heap *heap, word *block) { scalloc_boehm_free(heap, (void *)(uintptr_t)block); }

/* ---- blocks ------------------------------------------------------------------------------------------------------------- */

static void blocks(void) {
  static const size_t sizes[] = {0, 1, 8, 16, 17, 48, 100, 1000, 1024, 1025, 5000, 70000, MB, MB + 1, 3 * MB};
  scalloc_boehm_heap *heap = scalloc_boehm_heap_new();
  CHECK(heap != NULL);
  for (int turn = 0; turn < 3; turn++)
    for (size_t i = 0; i < LENGTH(sizes); i++) {
      unsigned char *scanned[3], *atomic = scalloc_boehm_malloc_atomic(heap, sizes[i]);
      CHECK(atomic != NULL && (uintptr_t)atomic % 16 == 0);
      memset(atomic, 0xa5, sizes[i]);
      for (size_t k = 0; k < 3; k++) {
        scanned[k] = scalloc_boehm_malloc(heap, sizes[i]);
        CHECK(scanned[k] != NULL && (uintptr_t)scanned[k] % 16 == 0 && all_bytes(scanned[k], sizes[i], 0));
        memset(scanned[k], 0x5a, sizes[i]);
      }
      for (size_t k = 0; k < 3; k++) scalloc_boehm_free(heap, scanned[k]);
      CHECK(all_bytes(atomic, sizes[i], 0xa5));
      scalloc_boehm_free(heap, atomic);
    }
  scalloc_boehm_free(heap, NULL);
  errno = 0;
  CHECK(scalloc_boehm_malloc(heap, SIZE_MAX) == NULL && errno == ENOMEM);
  CHECK(scalloc_boehm_malloc_atomic(heap, (size_t)PTRDIFF_MAX + 1) == NULL && errno == ENOMEM);
  scalloc_boehm_heap_destroy(heap);
  scalloc_boehm_heap_destroy(NULL);
  check_heap();
}

/* ---- words -------------------------------------------------------------------------------------------------------------- */

typedef struct {
  scalloc_boehm_heap *heap;
  word *block;
  size_t words, step;
  uint64_t first; /* objects are numbered on */
  size_t objects;
  bool busy; /* its objects are not counted among those that died */
} filled;

static void *fill_words(void *data) {
  filled *f = data;
  f->block = scalloc_boehm_malloc(f->heap, f->words * sizeof(word));
  CHECK(f->block != NULL);
  f->objects = (f->words + f->step - 1) / f->step;
  f->first = object_ids(f->objects);
  for (size_t at = 0, i = 0; at < f->words; at += f->step, i++)
    object_new(&f->block[at], f->first + i, f->busy ? &others_died : &died);
  return NULL;
}

static void *check_words(void *data) {
  filled *f = data;
  for (size_t at = 0, i = 0; at < f->words; at += f->step, i++) CHECK(object_is_sound(f->block[at], f->first + i));
  return NULL;
}

static void *free_words(void *data) {
  filled *f = data;
  for (size_t at = 0; at < f->words; at += f->step) object_let_go(f->block[at]);
  release(f->heap, f->block);
  return NULL;
}

/* First and last words, those at the ends of slices, of small blocks all. Two blocks of each size; the other one stays. */
static void words(void) {
  static const size_t sizes[] = {1, 2, 3, 7, 32, 100, 513, 2048, 4099, 100000, 131072, 400001};
  scalloc_boehm_heap *heap = scalloc_boehm_heap_new();
  filled f[LENGTH(sizes)][2];
  long expected = died;
  for (size_t i = 0; i < LENGTH(sizes); i++)
    for (size_t k = 0; k < 2; k++) {
      f[i][k] = (filled){.heap = heap, .words = sizes[i], .step = sizes[i] > 1000 ? 51 : 1};
      elsewhere(fill_words, &f[i][k]);
    }
  for (int i = 0; i < 3; i++) GC_gcollect();
  CHECK_INT(died, ==, expected);
  for (size_t k = 0; k < 2; k++)
    for (size_t i = 0; i < LENGTH(sizes); i++) {
      elsewhere(check_words, &f[i][k]);
      elsewhere(free_words, &f[i][k]);
      expected += (long)f[i][k].objects;
      CHECK(collect_until(&died, expected));
    }
  CHECK_INT(objects_wrong, ==, 0);
  scalloc_boehm_heap_destroy(heap);
}

/* ---- what holds nothing -------------------------------------------------------------------------------------------------- */

static void *only_in_atomic(void *data) {
  filled *f = data;
  object *volatile held;
  f->block = scalloc_boehm_malloc_atomic(f->heap, 64);
  object_new(&held, object_ids(1), &died);
  object_let_go(held);
  f->block[3] = held;
  return NULL;
}

static void atomic_blocks(void) {
  filled f = {.heap = scalloc_boehm_heap_new()};
  long expected = died + 1;
  elsewhere(only_in_atomic, &f);
  CHECK(collect_until(&died, expected));
  scalloc_boehm_heap_destroy(f.heap);
}

/* Destroying a heap lets go of all its objects and of no other's. */
static void destroy(void) {
  filled f[2] = {{.heap = scalloc_boehm_heap_new(), .words = 3000, .step = 1},
                 {.heap = scalloc_boehm_heap_new(), .words = 3000, .step = 1}};
  long before = died;
  for (size_t k = 0; k < 2; k++) elsewhere(fill_words, &f[k]);
  for (size_t at = 0; at < f[0].words; at++) object_let_go(f[0].block[at]);
  scalloc_boehm_heap_destroy(f[0].heap);
  CHECK(collect_until(&died, before + 3000));
  elsewhere(check_words, &f[1]);
  for (size_t at = 0; at < f[1].words; at++) object_let_go(f[1].block[at]);
  scalloc_boehm_heap_destroy(f[1].heap);
  CHECK(collect_until(&died, before + 6000));
  CHECK_INT(objects_wrong, ==, 0);
  check_heap();
}

/* ---- threads -------------------------------------------------------------------------------------------------------------- */

/* Blocks outlive the thread that made them, whose memory others go on with. */
static void thread_exit(void) {
  scalloc_boehm_heap *heap = scalloc_boehm_heap_new();
  static filled f[400];
  long expected = died;
  stats before = stats_now();
  for (size_t i = 0; i < LENGTH(f); i++) {
    f[i] = (filled){.heap = heap, .words = 1 + i % 40, .step = 1};
    elsewhere(fill_words, &f[i]);
  }
  CHECK(stats_now().hot - before.hot < 30);
  GC_gcollect();
  for (size_t i = 0; i < LENGTH(f); i++) {
    elsewhere(check_words, &f[i]);
    elsewhere(free_words, &f[i]);
    expected += (long)f[i].objects;
  }
  CHECK(collect_until(&died, expected));
  CHECK_INT(objects_wrong, ==, 0);
  scalloc_boehm_heap_destroy(heap);
  check_heap();
}

static pthread_barrier_t turn_begins, turn_ends;
static scalloc_boehm_heap *in_turn; /* NULL: the last turn is over */

static void *uses_many_heaps(void *unused) {
  for (size_t turns = 0;; turns++) {
    pthread_barrier_wait(&turn_begins);
    if (in_turn == NULL) return unused;
    filled f = {.heap = in_turn, .words = 1 + turns % 100, .step = 1, .busy = true};
    fill_words(&f);
    check_words(&f);
    if (turns % 2) free_words(&f); /* else destroying the heap ends the block */
    for (size_t at = 0; turns % 2 == 0 && at < f.words; at++) object_let_go(f.block[at]);
    pthread_barrier_wait(&turn_ends);
  }
}

/* Threads know heaps that another one destroys. They go on with others, also at the same address, and end. */
static void destroy_known(void) {
  pthread_t threads[3];
  pthread_barrier_init(&turn_begins, NULL, LENGTH(threads) + 1);
  pthread_barrier_init(&turn_ends, NULL, LENGTH(threads) + 1);
  for (size_t i = 0; i < LENGTH(threads); i++) CHECK(pthread_create(&threads[i], NULL, uses_many_heaps, NULL) == 0);
  scalloc_boehm_heap *stays = scalloc_boehm_heap_new(), *goes = NULL;
  for (int turn = 0; turn < 300; turn++) {
    in_turn = turn % 3 == 0 ? stays : (goes = scalloc_boehm_heap_new());
    CHECK(in_turn != NULL);
    pthread_barrier_wait(&turn_begins);
    pthread_barrier_wait(&turn_ends);
    if (in_turn == goes) scalloc_boehm_heap_destroy(goes);
    if (turn % 20 == 0) GC_gcollect();
  }
  in_turn = NULL;
  pthread_barrier_wait(&turn_begins);
  for (size_t i = 0; i < LENGTH(threads); i++) CHECK(pthread_join(threads[i], NULL) == 0);
  scalloc_boehm_heap_destroy(stays);
  GC_gcollect();
  CHECK_INT(objects_wrong, ==, 0);
  check_heap();
}

static word *volatile to_free[64];
static volatile bool done;

/* A thread that libgc does not know, and does not stop. */
static int stranger(void *data) {
  scalloc_boehm_heap *heap = data;
  errno = 0;
  CHECK(!GC_thread_is_registered() && scalloc_boehm_malloc(heap, 100) == NULL && errno == EPERM);
  for (int i = 0; i < 1000; i++) {
    void *plain = scalloc_boehm_malloc_atomic(heap, 2 * MB);
    CHECK(plain != NULL);
    scalloc_boehm_free(heap, plain);
  }
  while (!done) {
    for (size_t i = 0; i < LENGTH(to_free); i++) {
      word *block = __atomic_exchange_n(&to_free[i], NULL, __ATOMIC_ACQ_REL);
      if (block) release(heap, block);
    }
    void *plain = scalloc_boehm_malloc_atomic(heap, 3000);
    CHECK(plain != NULL);
    scalloc_boehm_free(heap, plain);
  }
  return 0;
}

static void *feed_stranger(void *heap) {
  for (size_t i = 0; i < 200000; i++) {
    word *volatile *place = &to_free[i % LENGTH(to_free)];
    if (i % 5000 == 0) GC_gcollect();
    if (__atomic_load_n(place, __ATOMIC_ACQUIRE) != NULL) continue;
    word *block = scalloc_boehm_malloc(heap, i % 7 * 700);
    CHECK(block != NULL);
    __atomic_store_n(place, block, __ATOMIC_RELEASE);
  }
  return NULL;
}

/* Where tokens are in use, pointer-free memory matters to libgc too, but this thread must not be the one that collects. */
static void strangers(void) {
  scalloc_boehm_heap *heap = scalloc_boehm_heap_new();
  thrd_t thread;
  CHECK(scalloc_boehm_token_new(heap, scalloc_boehm_malloc(heap, 1)) != NULL);
  CHECK(thrd_create(&thread, stranger, heap) == thrd_success);
  elsewhere(feed_stranger, heap);
  done = true;
  CHECK(thrd_join(thread, NULL) == thrd_success);
  scalloc_boehm_heap_destroy(heap);
  check_heap();
}

/* ---- forks ---------------------------------------------------------------------------------------------------------------- */

static scalloc_boehm_heap *forked;

static void *once(void *data) {
  filled f = {.heap = data, .words = 20, .step = 1, .busy = true};
  fill_words(&f);
  check_words(&f);
  free_words(&f);
  return NULL;
}

static void *busy(void *data) {
  while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE)) once(data);
  return NULL;
}

/* Threads that begin and end while others fork. */
static void *spawns(void *data) {
  while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE)) elsewhere(once, data);
  return NULL;
}

/* Everything goes on in the child, with the blocks of the parent. */
static int child_life(filled *f) {
  filled g = {.heap = forked, .words = 500, .step = 1};
  check_words(f);
  fill_words(&g);
  GC_gcollect();
  check_words(f);
  check_words(&g);
  free_words(&g);
  GC_gcollect();
  scalloc_boehm_heap *heap = scalloc_boehm_heap_new();
  CHECK(scalloc_boehm_malloc(heap, 5000) != NULL);
  scalloc_boehm_heap_destroy(heap);
  free_words(f);
  scalloc_boehm_heap_destroy(forked);
  check_heap();
  return objects_wrong == 0 ? 0 : 1;
}

static void forks(void) {
  pthread_t thread[3];
  forked = scalloc_boehm_heap_new();
  filled f = {.heap = forked, .words = 1000, .step = 1};
  long expected = died + (long)f.words;
  done = false;
  elsewhere(fill_words, &f);
  for (size_t i = 0; i < LENGTH(thread); i++) CHECK(pthread_create(&thread[i], NULL, i == 0 ? spawns : busy, forked) == 0);
  for (int i = 0; i < 40; i++) {
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
      alarm(60);
      _exit(child_life(&f));
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK_INT(status, ==, 0);
  }
  __atomic_store_n(&done, true, __ATOMIC_RELEASE);
  for (size_t i = 0; i < LENGTH(thread); i++) CHECK(pthread_join(thread[i], NULL) == 0);
  elsewhere(check_words, &f);
  elsewhere(free_words, &f);
  CHECK(collect_until(&died, expected));
  scalloc_boehm_heap_destroy(forked);
  check_heap();
}

/* ---- sizes that no memory can serve ------------------------------------------------------------------------------------------- */

/* Refused before libgc is asked for a proxy, or to collect. In a process of its own, with a limit. */
static void hopeless(void) {
  static const size_t sizes[] = {(1UL << 30) + 1, 1UL << 40, 1UL << 50, SIZE_MAX / 2, (size_t)PTRDIFF_MAX + 1, SIZE_MAX};
  CHECK(scalloc_option_set("SCALLOC_LIMIT_BYTES", 1L << 30));
  scalloc_boehm_heap *heap = scalloc_boehm_heap_new();
  void *block = scalloc_boehm_malloc(heap, MB + 1); /* the thread's record is made */
  CHECK(block != NULL);
  size_t bytes = GC_get_total_bytes();
  GC_word collections = GC_get_gc_no();
  for (int round = 0; round < 1000; round++)
    for (size_t i = 0; i < LENGTH(sizes); i++) {
      errno = 0;
      CHECK(scalloc_boehm_malloc(heap, sizes[i]) == NULL && errno == ENOMEM);
      CHECK(scalloc_boehm_malloc_atomic(heap, sizes[i]) == NULL && errno == ENOMEM);
    }
  CHECK_INT(GC_get_total_bytes(), ==, bytes);
  CHECK_INT(GC_get_gc_no(), ==, collections);
  scalloc_boehm_free(heap, block);
  scalloc_boehm_heap_destroy(heap);
}

/* ---- pressure --------------------------------------------------------------------------------------------------------------- */

/* Scanned blocks alone make libgc collect: often enough to matter, not more often the more there are. In a process of its own. */
static void pressure(void) {
  enum { BLOCK = 4096, ROUND = 64 * MB / BLOCK };
  scalloc_boehm_heap *heap = scalloc_boehm_heap_new();
  GC_word before = GC_get_gc_no(), first = 0, last = 0, all = 0;
  for (int round = 0; round < 4; round++) {
    for (size_t i = 0; i < ROUND; i++) CHECK(scalloc_boehm_malloc(heap, BLOCK) != NULL);
    last = GC_get_gc_no() - before;
    if (round == 0) first = last;
    all += last;
    before += last;
  }
  printf("  collections: %d in the first 64 MB, %d in the last, %d in 256\n", (int)first, (int)last, (int)all);
  CHECK_INT(all, >, 0);
  CHECK_INT(last, <=, first / 2);
  before = GC_get_gc_no();
  for (size_t i = 0; i < ROUND; i++) CHECK(scalloc_boehm_malloc_atomic(heap, BLOCK) != NULL);
  CHECK_INT(GC_get_gc_no(), ==, before);
  scalloc_boehm_heap_destroy(heap);
}

/* ---- incremental collections and the system ----------------------------------------------------------------------------------- */

/* libgc may write-protect its own pages then; blocks stay writable for the system too. Last: there is no way back. */
static void system_calls(void) {
  enum { BYTES = 8000 };
  scalloc_boehm_heap *heap = scalloc_boehm_heap_new();
  filled f = {.heap = heap, .words = 2000, .step = 7};
  int ends[2];
  long expected = died;
  GC_enable_incremental();
  CHECK(GC_is_incremental_mode() && socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  elsewhere(fill_words, &f);
  char *from = scalloc_boehm_malloc(heap, BYTES), *to = scalloc_boehm_malloc(heap, BYTES);
  CHECK(from && to);
  for (int i = 0; i < 200; i++) {
    GC_start_incremental_collection();
    GC_collect_a_little();
    memset(from, i, BYTES);
    CHECK(write(ends[0], from, BYTES) == BYTES && recv(ends[1], to, BYTES, MSG_WAITALL) == BYTES);
    CHECK(memcmp(from, to, BYTES) == 0);
    while (GC_collect_a_little()) continue;
  }
  close(ends[0]);
  close(ends[1]);
  elsewhere(check_words, &f);
  elsewhere(free_words, &f);
  CHECK(collect_until(&died, expected + (long)f.objects));
  CHECK_INT(objects_wrong, ==, 0);
  scalloc_boehm_heap_destroy(heap);
}

int main(int argc, char **argv) {
  GC_set_handle_fork(1);
  GC_INIT();
  if (argc > 1) {
    if (strcmp(argv[1], "pressure") == 0)
      pressure();
    else
      hopeless();
    return 0;
  }
  run_self_ok("pressure", NULL, 0);
  run_self_ok("hopeless", NULL, 0);
  blocks();
  words();
  atomic_blocks();
  destroy();
  thread_exit();
  destroy_known();
  strangers();
  forks();
  system_calls();
  return 0;
}
