/* The loads of the paper and its ancestors, written anew: threadtest (Berger), shbench (MicroQuill), larson (Larson and Krishnan),
 * and cache-thrash and cache-scratch, which show active and passive false sharing (Berger). */
#include "paper.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

/* ---- threadtest: allocate many blocks of one size, free them all, again */

static long tt_rounds = 100, tt_objects = 100000, tt_size = 64;

const program_option threadtest_options[] = {{"rounds", &tt_rounds, 1, 1000000, "rounds of allocating and freeing all"},
                                             {"objects", &tt_objects, 1, 100000000, "blocks of all threads together"},
                                             {"size", &tt_size, 1, 1 << 20, "bytes of a block"},
                                             {NULL, NULL, 0, 0, NULL}};

void threadtest_work(load_thread *thread) {
  size_t n = (size_t)tt_objects / load_threads;
  void **blocks = load_allocate((n + 1) * sizeof *blocks);
  for (long round = 0; round < tt_rounds; round++) {
    for (size_t i = 0; i < n; i++) blocks[i] = load_allocate((size_t)tt_size);
    for (size_t i = 0; i < n; i++) free(blocks[i]);
  }
  thread->operations += (uint64_t)tt_rounds * n;
  free(blocks);
}

/* ---- shbench: sizes within bounds, the small ones more often; some blocks go at once, in both orders, some stay for long */

enum { SH_BATCH = 128, SH_KEPT = 4096 };

static long sh_rounds = 30000, sh_least = 1, sh_most = 1000;

const program_option shbench_options[] = {{"rounds", &sh_rounds, 1, 100000000, "batches of 128 blocks a thread"},
                                          {"least", &sh_least, 1, 1 << 20, "bytes of the smallest block"},
                                          {"most", &sh_most, 1, 1 << 20, "bytes of the largest block"},
                                          {NULL, NULL, 0, 0, NULL}};

void shbench_work(load_thread *thread) {
  void **kept = calloc(SH_KEPT, sizeof *kept), *batch[SH_BATCH];
  if (!kept) program_fail("shbench", errno);
  for (long round = 0; round < sh_rounds; round++) {
    for (unsigned i = 0; i < SH_BATCH; i++)
      batch[i] = load_allocate(load_skewed(&thread->random, (size_t)sh_least, (size_t)sh_most));
    unsigned first = (unsigned)(round % 8); /* every eighth block stays, in place of one that has stayed */
    for (unsigned k = 0; k < SH_BATCH; k++) {
      unsigned i = round % 2 ? k : SH_BATCH - 1 - k;
      void *dying = batch[i];
      if (i % 8 == first) {
        void **place = &kept[load_between(&thread->random, 0, SH_KEPT - 1)];
        dying = *place;
        *place = batch[i];
      }
      free(dying);
    }
  }
  for (unsigned i = 0; i < SH_KEPT; i++) free(kept[i]);
  free(kept);
  thread->operations += (uint64_t)sh_rounds * SH_BATCH;
}

/* ---- larson: a server: blocks replaced at random; after some rounds a thread hands its blocks to a new one and ends */

static long la_slots = 1000, la_rounds = 10000, la_generations = 100, la_least = 7, la_most = 8;

const program_option larson_options[] = {{"slots", &la_slots, 1, 10000000, "live blocks a thread"},
                                         {"rounds", &la_rounds, 1, 100000000, "replacements until the next thread"},
                                         {"generations", &la_generations, 1, 1000000, "threads one after another"},
                                         {"least", &la_least, 1, 1 << 20, "bytes of the smallest block"},
                                         {"most", &la_most, 1, 1 << 20, "bytes of the largest block"},
                                         {NULL, NULL, 0, 0, NULL}};

static void *larson_generation(void *argument) {
  load_thread *thread = argument;
  void **blocks = thread->own;
  for (long round = 0; round < la_rounds; round++) {
    void **place = &blocks[load_between(&thread->random, 0, (size_t)la_slots - 1)];
    free(*place);
    *place = load_allocate(load_between(&thread->random, (size_t)la_least, (size_t)la_most));
  }
  thread->operations += (uint64_t)la_rounds;
  return NULL;
}

void larson_work(load_thread *thread) {
  void **blocks = load_allocate((size_t)la_slots * sizeof *blocks);
  for (long i = 0; i < la_slots; i++)
    blocks[i] = load_allocate(load_between(&thread->random, (size_t)la_least, (size_t)la_most));
  thread->own = blocks;
  for (long i = 0; i < la_generations; i++) load_fork_join(1, larson_generation, thread, 0);
  for (long i = 0; i < la_slots; i++) free(blocks[i]);
  free(blocks);
}

/* ---- false sharing: threads write to blocks of their own, which an allocator may have laid on one cache line */

static long fs_rounds = 2000, fs_writes = 5000, fs_size = 8;
static char **scratch;

const program_option sharing_options[] = {{"rounds", &fs_rounds, 1, 100000000, "blocks a thread, one after another"},
                                          {"writes", &fs_writes, 1, 100000000, "writes to every byte of each"},
                                          {"size", &fs_size, 1, 4096, "bytes of a block"},
                                          {NULL, NULL, 0, 0, NULL}};

static void write_often(char *block) {
  volatile char *bytes = block;
  for (long i = 0; i < fs_writes; i++) {
    for (long k = 0; k < fs_size; k++) bytes[k] = (char)(bytes[k] + 1);
  }
}

void active_work(load_thread *thread) {
  for (long i = 0; i < fs_rounds; i++) {
    char *block = load_allocate((size_t)fs_size);
    write_often(block);
    free(block);
  }
  thread->operations += (uint64_t)fs_rounds;
}

/* One thread allocates a block for each: they lie side by side. Whoever frees one must not get that line to write on. */
void passive_begin(unsigned n) {
  scratch = load_allocate(n * sizeof *scratch);
  for (unsigned i = 0; i < n; i++) scratch[i] = load_allocate((size_t)fs_size);
}

void passive_work(load_thread *thread) {
  write_often(scratch[thread->index]);
  free(scratch[thread->index]);
  active_work(thread);
}

void passive_end(unsigned n) {
  (void)n;
  free(scratch);
}
