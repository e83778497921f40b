/*
 * load.c - a load of all sizes on up to four threads, some of whose blocks others free. However much there is, the arena is a constant
 * number of mappings, none of which may become huge pages unasked (MADV_NOHUGEPAGE, "nh" in smaps), as long as the system takes the advice.
 * Run under scalloc-run, also in the surroundings that hostile.c makes.
 *
 *   load MEGABYTES THREADS [--no-advice]
 */
#include "surroundings.h"

#include <pthread.h>
#include <sys/mman.h>

enum { THREADS_MOST = 4, SLOTS = 20000, MAPPINGS_MOST = 12 };

static size_t budget; /* bytes for each thread */
static size_t thread_count;
static void *shared[THREADS_MOST][SLOTS]; /* a thread frees what the one before it allocated */
static pthread_barrier_t all_have;

static void *work(void *number) {
  size_t me = (size_t)(uintptr_t)number, bytes = 0, count = 0;
  rng random = {me + 1};
  while (bytes < budget && count < SLOTS) {
    size_t size = rng_percent(&random, 1) ? 1000000 + rng_below(&random, 3000000) : rng_log(&random, 16);
    void *p = malloc(size), *q = malloc(rng_log(&random, 10));
    CHECK(p != NULL && q != NULL);
    memset(p, 1, size);
    free(q);
    shared[me][count++] = p;
    bytes += size;
  }
  pthread_barrier_wait(&all_have);
  for (size_t i = 0; i < count; i++) free(shared[(me + 1) % thread_count][i]), shared[(me + 1) % thread_count][i] = NULL;
  pthread_barrier_wait(&all_have);
  for (size_t i = 0; i < SLOTS; i++) free(shared[me][i]), shared[me][i] = NULL;
  return NULL;
}

/* Does every mapping that begins between the two have a flag in its line of VmFlags? */
static bool flagged(uintptr_t from, uintptr_t to, const char *flag) {
  char line[512], wanted[8];
  bool inside = false, all = true, any = false;
  snprintf(wanted, sizeof wanted, " %s ", flag);
  FILE *smaps = fopen("/proc/self/smaps", "r");
  CHECK(smaps != NULL);
  while (fgets(line, sizeof line, smaps)) {
    char *end;
    unsigned long long start = strtoull(line, &end, 16);
    if (*end == '-') inside = start >= from && start < to;
    if (!inside || strncmp(line, "VmFlags:", 8) != 0) continue;
    any = true;
    all = all && strstr(line, wanted) != NULL;
  }
  fclose(smaps);
  return any && all;
}

static void no_huge_pages(void) {
  void *block = malloc(5 << 20);
  CHECK(flagged((uintptr_t)1 << 45, (uintptr_t)80 << 40, "nh"));
  CHECK(!flagged((uintptr_t)1 << 45, (uintptr_t)80 << 40, "hg"));
  free(block);
  /* What the flag would be like otherwise: the test can fail. */
  char *other = mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(other != MAP_FAILED);
  CHECK(!flagged((uintptr_t)other, (uintptr_t)other + 1, "nh"));
  munmap(other, 4 << 20);
}

int main(int argc, char **argv) {
  CHECK(argc >= 3 && (thread_count = strtoul(argv[2], NULL, 10)) >= 1 && thread_count <= THREADS_MOST);
  on_scalloc();
  budget = strtoul(argv[1], NULL, 10) * (1 << 20) / thread_count;
  int before = arena_mappings(), most = before;
  for (int round = 0; round < 3; round++) {
    pthread_t threads[THREADS_MOST];
    pthread_barrier_init(&all_have, NULL, (unsigned)thread_count);
    for (size_t i = 0; i < thread_count; i++) CHECK(pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)i) == 0);
    for (size_t i = 0; i < thread_count; i++) CHECK(pthread_join(threads[i], NULL) == 0);
    pthread_barrier_destroy(&all_have);
    if (arena_mappings() > most) most = arena_mappings();
  }
  printf("mappings of the arena: %d before, %d at most\n", before, most);
  CHECK_INT(most, <=, MAPPINGS_MOST);
  if (argc == 3) no_huge_pages();
  return 0;
}
