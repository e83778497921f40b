/*
 * signals.c - threads that are stopped by a signal, wherever they are, and whose stacks and registers are scanned conservatively.
 * A handler asks scalloc_rt_defer_stop; a thread in a slow path stops when it leaves it, in the pressure hook.
 */
#include "glue_api.h"

#include <semaphore.h>
#include <signal.h>
#include <ucontext.h>

/* ---- stopping --------------------------------------------------------------------------------------------------------- */

enum { WORKERS = 3, REGISTERS = sizeof(mcontext_t) / sizeof(uintptr_t) }; /* every word that the kernel saved */

typedef struct worker {
  scalloc_rt_mutator *mutator;
  pthread_t thread;
  char *stack_top;                         /* the highest address of its stack that may hold a block */
  char *volatile stack_now;                /* of a stopped one, the lowest */
  uintptr_t registers[REGISTERS];          /* of a stopped one */
  volatile sig_atomic_t in_hook, deferred; /* how it was stopped; counts */
  unsigned number;
} worker;

static worker workers[WORKERS];
static _Thread_local worker *volatile me;
static sem_t stopped, resumed[WORKERS];
static atomic_bool over;

/* Here until the collector lets it go on; everything of it lies above this frame. */
static __attribute__((noinline)) void stand_still(worker *w) {
  char here;
  int saved = errno;
  w->stack_now = &here;
  sem_post(&stopped);
  while (sem_wait(&resumed[w->number]) != 0) continue;
  errno = saved;
}

static void on_stop(int signal_number, siginfo_t *info, void *context) {
  (void)signal_number, (void)info;
  worker *w = me;
  if (scalloc_rt_defer_stop(w->mutator)) {
    w->deferred++;
    return;
  }
  memcpy(w->registers, &((ucontext_t *)context)->uc_mcontext, sizeof w->registers);
  stand_still(w);
}

static bool stop_in_hook(void *ud, scalloc_rt_mutator *m, size_t bytes, int why) {
  (void)ud, (void)bytes;
  if (why != SCALLOC_RT_STOP) return false;
  CHECK(m == me->mutator);
  me->in_hook++;
  stand_still(me);
  return true;
}

static void stop_workers(void) {
  for (size_t i = 0; i < WORKERS; i++) CHECK(pthread_kill(workers[i].thread, SIGUSR1) == 0);
  for (size_t i = 0; i < WORKERS; i++)
    while (sem_wait(&stopped) != 0) continue;
}

static void resume_workers(void) {
  for (size_t i = 0; i < WORKERS; i++) sem_post(&resumed[i]);
}

/* ---- a conservative collector --------------------------------------------------------------------------------------------- */

typedef struct node {
  struct node *next;
  uint64_t check;
} node;

static scalloc_rt_heap *heap;
static unsigned slot;
static size_t size;

static uint64_t check_of(const node *n) { return mix((uintptr_t)n + 77) ^ (uintptr_t)n->next; }

static void mark_from(uintptr_t word) {
  scalloc_rt_ref ref;
  while (scalloc_rt_resolve(heap, (void *)word, true, &ref) && scalloc_rt_mark(ref))
    word = (uintptr_t)((node *)scalloc_rt_block(ref, NULL))->next;
}

__attribute__((no_sanitize("address"))) static void mark_range(const char *from, const char *to) {
  for (const char *at = (const char *)((uintptr_t)from & ~(uintptr_t)7); at + 8 <= to; at += 8)
    mark_from(*(const uintptr_t *)(const void *)at);
}

static void collect(void) {
  stop_workers();
  scalloc_rt_cycle_begin(heap);
  for (size_t i = 0; i < WORKERS; i++) {
    for (size_t k = 0; k < REGISTERS; k++) mark_from(workers[i].registers[k]);
    mark_range(workers[i].stack_now, workers[i].stack_top);
  }
  scalloc_rt_cycle_end(heap);
  resume_workers();
}

/* ---- the work: lists that only the stack of the worker leads to -------------------------------------------------------------- */

/* A list, youngest first; nothing but local variables and registers ever points to it. */
static node *build(scalloc_rt_mutator *m, size_t length) {
  node *list = NULL;
  for (size_t i = 0; i < length; i++) {
    node *n = scalloc_rt_alloc(m, slot, size);
    CHECK(n != NULL);
    n->next = list;
    n->check = check_of(n);
    list = n;
  }
  return list;
}

static size_t follow(const node *n) {
  size_t length = 0;
  for (; n; n = n->next, length++) CHECK(n->check == check_of(n));
  return length;
}

static __attribute__((noinline)) void work(worker *w) {
  rng random = {w->number};
  node *volatile kept[8] = {NULL};
  for (long round = 0; !atomic_load_explicit(&over, memory_order_relaxed); round++) {
    size_t length = 1 + rng_below(&random, 300), at = rng_below(&random, 8);
    node *list = build(w->mutator, length);
    CHECK_INT(follow(list), ==, length);
    kept[at] = list;
    for (size_t i = 0; i < 8; i++) follow(kept[i]);
    if (round % 50 == 0) scalloc_rt_retire(w->mutator);
  }
}

static void *worker_main(void *argument) {
  worker *w = argument;
  sigset_t stops;
  char here;
  w->stack_top = &here;
  CHECK(w->mutator = scalloc_rt_attach(heap, NULL));
  me = w;
  sem_post(&stopped);
  sigemptyset(&stops);
  sigaddset(&stops, SIGUSR1);
  pthread_sigmask(SIG_UNBLOCK, &stops, NULL);
  work(w);
  pthread_sigmask(SIG_BLOCK, &stops, NULL);
  return NULL;
}

static void start_workers(void) {
  struct sigaction action = {.sa_sigaction = on_stop, .sa_flags = SA_SIGINFO | SA_RESTART};
  sigset_t stops;
  CHECK(sigaction(SIGUSR1, &action, NULL) == 0 && sem_init(&stopped, 0, 0) == 0);
  sigemptyset(&stops);
  sigaddset(&stops, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &stops, NULL); /* until they have told who they are */
  for (unsigned i = 0; i < WORKERS; i++) {
    workers[i] = (worker){.number = i};
    CHECK(sem_init(&resumed[i], 0, 0) == 0);
    CHECK(pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]) == 0);
    while (sem_wait(&stopped) != 0) continue;
  }
}

/* Stopped anywhere, some hundred times: no block that a stack or a register leads to is lost, and the rest is found again. */
static void stopped_by_signal(void) {
  if (UNDER_TSAN) exit(SKIP_CODE); /* it puts signals off until it is called */
  scalloc_rt_heap_conf conf = {.size = sizeof conf, .hooks = {.pressure = stop_in_hook}};
  CHECK(heap = scalloc_rt_heap_create(&conf));
  slot = slot_for(heap, kind_with(heap, 0), 96, &size);
  start_workers();
  long collections = scaled(400), deferred = 0;
  for (long i = 0; i < collections; i++) {
    nanosleep(&(struct timespec){0, 300000}, NULL);
    collect();
    if (i % 3 == 0) scalloc_rt_sweep(heap, NULL, 50);
  }
  stop_workers();
  atomic_store(&over, true);
  check_heap();
  resume_workers();
  for (size_t i = 0; i < WORKERS; i++) {
    CHECK(pthread_join(workers[i].thread, NULL) == 0);
    CHECK_INT(workers[i].in_hook, ==, workers[i].deferred);
    deferred += workers[i].deferred;
    scalloc_rt_detach(workers[i].mutator);
  }
  printf("  %ld collections, %ld stops deferred, %lld KB used\n", collections, deferred, glue_now(heap).committed / 1024);
  CHECK_INT(glue_now(heap).committed, <=, 64 * (long long)MB);
  cycle(heap);
  sweep_all(heap);
  CHECK_INT(glue_now(heap).committed, ==, 0);
  scalloc_rt_heap_destroy(heap);
  check_ends();
}

/* ---- a stop between any two instructions -------------------------------------------------------------------------------------- */

#if defined(__x86_64__) && !UNDER_TSAN
#define step(change)                                                                                                           \
  __asm__ volatile("lea -128(%%rsp), %%rsp\n\tpushfq\n\t" change "\n\tpopfq\n\tlea 128(%%rsp), %%rsp" ::: "memory", "cc")

enum { OBJECTS = 600 };
static node *objects[OBJECTS]; /* the roots; the one being made may be in a register only */
static volatile long traps, cycles_done, put_off;
static size_t made;
static const char *base; /* no variable of a stepped function lies above */

/* All that was made is marked, and what the registers and the stack say; then all of it must be there. */
static void turn(const greg_t *registers) {
  char here;
  scalloc_rt_cycle_begin(heap);
  for (size_t i = 0; i < made; i++) mark(heap, objects[i]);
  for (size_t k = 0; registers && k < REGISTERS; k++) mark_from((uintptr_t)registers[k]);
  mark_range(&here, base);
  scalloc_rt_cycle_end(heap);
  for (size_t i = 0; i < made; i++) CHECK(is_live(heap, objects[i]) && objects[i]->check == check_of(objects[i]));
  cycles_done++;
}

static void (*at_stop)(const greg_t *registers) = turn;
static bool holes_are_marked, cycle_runs; /* of a cycle that goes on between two stops */

static void on_trap(int signal_number, siginfo_t *info, void *context) {
  (void)signal_number, (void)info;
  extern char __executable_start, etext; /* the linker's */
  const greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
  uintptr_t at = (uintptr_t)registers[REG_RIP];
  if (at < (uintptr_t)&__executable_start || at >= (uintptr_t)&etext || ++traps % 7 != 0) return;
  if (scalloc_rt_defer_stop(workers[0].mutator))
    put_off++;
  else
    at_stop(registers);
}

static unsigned late_span; /* put off */
static bool put_off_in_hook(void *ud, scalloc_rt_span span, const scalloc_rt_span_info *info, enum scalloc_rt_why why) {
  (void)ud, (void)info;
  if (why == SCALLOC_RT_DESTROY || late_span != 0) return true;
  late_span = span;
  return false;
}

static bool turn_in_hook(void *ud, scalloc_rt_mutator *m, size_t bytes, int why) {
  (void)ud, (void)bytes, (void)m;
  step("andq $-257, (%%rsp)");
  if (why == SCALLOC_RT_STOP) at_stop(NULL);
  step("orq $0x100, (%%rsp)");
  return false;
}

static __attribute__((noinline)) node *make_stepwise(void) {
  step("orq $0x100, (%%rsp)");
  node *n = scalloc_rt_alloc(workers[0].mutator, slot, size);
  n->next = NULL;
  n->check = check_of(n);
  step("andq $-257, (%%rsp)");
  return n;
}

/* The thread runs stepwise and collects in the handler, as if another did while it is stopped. */
static void make_between_stops(long steps) {
  scalloc_rt_heap_conf conf = {.size = sizeof conf, .hooks = {.pressure = turn_in_hook}};
  struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};
  CHECK(heap = scalloc_rt_heap_create(&conf));
  slot = slot_for(heap, kind_with(heap, 0), 1500, &size);
  workers[0].mutator = scalloc_rt_attach(heap, NULL);
  workers[0].mutator->budget = INT64_MAX;
  base = __builtin_frame_address(0);
  made = 0;
  traps = cycles_done = put_off = 0;
  CHECK(sigaction(SIGTRAP, &action, NULL) == 0);
  for (long i = 0; traps < steps; i++) {
    node *n = make_stepwise();
    objects[made++] = n;
    if (i % 100 == 99) scalloc_rt_retire(workers[0].mutator);
    if (made == OBJECTS || i % 70 == 69) made /= 2; /* the rest dies, and what is made next lies where it was */
  }
  printf("  %ld steps, %ld cycles, put off %ld times\n", traps, cycles_done, put_off);
  if (cycle_runs) at_stop(NULL);
  check_heap();
  scalloc_rt_heap_destroy(heap);
  check_ends();
}

static void stopped_between_any_two_instructions(void) {
  make_between_stops(scaled(150000));
  CHECK(cycles_done > 500 && put_off > 500);
}

/* ---- a cycle that goes on between two stops -------------------------------------------------------------------------------- */

/* Every other stop begins a cycle and marks what there is; the next one ends it. What was made in between has no mark but the one
   that it got when it was handed out. */
static void begin_or_end(const greg_t *registers) {
  char here;
  cycle_runs = !cycle_runs;
  if (cycle_runs) {
    scalloc_rt_cycle_begin(heap);
    if (holes_are_marked) scalloc_rt_mark_holes(heap);
    for (size_t i = 0; i < made; i++) mark(heap, objects[i]);
    for (size_t k = 0; registers && k < REGISTERS; k++) mark_from((uintptr_t)registers[k]);
    mark_range(&here, base);
    return;
  }
  scalloc_rt_cycle_end(heap);
  for (size_t i = 0; i < made; i++) CHECK(is_live(heap, objects[i]) && objects[i]->check == check_of(objects[i]));
  cycles_done++;
}

static void make_incrementally(void) {
  at_stop = begin_or_end;
  make_between_stops(scaled(60000));
  at_stop = turn;
}

/* And without the marks of holes, as a control, something is lost. */
static void incremental_between_any_two_instructions(void) {
  holes_are_marked = true;
  make_incrementally();
  CHECK(cycles_done > 200 && put_off > 200);
  int status;
  fflush(NULL);
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    holes_are_marked = false;
    CHECK(freopen("/dev/null", "w", stderr));
    make_incrementally();
    _exit(0);
  }
  CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
  CHECK_INT(WEXITSTATUS(status), ==, 1);
}

/* Every function that takes a lock or holds a span without being told the mutator that is asked for, or ends that very one. */
static __attribute__((noinline)) void use_stepwise(size_t other) {
  size_t rounded;
  void *block;
  step("orq $0x100, (%%rsp)");
  CHECK(scalloc_rt_slot(heap, 0, 16 + other * 32, &rounded) != SCALLOC_RT_NO_SLOT);
  scalloc_rt_mutator *m = scalloc_rt_attach(heap, NULL);
  block = scalloc_rt_alloc(m, slot, size);
  scalloc_rt_alloc_many(m, slot, &block, 1);
  scalloc_rt_detach(m);
  scalloc_rt_sweep(heap, NULL, 3);
  if (late_span != 0) scalloc_rt_span_release(late_span), late_span = 0;
  scalloc_rt_detach(workers[0].mutator);
  step("andq $-257, (%%rsp)");
}

static void stopped_in_functions_of_others(void) {
  scalloc_rt_heap_conf conf = {.size = sizeof conf, .hooks = {.pressure = turn_in_hook, .span_release = put_off_in_hook}};
  struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO};
  CHECK(heap = scalloc_rt_heap_create(&conf));
  slot = slot_for(heap, kind_with(heap, 0), 1500, &size);
  base = __builtin_frame_address(0);
  CHECK(sigaction(SIGTRAP, &action, NULL) == 0);
  alarm(100);
  made = 0;
  traps = cycles_done = put_off = 0;
  for (size_t i = 0; i < 20; i++) {
    CHECK(workers[0].mutator = scalloc_rt_attach(heap, NULL));
    workers[0].mutator->budget = INT64_MAX;
    traps += (long)i; /* begins elsewhere each time */
    use_stepwise(i);
  }
  printf("  %ld steps, %ld cycles, put off %ld times\n", traps, cycles_done, put_off);
  CHECK(cycles_done > 500 && put_off > 500);
  check_heap();
  scalloc_rt_heap_destroy(heap);
  check_ends();
}
#else
static void stopped_in_functions_of_others(void) { exit(SKIP_CODE); }
static void stopped_between_any_two_instructions(void) { exit(SKIP_CODE); }
static void incremental_between_any_two_instructions(void) { exit(SKIP_CODE); }
#endif

PARTS_MAIN(PART(stopped_by_signal), PART(stopped_between_any_two_instructions), PART(incremental_between_any_two_instructions),
           PART(stopped_in_functions_of_others))
