/*
 * two_sites.c - the profile of a program whose figures are known: two_sites SCALLOC-RUN FOLDER.
 *
 * Run in the mode "work" it takes memory in two functions: what each handed out and what of it is live it says at the end, with
 * the addresses of both. The figures of the profile are sums over samples: of n samples on average, whose number has the standard
 * deviation sqrt(n), so five of these are allowed; and no more, or the figures would say nothing.
 */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "../test.h"

enum { SMALL = 1000, BIG = 40000, INTERVAL = 16384 };

typedef struct {
  uintptr_t code;
  double bytes, live;
} known;

/* ---- the work ---------------------------------------------------------------------------------------------------------- */

enum { SMALLS = 60000, BIGS = 800 };
static void *smalls[SMALLS], *bigs[BIGS];

/* Each has the 256 bytes of code from its address on for itself. */
__attribute__((noinline, aligned(256))) static void take_small(size_t i) { smalls[i] = malloc(SMALL); }
__attribute__((noinline, aligned(256))) static void take_big(size_t i) {
  bigs[i] = calloc(1, BIG / 2);
  bigs[i] = realloc(bigs[i], BIG); /* counts as freed and taken anew */
}

static void *free_most(void *nothing) {
  for (size_t i = 0; i < SMALLS; i++)
    if (i % 3 != 0) free(smalls[i]);
  return nothing;
}

static int work(void) {
  pthread_t thread;
  for (size_t i = 0; i < SMALLS; i++) take_small(i);
  for (size_t i = 0; i < BIGS; i++) take_big(i);
  CHECK(pthread_create(&thread, NULL, free_most, NULL) == 0);
  pthread_join(thread, NULL);
  for (size_t i = 0; i < BIGS; i += 2) free(bigs[i]);
  CHECK(realloc(bigs[1], SIZE_MAX / 2) == NULL); /* and so stays as it is */
  printf("%lu %lu %lu %lu\n", (unsigned long)(uintptr_t)take_small, (unsigned long)(SMALLS / 3) * SMALL,
         (unsigned long)(uintptr_t)take_big, (unsigned long)(BIGS / 2) * BIG);
  fflush(stdout);
  if (fork() == 0) exit(0); /* writes no profile: it is not the process that was started */
  wait(NULL);
  return 0;
}

/* ---- the judgement ------------------------------------------------------------------------------------------------------ */

typedef struct {
  double live, bytes;
} figures;

/* Sums of the lines with a frame in the first bytes of a function. */
static figures sums_of(FILE *profile, unsigned long code) {
  char line[4096];
  figures sums = {0, 0};
  rewind(profile);
  while (fgets(line, sizeof line, profile) && strncmp(line, "\nMAPPED", 7) != 0) {
    double live_blocks, live, blocks, bytes;
    if (sscanf(line, "%lf: %lf [%lf: %lf] @", &live_blocks, &live, &blocks, &bytes) != 4) continue;
    for (char *at = strstr(line, " 0x"); at; at = strstr(at + 1, " 0x")) {
      unsigned long frame = strtoul(at, NULL, 16);
      if (frame - code >= 256) continue;
      sums.live += live;
      sums.bytes += bytes;
      break;
    }
  }
  return sums;
}

/* How many standard deviations off: `whole` bytes in blocks of `size`, of which each is a sample with the probability p. */
static double deviations(double found, double whole, double size) {
  double p = 1 - exp(-size / INTERVAL), sigma = sqrt(whole / size * (1 - p) / p) * size;
  return (found - whole) / sigma;
}

/* And a program that took a third more or less would be told from this one. */
static void near(const char *what, double found, double whole, double size) {
  printf("%s: %.0f of %.0f, %.1f standard deviations\n", what, found, whole, deviations(found, whole, size));
  CHECK(fabs(deviations(found, whole, size)) <= 5);
  CHECK(fabs(deviations(found, whole * 4 / 3, size)) > 5 && fabs(deviations(found, whole * 2 / 3, size)) > 5);
}

int main(int argc, char **argv) {
  char command[4096], path[1024], line[256];
  unsigned long small_code, small_live, big_code, big_live;
  if (argc == 2 && strcmp(argv[1], "work") == 0) return work();
  CHECK(argc == 3);
  snprintf(path, sizeof path, "%s/two_sites.heap", argv[2]);
  unlink(path);
  snprintf(command, sizeof command, "SCALLOC_PROFILE_INTERVAL=%d '%s' --profile='%s' '%s' work", INTERVAL, argv[1], path,
           argv[0]);
  FILE *pipe = popen(command, "r");
  CHECK(pipe != NULL && fgets(line, sizeof line, pipe) != NULL);
  CHECK(pclose(pipe) == 0);
  CHECK(sscanf(line, "%lu %lu %lu %lu", &small_code, &small_live, &big_code, &big_live) == 4);
  FILE *profile = fopen(path, "r");
  CHECK(profile != NULL && fgets(line, sizeof line, profile) != NULL);
  CHECK(strncmp(line, "heap profile: ", 14) == 0 && strstr(line, "@ heapprofile\n") != NULL);
  figures small = sums_of(profile, small_code), big = sums_of(profile, big_code);
  near("small, in all", small.bytes, (double)SMALLS * SMALL, SMALL);
  near("small, live", small.live, (double)small_live, SMALL);
  /* Of the two sizes the greater has the greater deviation. */
  near("big, in all", big.bytes, 1.5 * BIGS * BIG, BIG * 0.75);
  near("big, live", big.live, (double)big_live, BIG);
  fclose(profile);
  return 0;
}
