/* unit.c - see unit.h. */
#include "unit.h"

#include <pthread.h>
#include <signal.h>

enum { CASE_SECONDS = 60 };

/* ---- cases in children ------------------------------------------------------------------------------------------------ */

bool unit_child(void (*act)(void *), void *context, unsigned seconds) {
  fflush(NULL);
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    signal(SIGALRM, SIG_DFL);
    alarm(seconds);
    act(context);
    fflush(NULL);
    _exit(0);
  }
  int status;
  CHECK(waitpid(pid, &status, 0) == pid);
  if (WIFSIGNALED(status)) fprintf(stderr, "died by signal %d (%s)\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

typedef struct {
  void (*act)(long);
  long value;
} numbered;

static void call_numbered(void *context) {
  const numbered *call = context;
  call->act(call->value);
}

void unit_each(void (*act)(long), long from, long to) {
  for (long i = from; i < to; i++) {
    if (!unit_child(call_numbered, &(numbered){act, i}, CASE_SECONDS)) test_fail(__FILE__, __LINE__, "... with %ld", i);
  }
}

static void call_case(void *context) { ((const unit_case *)context)->run(); }

int unit_run(int argc, char **argv, const unit_case *cases, size_t count) {
  size_t failed = 0, ran = 0;
  for (size_t i = 0; i < count; i++) {
    unit_case one = cases[i];
    if (argc > 1 && strcmp(argv[1], one.name) != 0) continue;
    ran++;
    if (argc > 1) {
      one.run();
      continue;
    }
    double start = now();
    bool good = unit_child(call_case, &one, CASE_SECONDS);
    printf("%s %s (%.2f s)\n", good ? "ok    " : "FAILED", one.name, now() - start);
    failed += !good;
  }
  printf("%zu of %zu cases failed\n", failed, ran);
  return failed != 0 || ran == 0;
}

/* ---- threads ---------------------------------------------------------------------------------------------------------- */

typedef struct {
  void (*act)(unsigned);
  unsigned number;
  pthread_barrier_t *start;
} crew_member;

static void *crew_main(void *context) {
  const crew_member *me = context;
  pthread_barrier_wait(me->start);
  me->act(me->number);
  return NULL;
}

void unit_threads(unsigned count, void (*act)(unsigned)) {
  pthread_t threads[UNIT_THREADS_MAX];
  crew_member crew[UNIT_THREADS_MAX];
  pthread_barrier_t start;
  CHECK(count <= UNIT_THREADS_MAX);
  CHECK(pthread_barrier_init(&start, NULL, count) == 0);
  for (unsigned i = 0; i < count; i++) {
    crew[i] = (crew_member){act, i, &start};
    CHECK(pthread_create(&threads[i], NULL, crew_main, &crew[i]) == 0);
  }
  for (unsigned i = 0; i < count; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  pthread_barrier_destroy(&start);
}

struct unit_thread {
  pthread_t thread;
  void (*act)(void *);
  void *context;
};

static void *single_main(void *context) {
  const unit_thread *me = context;
  me->act(me->context);
  return NULL;
}

unit_thread *unit_start(void (*act)(void *), void *context) {
  unit_thread *thread = malloc(sizeof *thread);
  CHECK(thread != NULL);
  thread->act = act;
  thread->context = context;
  CHECK(pthread_create(&thread->thread, NULL, single_main, thread) == 0);
  return thread;
}

void unit_join(unit_thread *thread) {
  CHECK(pthread_join(thread->thread, NULL) == 0);
  free(thread);
}

/* ---- the allocator ---------------------------------------------------------------------------------------------------- */

void unit_arena(size_t bytes) {
  CHECK(scalloc_option_set("SCALLOC_ARENA_BYTES", (long)bytes));
  CHECK(arena_init());
}

size_t unit_charge_left(void) {
  size_t left = 0;
  for (size_t step = (size_t)1 << 40; step > 0; step /= 2)
    if (arena_charge(step)) left += step;
  arena_discharge(left);
  return left;
}

word_t unit_word(word_t generation, span_state state, uint32_t count, uint32_t head) {
  return generation << GENERATION_AT | (word_t)state << STATE_AT | (word_t)count << COUNT_AT | head;
}
