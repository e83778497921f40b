/*
 * returns.c - memory goes back after a peak, in ordinary programs: at once by malloc_trim, by itself after the purge delay, and while
 * the program sleeps if there is a thread for it; a limit gives ENOMEM and lets the program recover. Run under scalloc-run.
 *
 *   returns trim | delay | thread | limit
 */
#include "surroundings.h"

#include <pthread.h>
#include <sys/mman.h>
#include <time.h>

enum { BLOCKS = 600000, SLACK_KB = 1024 };

typedef struct peak {
  void *blocks[BLOCKS];
  size_t count;
} peak;
static peak peaks[2];
static bool tables; /* are freed by this kernel (6.14 and later) */

/* 60 MB in blocks of many sizes. */
static void *climb(void *of) {
  static const size_t sizes[] = {24, 200, 1000, 9000, 70000, 300000, 2500000};
  peak *p = of;
  p->count = 0;
  for (size_t i = 0; i < LENGTH(sizes); i++)
    for (size_t bytes = 0; bytes < (60 << 20) / LENGTH(sizes); bytes += sizes[i]) {
      CHECK(p->count < BLOCKS && (p->blocks[p->count] = malloc(sizes[i])) != NULL);
      memset(p->blocks[p->count++], 1, sizes[i]);
    }
  return NULL;
}

static void descend(peak *p) {
  for (size_t i = 0; i < p->count; i++) free(p->blocks[i]);
}

static void nap(long ms) {
  struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
  while (nanosleep(&time, &time) != 0) {
  }
}

static bool kernel_frees_page_tables(void) {
  size_t bytes = (size_t)256 << 20;
  char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(memory != MAP_FAILED && madvise(memory, bytes, MADV_NOHUGEPAGE) == 0);
  for (size_t i = 0; i < bytes; i += 1 << 21) memory[i] = 1;
  long before = pte_kb();
  CHECK(madvise(memory, bytes, MADV_DONTNEED) == 0);
  long after = pte_kb();
  munmap(memory, bytes);
  return before - after > 256;
}

/* Two peaks, one of a thread that has ended and whose blocks this one frees. What came back within what was allowed? */
static void check_back(const char *what, void (*wait)(void), long slack_kb) {
  memset(peaks, 1, sizeof peaks); /* that memory is there from the beginning */
  for (int round = 0; round < 2; round++) {
    pthread_t thread;
    long baseline = footprint_kb(tables);
    CHECK(pthread_create(&thread, NULL, climb, &peaks[1]) == 0);
    climb(&peaks[0]);
    CHECK(pthread_join(thread, NULL) == 0);
    long most = footprint_kb(tables);
    CHECK_INT(most, >=, baseline + 2 * 58 * 1024);
    descend(&peaks[0]);
    descend(&peaks[1]);
    wait();
    long after = footprint_kb(tables);
    printf("%s: %ld kB before, %ld at the peak, %+ld afterwards\n", what, baseline, most, after - baseline);
    CHECK_INT(after, <=, baseline + slack_kb);
  }
}

static void trim(void) { CHECK_INT(malloc_trim(0), ==, 1); }

/* Past the delay, then one operation that takes a span. */
static void pass_delay(void) {
  nap(600);
  free(malloc(3 << 20));
}

static void sleep_only(void) { nap(900); }

static void child_sleeps(void) { check_back("thread, in a child", sleep_only, SLACK_KB); }

static void limit(void) {
  size_t bytes = 0, count = 0, refused = 0;
  static void *blocks[BLOCKS];
  for (int round = 0; round < 3; round++) {
    for (bytes = count = 0; count < BLOCKS; count++, bytes += 5000) {
      errno = 0;
      if ((blocks[count] = malloc(5000)) == NULL) break;
      memset(blocks[count], 1, 5000);
    }
    CHECK(count < BLOCKS);
    CHECK_INT(errno, ==, ENOMEM);
    CHECK_INT(bytes, <=, 64 << 20);
    CHECK_INT(bytes, >=, 40 << 20);
    CHECK(malloc(100 << 20) == NULL && errno == ENOMEM);
    refused++;
    for (size_t i = 0; i < count; i++) free(blocks[i]);
    void *again = malloc(40 << 20); /* another size altogether */
    CHECK(again != NULL);
    free(again);
  }
  printf("limit: refused %zu times at %zu bytes\n", refused, bytes);
}

int main(int argc, char **argv) {
  CHECK_INT(argc, ==, 2);
  on_scalloc();
  tables = kernel_frees_page_tables();
  if (strcmp(argv[1], "trim") == 0) check_back("malloc_trim", trim, SLACK_KB);
  if (strcmp(argv[1], "delay") == 0) check_back("after the delay", pass_delay, SLACK_KB);
  if (strcmp(argv[1], "thread") == 0) {
    check_back("thread", sleep_only, SLACK_KB);
    fflush(stdout);
    CHECK_INT(status_of(child_sleeps), ==, 0);
  }
  if (strcmp(argv[1], "limit") == 0) limit();
  return 0;
}
