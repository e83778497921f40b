/*
 * explore.c - the search; see explore.h.
 *
 * A state is: memory, and per thread the values it has read so far (of which everything it did and will do is a function) and
 * how much of its stores has reached memory. The hash of a state is kept up with every step. Going back restores memory
 * (explore_memory.c) and the stack of the one thread that moved. What threads do is in model_ops.c.
 */
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "explore_memory.h"

enum { SAVED_BYTES = 1 << 26 };

static const char *const step_names[] = {"load", "store", "locked", "spin", "yield", "await", "done"};

static const scenario *current;
static bool want_trace; /* option */
static struct { size_t states, steps, ends; } counts;

/* ---- states that were seen -------------------------------------------------------------------------------------------- */

static uint64_t *visited;
static size_t visited_room, visited_count;

static void visited_insert(uint64_t *table, size_t room, uint64_t h) {
  size_t at = h & (room - 1);
  while (table[at] != 0) at = (at + 1) & (room - 1);
  table[at] = h;
}

/* Remembers a state; false if it was known. */
static bool is_new(uint64_t h) {
  if (h == 0) h = 1;
  for (size_t at = h & (visited_room - 1); visited[at] != 0; at = (at + 1) & (visited_room - 1))
    if (visited[at] == h) return false;
  if (2 * ++visited_count > visited_room) {
    uint64_t *bigger = calloc(2 * visited_room, sizeof *bigger);
    if (!bigger) model_fail("no memory for %zu states", visited_count);
    for (size_t i = 0; i < visited_room; i++)
      if (visited[i] != 0) visited_insert(bigger, 2 * visited_room, visited[i]);
    free(visited);
    visited = bigger;
    visited_room *= 2;
  }
  visited_insert(visited, visited_room, h);
  return true;
}

static uint64_t state_hash(void) {
  uint64_t h = explorer.hash;
  for (unsigned i = 0; i < explorer.thread_count; i++) {
    const thread *t = &explorer.threads[i];
    h = model_mix(h, t->history);
    h = model_mix(h, (uint64_t)t->stores << 8 | t->next);
    for (unsigned n = 0; n < t->stores; n++) h = model_mix(h, model_mix((uintptr_t)t->buffer[n].address, t->buffer[n].value));
    if (t->next == NEXT_RELAX) h = model_mix(h, t->waits_while);
    if (t->next == NEXT_YIELD) h = model_mix(h, t->woken);
  }
  return h;
}

/* ---- steps ------------------------------------------------------------------------------------------------------------ */

typedef struct {
  unsigned thread;
  bool flush;
  next_step step;
  const char *address;
  uint64_t value;
} trail_entry;

static trail_entry *trail;
static size_t trail_length, trail_room;

static void trail_append(trail_entry e) {
  if (trail_length == trail_room) {
    trail_room = trail_room ? 2 * trail_room : 1024;
    trail = realloc(trail, trail_room * sizeof *trail);
    if (!trail) abort();
  }
  trail[trail_length++] = e;
}

static void print_trail(void) {
  for (size_t i = 0; i < trail_length; i++) {
    const trail_entry *e = &trail[i];
    fprintf(stderr, "  %4zu  thread %u  %-7s %-28s %#llx\n", i, e->thread, e->flush ? "  drain" : step_names[e->step],
            e->address ? model_describe(e->address) : "", (unsigned long long)e->value);
  }
}

static bool can_go_on(const thread *t) {
  switch (t->next) {
  case NEXT_DONE:
    return false;
  case NEXT_LOCKED:
    return t->stores == 0;
  case NEXT_RELAX:
    return memory_read(t->address, t->size) != t->waits_while;
  case NEXT_YIELD:
    return t->woken;
  case NEXT_AWAIT:
    return memory_read(t->address, t->size) != 0;
  default:
    return true;
  }
}

/* ---- the search ------------------------------------------------------------------------------------------------------- */

static void explore(void);

static char saved[SAVED_BYTES]; /* threads and their stacks as they were, one behind the other */
static size_t saved_top;

static void save(const void *from, size_t bytes) {
  if (bytes > SAVED_BYTES - saved_top) model_fail("the schedule is too long");
  memcpy(&saved[saved_top], from, bytes);
  saved_top += bytes;
}

/* The last that was saved and is not restored yet. */
static void restore(void *to, size_t bytes) {
  saved_top -= bytes;
  memcpy(to, &saved[saved_top], bytes);
}

/* What a step may change; what is larger has been saved. */
typedef struct {
  size_t thread_bytes;
  bool woken[MODEL_THREADS];
  memory_moment memory;
} moment;

static moment begin_step(thread *t, trail_entry e) {
  moment m = {.thread_bytes = offsetof(thread, buffer) + t->stores * sizeof *t->buffer, .memory = memory_now()};
  save(t, m.thread_bytes);
  for (unsigned i = 0; i < explorer.thread_count; i++) m.woken[i] = explorer.threads[i].woken;
  trail_append(e);
  explorer.moving = t;
  counts.steps++;
  return m;
}

static void take_back(thread *t, const moment *m) {
  memory_back(&m->memory);
  restore(t, m->thread_bytes);
  for (unsigned i = 0; i < explorer.thread_count; i++) explorer.threads[i].woken = m->woken[i];
  trail_length--;
}

static void try_drain(thread *t) {
  moment m = begin_step(
      t, (trail_entry){(unsigned)(t - explorer.threads), true, NEXT_STORE, t->buffer[0].address, t->buffer[0].value});
  ops_drain(t);
  explore();
  take_back(t, &m);
}

static void try_step(thread *t) {
  moment m = begin_step(t, (trail_entry){(unsigned)(t - explorer.threads), false, t->next, t->address, 0});
  size_t depth = ops_depth(t);
  void *stack = t->stack_pointer;
  save(stack, depth);
  ops_go_on(t);
  trail[trail_length - 1].value = t->read_value;
  explore();
  restore(stack, depth);
  take_back(t, &m);
}

static void finish(void) {
  memory_moment before = memory_now();
  counts.ends++;
  explorer.mode = FINISHING;
  current->finish();
  explorer.mode = EXPLORING;
  memory_back(&before);
}

static void explore(void) {
  bool any = false, waiting = false;
  if (explorer.restart || !is_new(state_hash())) return;
  counts.states++;
  for (unsigned i = 0; i < explorer.thread_count && !explorer.restart; i++) {
    thread *t = &explorer.threads[i];
    waiting |= t->next != NEXT_DONE;
    if (t->stores > 0) {
      any = true;
      try_drain(t);
    }
    if (can_go_on(t)) {
      any = true;
      try_step(t);
    }
  }
  if (any || explorer.restart) return;
  if (waiting) model_fail("no thread can go on");
  finish();
}

static void thread_main(void) {
  current->act[model_thread()]();
  ops_catch_plain();
  ops_stop_before(NEXT_DONE, NULL, 0);
  abort();
}

static void search(const scenario *s) {
  current = s;
  s->setup();
  while (explorer.thread_count < MODEL_THREADS && s->act[explorer.thread_count]) explorer.thread_count++;
  explorer.mode = EXPLORING;
  do {
    explorer.restart = false;
    memset(&counts, 0, sizeof counts);
    free(visited);
    visited_room = 1 << 16, visited_count = 0;
    visited = calloc(visited_room, sizeof *visited);
    explorer.hash = 0;
    for (unsigned i = 0; i < explorer.thread_count; i++) ops_prepare(&explorer.threads[i], thread_main);
    for (unsigned i = 0; i < explorer.thread_count && !explorer.restart; i++) {
      explorer.moving = &explorer.threads[i];
      ops_go_on(&explorer.threads[i]);
    }
    explore();
    memory_back(&(memory_moment){0});
  } while (explorer.restart);
  explorer.mode = OFF;
}

/* ---- running ---------------------------------------------------------------------------------------------------------- */

void model_fail(const char *format, ...) {
  va_list list;
  explorer.mode = OFF;
  fprintf(stderr, "%s: ", current ? current->name : "setup");
  va_start(list, format);
  vfprintf(stderr, format, list);
  va_end(list);
  fprintf(stderr, " (after %zu states, step %zu)\n", counts.states, trail_length);
  if (want_trace) print_trail();
  _exit(1);
}

/* The search is as deep as the schedule is long. */
static void *search_thread(void *s) {
  search(s);
  return NULL;
}

static void search_on_big_stack(const scenario *s) {
  pthread_t searcher;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, (size_t)1 << 30);
  if (pthread_create(&searcher, &attributes, search_thread, (void *)(uintptr_t)s) != 0) model_fail("no thread for the search");
  pthread_join(searcher, NULL);
}

static void on_crash(int number) { model_fail("signal %d", number); }

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* In a child, since the allocator's state is one per process. */
static bool run_in_child(const scenario *s) {
  static char signal_stack[1 << 16];
  int status;
  fflush(NULL);
  pid_t pid = fork();
  if (pid < 0) return false;
  if (pid == 0) {
    double start = seconds();
    sigaltstack(&(stack_t){.ss_sp = signal_stack, .ss_size = sizeof signal_stack}, NULL);
    struct sigaction action = {.sa_handler = on_crash, .sa_flags = SA_ONSTACK};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGABRT, &action, NULL);
    search_on_big_stack(s);
    printf("ok     %-32s %9zu states %10zu steps %8zu ends %7.2f s\n", s->name, counts.states, counts.steps, counts.ends,
           seconds() - start);
    fflush(stdout);
    _exit(counts.ends > 0 ? 0 : 1);
  }
  waitpid(pid, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static int usage(const char *name, int status) {
  fprintf(status ? stderr : stdout,
          "usage: %s [options] [SCENARIO ...]\n"
          "  --full        a step at every access, not only where two threads meet\n"
          "  --sequential  without store buffers\n"
          "  --violation   succeed if each scenario finds a fault (for the negative controls)\n"
          "  --trace       print the schedule that leads to a fault\n"
          "  --long        the scenarios that take minutes, too\n"
          "  --list        names of the scenarios\n"
          "exit status: 0 as expected, 1 not, 2 wrong usage\n",
          name);
  return status;
}

int model_main(int argc, char **argv, const scenario *scenarios, size_t count) {
  bool violation = false, good = true, named = false, heavy = false;
  for (int i = 1; i < argc; i++) {
    if (strcmp(argv[i], "--help") == 0) return usage(argv[0], 0);
    if (strcmp(argv[i], "--full") == 0)
      explorer.full = true;
    else if (strcmp(argv[i], "--sequential") == 0)
      explorer.sequential = true;
    else if (strcmp(argv[i], "--violation") == 0)
      violation = true;
    else if (strcmp(argv[i], "--trace") == 0)
      want_trace = true;
    else if (strcmp(argv[i], "--long") == 0)
      heavy = true;
    else if (strcmp(argv[i], "--list") == 0) {
      for (size_t n = 0; n < count; n++) puts(scenarios[n].name);
      return 0;
    } else if (argv[i][0] == '-')
      return usage(argv[0], 2);
    else
      named = true;
  }
  size_t ran = 0;
  for (size_t n = 0; n < count; n++) {
    bool wanted = !named && (heavy || !scenarios[n].heavy);
    for (int i = 1; i < argc; i++) wanted |= strcmp(argv[i], scenarios[n].name) == 0;
    if (!wanted) continue;
    ran++;
    if (run_in_child(&scenarios[n]) == violation) {
      printf("FAILED %s%s\n", scenarios[n].name, violation ? ": no fault found" : "");
      good = false;
    }
  }
  return good && ran > 0 ? 0 : 1;
}
