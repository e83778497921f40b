/*
 * death.c - runs the shapes of one subject and holds each to its table.
 *
 *   death SUBJECT       every shape of it; TEST_TRACKED tells which build this is
 *   death --table       docs/faults.md, made of the tables
 */
#include "death.h"

#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>

static const subject *const subjects[] = {&double_frees, &pointers, &sizes, &overflows, &late_writes, &guards, &lua_faults};

/* ---- for the shapes ------------------------------------------------------------------------------------------------------- */

void target(const void *address) { fprintf(stderr, "%p\n", address); }

void *hidden(const void *pointer) {
  void *volatile hiding = (void *)(uintptr_t)pointer;
  return hiding;
}

typedef struct task {
  void (*act)(void *);
  void *context;
} task;

static void *thread_main(void *argument) {
  task *t = argument;
  t->act(t->context);
  return NULL;
}

void in_thread(void (*act)(void *), void *context) {
  pthread_t thread;
  task t = {act, context};
  CHECK(pthread_create(&thread, NULL, thread_main, &t) == 0 && pthread_join(thread, NULL) == 0);
}

void use_memory(size_t size) {
  static void *blocks[400];
  size_t count = size > 64 * KB ? 20 : LENGTH(blocks);
  for (int round = 0; round < 3; round++) {
    for (size_t i = 0; i < count; i++) CHECK(blocks[i] = scalloc_malloc(size));
    for (size_t i = 0; i < count; i++) scalloc_free(blocks[i]);
  }
}

/* ---- one shape, in a process of its own ------------------------------------------------------------------------------------- */

static void run_child(const char *name) {
  setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
  prctl(PR_SET_DUMPABLE, 0);
  alarm(60);
  for (size_t i = 0; i < LENGTH(subjects); i++)
    for (size_t k = 0; k < subjects[i]->count; k++)
      if (subjects[i]->shapes[k].run && strcmp(subjects[i]->shapes[k].name, name) == 0) subjects[i]->shapes[k].run();
}

/* Is `said` the one line that stops a program, with these words and that address? */
static bool is_line(const char *said, const char *what, const char *address, const char *why) {
  char begin[200];
  snprintf(begin, sizeof begin, "scalloc: %s %s: ", what, address);
  const char *end = strchr(said, '\n');
  return end && end[1] == 0 && strncmp(said, begin, strlen(begin)) == 0 && strstr(said, why) != NULL;
}

/* NULL: as it must be. Otherwise what was to be. */
static const char *judge(const shape *s, child result, char *said, const char *address) {
  const char *what = TEST_TRACKED ? s->what : s->plain_what, *why = TEST_TRACKED ? s->why : s->plain_why;
  if (s->what == NULL) return result.exited && result.code == 0 && *said == 0 ? NULL : "should do no harm";
  if (what != NULL)
    return !result.exited && result.code == SIGABRT && is_line(said, what, address, why) ? NULL : "should have been stopped";
  if (strncmp(said, "scalloc: assertion ", 19) == 0) return NULL; /* a build with assertions stops more, by chance */
  return strstr(said, "scalloc: ") == NULL ? NULL : "is stopped: the table says it is not"; /* and may end in any way */
}

static bool run_shape(const shape *s) {
  child result = run_self(s->name, NULL, 0);
  char *said = strchr(result.err, '\n');
  if (said)
    *said++ = 0;
  else
    said = result.err + strlen(result.err);
  const char *wrong = judge(s, result, said, result.err);
  printf("%-40s %s\n", s->name, wrong ? wrong : said && *said ? said : "ok\n");
  if (wrong)
    printf("  %s %d, target %s, stderr \"%s\"\n", result.exited ? "exit" : "signal", result.code, result.err, said ? said : "");
  return wrong == NULL;
}

/* ---- the table -------------------------------------------------------------------------------------------------------------- */

static void print_cell(const char *what) {
  if (what)
    printf(" | stopped: %s", what);
  else
    printf(" | not stopped");
}

static void print_table(void) {
  size_t stopped = 0, plain = 0;
  printf("# Faults, and which build stops them\n\n"
         "Made by `tests/death` (`death_checked --table`) of the tables its tests run by; a test holds this file to them. "
         "Stopped: "
         "one line\n`scalloc: <what> <address>: <why>` on stderr, then SIGABRT, at the latest when the block is looked at "
         "next.\n");
  for (size_t i = 0; i < LENGTH(subjects); i++) {
    printf("\n## %s\n\n| fault | plain build | checked build |\n|---|---|---|\n", subjects[i]->title);
    for (size_t k = 0; k < subjects[i]->count; k++) {
      const shape *s = &subjects[i]->shapes[k];
      if (s->what == NULL) continue;
      printf("| %s", s->says);
      print_cell(s->plain_what);
      print_cell(s->what);
      printf(" |\n");
      stopped++;
      plain += s->plain_what != NULL;
    }
  }
  printf("\nOf these %zu faults the checked build stops all, the plain build %zu.\n", stopped, plain);
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  if (strcmp(argv[1], "--table") == 0) return print_table(), 0;
  for (size_t i = 0; i < LENGTH(subjects); i++) {
    if (strcmp(argv[1], subjects[i]->name) != 0) continue;
    size_t failed = 0;
    for (size_t k = 0; k < subjects[i]->count; k++)
      if (subjects[i]->shapes[k].run) failed += !run_shape(&subjects[i]->shapes[k]);
    printf("%zu of %zu shapes as they must be\n", subjects[i]->count - failed, subjects[i]->count);
    return failed != 0 || subjects[i]->count == 0;
  }
  run_child(argv[1]);
  return 0;
}
