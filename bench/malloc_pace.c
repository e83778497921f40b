/*
 * malloc_pace.c - is there a cliff? Small loads on malloc and free, each timed on the malloc of the process and on libraries that
 * replace it, by turns: milliseconds, medians of five, and the peak of resident memory.
 *
 *   malloc-pace LIBRARY...         the table
 *   malloc-pace --load NAME        one load on the malloc of this process: "milliseconds kilobytes"
 */
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { RUNS = 5, LIBRARIES_MOST = 8, SLOTS = 20000 };

static uint64_t state = 1;
static size_t below(size_t limit) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return (size_t)((state >> 33) % limit);
}

static void *slots[SLOTS];

static void exchange(size_t rounds, size_t (*size)(void)) {
  for (size_t i = 0; i < rounds; i++) {
    size_t at = below(SLOTS), n = size();
    free(slots[at]);
    slots[at] = malloc(n);
    *(volatile char *)slots[at] = 1;
  }
}

static size_t small(void) { return 16 + below(240); }
static size_t mixed(void) { return (size_t)16 << below(11); }
static size_t around_1_mb(void) { return (900 << 10) + below(300 << 10); }

static void load_small(void) { exchange(3000000, small); }
static void load_mixed(void) { exchange(500000, mixed); }

static void load_pairs(void) {
  for (size_t i = 0; i < 20000000; i++) {
    void *volatile p = malloc(32 + (i & 64));
    free(p);
  }
}

/* Blocks around the size at which allocators change their way. */
static void load_large(void) {
  for (size_t i = 0; i < 100000; i++) {
    size_t at = below(16);
    free(slots[at]);
    slots[at] = malloc(around_1_mb());
    for (size_t page = 0; page < 16; page++) ((volatile char *)slots[at])[page << 12] = 1;
  }
}

static void load_growing(void) {
  for (size_t i = 0; i < 60; i++) {
    char *p = NULL;
    for (size_t n = 16; n < 16 << 20; n += n / 8 + 16) {
      p = realloc(p, n);
      p[n - 1] = 1;
    }
    free(p);
  }
}

static void load_burst(void) {
  enum { BLOCKS = 500000 };
  void **blocks = malloc(BLOCKS * sizeof *blocks);
  for (int round = 0; round < 3; round++) {
    for (size_t i = 0; i < BLOCKS; i++) *(char *)(blocks[i] = malloc(16 + below(200))) = 1;
    for (size_t i = 0; i < BLOCKS; i++) free(blocks[i]);
  }
  free(blocks);
}

/* What one thread allocates another frees. */
static void *volatile mailbox[1024];

static void *consume(void *unused) {
  (void)unused;
  for (size_t i = 0; i < 300000; i++) {
    void *p;
    while ((p = __atomic_exchange_n(&mailbox[i % 1024], NULL, __ATOMIC_ACQUIRE)) == NULL) {
    }
    free(p);
  }
  return NULL;
}

static void load_handover(void) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, consume, NULL) != 0) exit(1);
  for (size_t i = 0; i < 300000; i++) {
    void *p = malloc(16 + (i & 127));
    while (__atomic_load_n(&mailbox[i % 1024], __ATOMIC_RELAXED) != NULL) {
    }
    __atomic_store_n(&mailbox[i % 1024], p, __ATOMIC_RELEASE);
  }
  pthread_join(thread, NULL);
}

static const struct {
  const char *name;
  void (*run)(void);
} loads[] = {{"pairs", load_pairs}, {"small", load_small},     {"mixed", load_mixed},      {"burst", load_burst},
             {"large", load_large}, {"growing", load_growing}, {"handover", load_handover}};
enum { LOADS = sizeof loads / sizeof *loads };

static int run_load(const char *name) {
  struct timespec began, ended;
  struct rusage usage;
  for (size_t i = 0; i < LOADS; i++) {
    if (strcmp(loads[i].name, name) != 0) continue;
    clock_gettime(CLOCK_MONOTONIC, &began);
    loads[i].run();
    clock_gettime(CLOCK_MONOTONIC, &ended);
    getrusage(RUSAGE_SELF, &usage);
    printf("%.1f %ld\n", (double)(ended.tv_sec - began.tv_sec) * 1e3 + (double)(ended.tv_nsec - began.tv_nsec) / 1e6,
           usage.ru_maxrss);
    return 0;
  }
  return 2;
}

static void measure(const char *self, const char *library, const char *load, double *ms, long *kb) {
  char command[2048];
  snprintf(command, sizeof command, "LD_PRELOAD='%s' '%s' --load %s", library, self, load);
  FILE *output = popen(command, "r");
  if (output == NULL || fscanf(output, "%lf %ld", ms, kb) != 2) {
    fprintf(stderr, "%s failed on %s\n", load, library);
    exit(1);
  }
  pclose(output);
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

int main(int argc, char **argv) {
  double ms[LIBRARIES_MOST][RUNS];
  long kb[LIBRARIES_MOST];
  if (argc == 3 && strcmp(argv[1], "--load") == 0) return run_load(argv[2]);
  if (argc > LIBRARIES_MOST || (argc > 1 && argv[1][0] == '-')) {
    fprintf(stderr, "usage: malloc-pace LIBRARY...\n");
    return 2;
  }
  printf("%-10s %20s", "ms (MB)", "glibc");
  for (int l = 1; l < argc; l++) printf(" %20.20s", strrchr(argv[l], '/') ? strrchr(argv[l], '/') + 4 : argv[l]);
  printf("\n");
  for (size_t load = 0; load < LOADS; load++) {
    for (int run = 0; run < RUNS; run++)
      for (int l = 0; l < argc; l++) measure(argv[0], l == 0 ? "" : argv[l], loads[load].name, &ms[l][run], &kb[l]);
    printf("%-10s", loads[load].name);
    for (int l = 0; l < argc; l++) {
      qsort(ms[l], RUNS, sizeof ms[l][0], ascending);
      printf(" %12.0f (%5.1f)", ms[l][RUNS / 2], (double)kb[l] / 1024);
    }
    printf("\n");
    fflush(stdout);
  }
  return 0;
}
