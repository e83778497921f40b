/* glue_api.c - see glue_api.h. */
#include "glue_api.h"

#include <signal.h>
#include <sys/prctl.h>

enum { ABORT_SECONDS = 60, CHILD_SECONDS = 20, PART_SECONDS = 280 };

long scale = 100;

/* ---- heaps ------------------------------------------------------------------------------------------------------------ */

int kind_with(scalloc_rt_heap *heap, unsigned flags) {
  int kind = scalloc_rt_kind_new(heap, &(scalloc_rt_kind_conf){.size = sizeof(scalloc_rt_kind_conf), .flags = flags});
  CHECK_INT(kind, >=, 0);
  return kind;
}

unsigned slot_for(scalloc_rt_heap *heap, int kind, size_t size, size_t *rounded) {
  unsigned slot = scalloc_rt_slot(heap, kind, size, rounded);
  CHECK(slot != SCALLOC_RT_NO_SLOT);
  return slot;
}

world world_new(const scalloc_rt_heap_conf *conf, unsigned flags, size_t size) {
  world w = {.heap = scalloc_rt_heap_create(conf)};
  CHECK(w.heap != NULL);
  w.slot = slot_for(w.heap, kind_with(w.heap, flags), size, &w.size);
  w.mutator = scalloc_rt_attach(w.heap, NULL);
  CHECK(w.mutator != NULL);
  return w;
}

void world_end(world *w) { scalloc_rt_heap_destroy(w->heap); }

void *world_alloc(world *w) {
  void *block = scalloc_rt_alloc(w->mutator, w->slot, w->size);
  CHECK(block != NULL);
  return block;
}

void world_use(world *w) {
  for (int i = 0; i < 3000; i++) CHECK(world_alloc(w));
  CHECK(scalloc_rt_alloc_large(w->mutator, 0, 5 * MB));
  cycle(w->heap);
  sweep_all(w->heap);
  check_heap();
}

bool is_live(scalloc_rt_heap *heap, const void *block) {
  scalloc_rt_ref ref;
  return scalloc_rt_resolve(heap, block, false, &ref);
}

scalloc_rt_ref ref_of(scalloc_rt_heap *heap, const void *block) {
  scalloc_rt_ref ref;
  CHECK(scalloc_rt_resolve(heap, block, false, &ref));
  return ref;
}

void mark(scalloc_rt_heap *heap, const void *block) { scalloc_rt_mark(ref_of(heap, block)); }

void cycle_keeping(scalloc_rt_heap *heap, void *const *blocks, size_t count) {
  scalloc_rt_cycle_begin(heap);
  for (size_t i = 0; i < count; i++) mark(heap, blocks[i]);
  scalloc_rt_cycle_end(heap);
}

/* ---- statistics --------------------------------------------------------------------------------------------------------- */

glue_stats glue_now(scalloc_rt_heap *heap) {
  char json[8192];
  CHECK(scalloc_rt_stats_json(heap, json, sizeof json) < sizeof json);
  return (glue_stats){.hot = json_number(json, "spans", "hot"),
                      .retired = json_number(json, "spans", "retired"),
                      .reusable = json_number(json, "spans", "reusable"),
                      .unswept = json_number(json, "spans", "unswept"),
                      .deferred = json_number(json, "spans", "deferred"),
                      .large = json_number(json, "spans", "large"),
                      .live = json_number(json, "bytes", "live"),
                      .committed = json_number(json, "bytes", "committed"),
                      .limit = json_number(json, "bytes", "limit"),
                      .cycles = json_number(json, "counts", "cycles"),
                      .swept = json_number(json, "counts", "swept"),
                      .released = json_number(json, "counts", "released"),
                      .refills = json_number(json, "counts", "refills")};
}

void check_ends(void) {
  scalloc_purge();
  check_heap();
  stats s = stats_now();
  check_span_sum(s);
  CHECK_INT(s.live, ==, 0);
  CHECK_INT(s.hot + s.floating + s.reusable + s.large, ==, 0);
  CHECK_INT(s.committed, ==, 0);
}

/* ---- faults --------------------------------------------------------------------------------------------------------------- */

static size_t read_all(int file, char *text, size_t most) {
  size_t length = 0;
  for (ssize_t got; length < most && (got = read(file, text + length, most - length)) > 0;) length += (size_t)got;
  text[length] = 0;
  return length;
}

static void be_the_child(void (*act)(void *), void *context, int out) {
  setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
  prctl(PR_SET_DUMPABLE, 0);
  signal(SIGALRM, SIG_DFL);
  alarm(ABORT_SECONDS);
  dup2(out, STDERR_FILENO);
  act(context);
  _exit(0);
}

void aborts(void (*act)(void *), void *context, const char *what, const char *why) {
  char said[2000], begin[200];
  int ends[2], status;
  CHECK(pipe(ends) == 0);
  fflush(NULL);
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) be_the_child(act, context, ends[1]);
  close(ends[1]);
  read_all(ends[0], said, sizeof said - 1);
  close(ends[0]);
  CHECK(waitpid(pid, &status, 0) == pid);
  snprintf(begin, sizeof begin, "scalloc: %s 0x", what);
  const char *end = strchr(said, '\n');
  if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT || !end || end[1] != 0 || strncmp(said, begin, strlen(begin)) != 0 ||
      !strstr(said, why))
    test_fail(__FILE__, __LINE__, "not stopped with \"%s\" and \"%s\": %s %d, stderr \"%s\"", what, why,
              WIFSIGNALED(status) ? "signal" : "exit", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), said);
}

/* ---- forks ------------------------------------------------------------------------------------------------------------------ */

void child_begin(void) {
  signal(SIGALRM, SIG_DFL);
  alarm(CHILD_SECONDS);
}

void child_end(pid_t pid, long round) {
  int status;
  CHECK(waitpid(pid, &status, 0) == pid);
  if (WIFSIGNALED(status)) test_fail(__FILE__, __LINE__, "round %ld: the child died by signal %d", round, WTERMSIG(status));
  if (WEXITSTATUS(status) != 0) test_fail(__FILE__, __LINE__, "... in round %ld", round);
}

void in_child(void (*act)(void)) {
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    child_begin();
    act();
    _exit(0);
  }
  child_end(pid, 0);
}

/* ---- threads ---------------------------------------------------------------------------------------------------------------- */

typedef struct member {
  void (*act)(unsigned, void *);
  unsigned number;
  void *context;
  pthread_barrier_t *start;
} member;

static void *member_main(void *argument) {
  const member *me = argument;
  pthread_barrier_wait(me->start);
  me->act(me->number, me->context);
  return NULL;
}

void in_threads(unsigned count, void (*act)(unsigned, void *), void *context) {
  pthread_t threads[THREADS_MOST];
  member crew[THREADS_MOST];
  pthread_barrier_t start;
  CHECK(count <= THREADS_MOST && pthread_barrier_init(&start, NULL, count) == 0);
  for (unsigned i = 0; i < count; i++) {
    crew[i] = (member){act, i, context, &start};
    CHECK(pthread_create(&threads[i], NULL, member_main, &crew[i]) == 0);
  }
  for (unsigned i = 0; i < count; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  pthread_barrier_destroy(&start);
}

/* ---- the parts of a program --------------------------------------------------------------------------------------------------- */

static void run_part(const part *one) {
  double start = now();
  printf("%s\n", one->name);
  fflush(stdout);
  one->run();
  printf("  %.2f s\n", now() - start);
}

int run_parts(int argc, char **argv, const part *parts, size_t count) {
  size_t ran = 0;
  scale = option_number(argc, argv, "--scale", 100);
  alarm(PART_SECONDS);
  for (size_t i = 0; i < count; i++) {
    if (argc > 1 && argv[1][0] != '-' && strcmp(argv[1], parts[i].name) != 0) continue;
    run_part(&parts[i]);
    ran++;
  }
  if (ran > 0) return 0;
  fprintf(stderr, "usage: %s [PART] [--scale PERCENT]; parts:", argv[0]);
  for (size_t i = 0; i < count; i++) fprintf(stderr, " %s", parts[i].name);
  fputc('\n', stderr);
  return argc > 1 && strcmp(argv[1], "--help") == 0 ? 0 : 2;
}
