/* malloc-load PROGRAM: command line, threads and report. */
#include "load.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { BAD_USE = 2, MOST_OWN = 10, MOST_THREADS = 256 };

unsigned load_threads;

static long threads = 1;
static pthread_barrier_t start;
static const load_program *running;

void *load_allocate(size_t size) {
  char *block = malloc(size);
  if (!block) program_fail("no memory", errno);
  *block = 1;
  return block;
}

size_t load_between(uint64_t *random, size_t least, size_t most) {
  return least + (size_t)(program_random(random) >> 11) % (most - least + 1);
}

size_t load_skewed(uint64_t *random, size_t least, size_t most) {
  size_t doublings = 0;
  while (least << doublings < most) doublings++;
  size_t at = least << load_between(random, 0, doublings);
  size_t size = load_between(random, at, 2 * at - 1);
  return size > most ? most : size;
}

void load_fork_join(unsigned n, void *(*f)(void *), void *arguments, size_t stride) {
  pthread_t ids[MOST_THREADS];
  for (unsigned i = 0; i < n; i++) {
    int error = pthread_create(&ids[i], NULL, f, (char *)arguments + i * stride);
    if (error) program_fail("pthread_create", error);
  }
  for (unsigned i = 0; i < n; i++) pthread_join(ids[i], NULL);
}

static uint64_t status_field(const char *name) {
  char line[256];
  uint64_t kilobytes = 0;
  FILE *file = fopen("/proc/self/status", "re");
  if (!file) program_fail("/proc/self/status", errno);
  while (fgets(line, sizeof line, file)) {
    if (strncmp(line, name, strlen(name)) == 0) kilobytes = strtoull(line + strlen(name), NULL, 10);
  }
  fclose(file);
  return kilobytes * 1024;
}

uint64_t load_resident(void) { return status_field("VmRSS:"); }
uint64_t load_page_tables(void) { return status_field("VmPTE:"); }

static void *run(void *argument) {
  pthread_barrier_wait(&start);
  running->work(argument);
  return NULL;
}

static void usage(FILE *to) {
  fputs("usage: malloc-load PROGRAM [--NAME=N]...    one of these loads on malloc; PROGRAM --help: its options\n", to);
  for (const load_program *p = load_programs; p->name; p++) fprintf(to, "  %-14s %s\n", p->name, p->what);
}

static const load_program *find(const char *name) {
  for (const load_program *p = load_programs; p->name; p++) {
    if (strcmp(p->name, name) == 0) return p;
  }
  fprintf(stderr, "malloc-load: no program '%s'\n", name);
  usage(stderr);
  exit(BAD_USE);
}

static void read_options(int argc, char **argv) {
  program_option all[MOST_OWN + 2] = {{"threads", &threads, 1, MOST_THREADS, "threads"}};
  for (unsigned i = 0; running->options[i].name && i < MOST_OWN; i++) all[i + 1] = running->options[i];
  program_options(argc, argv, running->what, all);
  load_threads = (unsigned)threads;
}

/* Every thread of the program, the clock around them. Returns blocks allocated. */
static uint64_t timed(double *seconds) {
  load_thread *all = aligned_alloc(LOAD_APART, load_threads * sizeof *all);
  if (!all) program_fail("threads", errno);
  for (unsigned i = 0; i < load_threads; i++) all[i] = (load_thread){.index = i, .random = 88172645463325252u + 7919u * i};
  pthread_barrier_init(&start, NULL, load_threads);
  double began = program_now();
  if (load_threads == 1)
    run(all); /* as a program without threads does it */
  else
    load_fork_join(load_threads, run, all, sizeof *all);
  *seconds = program_now() - began;
  uint64_t operations = 0;
  for (unsigned i = 0; i < load_threads; i++) operations += all[i].operations;
  pthread_barrier_destroy(&start);
  free(all);
  return operations;
}

int main(int argc, char **argv) {
  if (argc < 2) return usage(stderr), BAD_USE;
  if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) return usage(stdout), EXIT_SUCCESS;
  running = find(argv[1]);
  read_options(argc - 1, argv + 1);
  if (running->begin) running->begin(load_threads);
  double seconds;
  uint64_t operations = timed(&seconds);
  report_begin(running->name);
  report_count("threads", load_threads);
  report_number("seconds", seconds);
  report_count("operations", operations);
  if (running->end) running->end(load_threads);
  report_end();
  return EXIT_SUCCESS;
}
