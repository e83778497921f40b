/*
 * fork_places.c - forks from every place a program can fork from: before main, in a thread, in destructors of a thread's data,
 * in handlers of exit, near the memory limit, while another thread purges, while threads end.
 *
 *   fork_places [--rounds N] | MODE     a mode is one of the processes that have to end in some way
 */
#include "life.h"

enum { THREADS = 3 };

static long rounds;

static void be_whole(void *context) {
  (void)context;
  use_everything_alone();
}

static void fork_here(const char *where) { reap(fork_child_to(be_whole, NULL), where); }

static void run_thread(void *(*run)(void *), void *argument) {
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, run, argument) == 0 && pthread_join(thread, NULL) == 0);
}

/* ---- before main, after it ------------------------------------------------------------------------------------------- */

static pthread_key_t early_key, late_key; /* destroyed before the thread's heap is retired, and after */
static block *early;
static void fork_in_destructor(void *value);

__attribute__((constructor(101))) static void before_main(void) {
  CHECK(pthread_key_create(&early_key, fork_in_destructor) == 0);
  if (getenv("SCALLOC_LIMIT_BYTES")) return; /* too little for everything at once */
  fork_here("fork in a constructor, before any use");
  early = block_new(5000);
  fork_here("fork in a constructor");
}

static void fork_at_exit(void) {
  block_check(early);
  fork_here("fork in an atexit handler");
  use_all_sizes();
}

__attribute__((destructor)) static void fork_after_main(void) {
  fork_here("fork in a destructor");
  block_free(early);
}

static void before_main_and_after_it(void) { run_self_ok("fork-at-exit", NULL, 0); }

/* ---- in threads ------------------------------------------------------------------------------------------------------ */

/* The child's only thread is this one: to leave its function is to end the process. */
static void *fork_and_return(void *argument) {
  block *mine = block_new(70000);
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    child_begin();
    block_free(mine);
    use_everything_alone();
    return argument;
  }
  reap(pid, "fork in a thread, whose function returns");
  block_free(mine);
  return argument;
}

static void *fork_and_exit(void *argument) {
  block *mine = block_new(70000);
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    child_begin();
    use_everything_alone();
    block_free(mine);
    pthread_exit(NULL);
  }
  reap(pid, "fork in a thread, which calls pthread_exit");
  block_free(mine);
  return argument;
}

static void *fork_without_heap(void *argument) {
  fork_here("fork in a thread without a heap");
  return argument;
}

static void in_threads(void) {
  for (int i = 0; i < 5; i++) {
    run_thread(fork_and_return, NULL);
    run_thread(fork_and_exit, NULL);
    run_thread(fork_without_heap, NULL);
  }
  check_heap();
}

/* ---- in destructors of a thread's data ------------------------------------------------------------------------------- */

static atomic_int forks_in_destructors;

/* The child goes on with this thread's end in one case, and leaves at once in the other. */
static void fork_in_destructor(void *value) {
  block *mine = (block *)value;
  bool leaves = mine->size % 2;
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    child_begin();
    use_everything();
    check_heap();
    block_free(mine);
    if (leaves) _exit(0);
    return;
  }
  reap(pid, "fork in a destructor of a thread's data");
  block_free(mine);
  atomic_fetch_add(&forks_in_destructors, 1);
}

static void *set_values(void *key) {
  CHECK(pthread_setspecific(*(pthread_key_t *)key, block_new(301)) == 0);
  return NULL;
}

static void *set_values_and_let_the_child_end(void *key) {
  CHECK(pthread_setspecific(*(pthread_key_t *)key, block_new(300)) == 0);
  return NULL;
}

static void in_destructors_of_threads(void) {
  stats before = stats_now();
  for (int i = 0; i < 5; i++) {
    run_thread(set_values, &early_key);
    run_thread(set_values, &late_key);
    run_thread(set_values_and_let_the_child_end, &early_key);
    run_thread(set_values_and_let_the_child_end, &late_key);
  }
  CHECK_INT(forks_in_destructors, ==, 20);
  check_all_returned(before);
}

/* ---- near the limit -------------------------------------------------------------------------------------------------- */

enum { LIMIT_MB = 40, PIECE = MB + 4096, PIECES = LIMIT_MB }; /* a piece is charged to the byte */

static void *pieces[PIECES];

static size_t take_pieces(void) {
  size_t n = 0;
  for (size_t i = 0; i < PIECES; i++)
    if (pieces[i] == NULL && (pieces[i] = scalloc_malloc(PIECE))) {
      fill(pieces[i], PIECE);
      n++;
    }
  CHECK(errno == ENOMEM);
  CHECK_INT(stats_now().committed, <=, LIMIT_MB * MB);
  return n;
}

static size_t free_pieces(void) {
  size_t n = 0;
  for (size_t i = 0; i < PIECES; i++) {
    if (pieces[i] == NULL) continue;
    CHECK(intact(pieces[i], PIECE));
    scalloc_free(pieces[i]);
    pieces[i] = NULL;
    n++;
  }
  scalloc_purge();
  return n;
}

static void *use_sizes(void *argument) {
  use_all_sizes();
  return argument;
}

static void use_what_the_limit_leaves(void *context) {
  (void)context;
  check_heap();
  take_pieces(); /* what the other thread has left */
  size_t all = free_pieces();
  CHECK_INT(all, >=, 10); /* of 39: some is held by the vanished threads */
  CHECK_INT(take_pieces(), >=, all);
  CHECK_INT(free_pieces(), >=, all);
  use_all_sizes();
  run_thread(use_sizes, NULL);
  check_heap();
}

static atomic_bool stop;
static atomic_uint pushing;

static void *push_against_the_limit(void *argument) {
  rng random = {(uintptr_t)argument};
  atomic_fetch_add(&pushing, 1);
  void *mine[6] = {NULL};
  while (!atomic_load(&stop)) {
    void **place = &mine[rng_below(&random, LENGTH(mine))];
    scalloc_free(*place);
    if ((*place = scalloc_malloc(rng_log(&random, 19)))) *(char *)*place = 1;
  }
  for (size_t i = 0; i < LENGTH(mine); i++) scalloc_free(mine[i]);
  return NULL;
}

/* However often it is refused: no address space, no slot of the table goes to what is not allocated. */
static void *be_refused(void *argument) {
  void *last[LIMIT_MB * 10];
  size_t n = 0;
  while (n < LENGTH(last) && (last[n] = scalloc_malloc(100 * KB))) n++;
  CHECK(n < LENGTH(last));
  long long opened = stats_now().opened;
  for (int i = 0; i < 1000; i++) CHECK(scalloc_malloc(100 * KB) == NULL && scalloc_malloc(2 * MB) == NULL);
  CHECK_INT(stats_now().opened, <=, opened + 1);
  while (n > 0) scalloc_free(last[--n]);
  return argument;
}

static void push_and_fork(long times) {
  pthread_t threads[2];
  scalloc_free(scalloc_malloc(1));
  take_pieces();
  run_thread(be_refused, NULL);
  for (int i = 0; i < 6; i++) scalloc_free(pieces[i]), pieces[i] = NULL;
  for (size_t i = 0; i < LENGTH(threads); i++) CHECK(pthread_create(&threads[i], NULL, push_against_the_limit, (void *)i) == 0);
  while (atomic_load(&pushing) < LENGTH(threads)) sched_yield(); /* ASan holds a lock of its own while a thread starts */
  for (long i = 0; i < times; i++) reap(fork_child_to(use_what_the_limit_leaves, NULL), "fork near the limit");
  atomic_store(&stop, true);
  for (size_t i = 0; i < LENGTH(threads); i++) CHECK(pthread_join(threads[i], NULL) == 0);
  use_what_the_limit_leaves(NULL);
}

static void near_the_limit(void) {
  char limit[64], *environment[] = {limit, NULL};
  snprintf(limit, sizeof limit, "SCALLOC_LIMIT_BYTES=%zu", LIMIT_MB * MB);
  run_self_ok("near-the-limit", environment, 0);
}

/* ---- while others purge, while others end ---------------------------------------------------------------------------- */

/* Threads at work: ASan may hang in its own lock in the child of a fork that comes while one starts. */
static atomic_int begun;

static void *purge_again_and_again(void *argument) {
  atomic_fetch_add(&begun, 1);
  rng random = {(uintptr_t)argument};
  while (!atomic_load(&stop)) {
    void *some[20];
    for (size_t i = 0; i < LENGTH(some); i++) {
      CHECK(some[i] = scalloc_malloc(rng_log(&random, 21)));
      *(char *)some[i] = 1;
    }
    for (size_t i = 0; i < LENGTH(some); i++) scalloc_free(some[i]);
    scalloc_purge();
  }
  return NULL;
}

enum { LEFT = 40 };
static _Atomic(block *) left[LEFT];

static void *leave_and_end(void *argument) {
  rng random = {(uintptr_t)argument};
  for (int i = 0; i < 10; i++) block_free(atomic_exchange(&left[rng_below(&random, LEFT)], block_new(rng_log(&random, 18))));
  return NULL;
}

static void *start_threads_that_end(void *argument) {
  atomic_fetch_add(&begun, 1);
  rng random = {(uintptr_t)argument};
  while (!atomic_load(&stop)) run_thread(leave_and_end, (void *)(uintptr_t)rng_next(&random));
  return NULL;
}

static void free_what_was_left(void) {
  for (size_t i = 0; i < LEFT; i++) block_free(atomic_exchange(&left[i], NULL));
}

static void live_after_both(void *context) {
  (void)context;
  unsigned char *zeros = (unsigned char *)scalloc_calloc(1, 5 * MB); /* of what was being purged */
  CHECK(zeros && all_bytes(zeros, 5 * MB, 0));
  scalloc_free(zeros);
  for (uintptr_t i = 0; i < 5; i++) run_thread(leave_and_end, (void *)i); /* on the heaps of those that were ending */
  free_what_was_left();
  use_everything_alone();
}

static void fork_while(void *(*run)(void *), const char *what) {
  pthread_t threads[THREADS];
  stats before = stats_now();
  rng random = {11};
  atomic_store(&stop, false);
  atomic_store(&begun, 0);
  for (size_t i = 0; i < THREADS; i++) CHECK(pthread_create(&threads[i], NULL, run, (void *)(i + 1)) == 0);
  while (atomic_load(&begun) < THREADS) sched_yield();
  for (long i = 0; i < rounds; i++) {
    nanosleep(&(struct timespec){0, (long)rng_below(&random, 300000)}, NULL);
    reap(fork_child_to(live_after_both, NULL), what);
  }
  atomic_store(&stop, true);
  for (size_t i = 0; i < THREADS; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  free_what_was_left();
  check_all_returned(before);
}

int main(int argc, char **argv) {
  CHECK(pthread_key_create(&late_key, fork_in_destructor) == 0);
  rounds = option_number(argc, argv, "--rounds", 40);
  if (argc > 1 && strcmp(argv[1], "fork-at-exit") == 0) return atexit(fork_at_exit);
  if (argc > 1 && strcmp(argv[1], "near-the-limit") == 0) {
    push_and_fork(rounds / 2 + 1);
    _exit(0);
  }
  if (!FORKS_WITH_THREADS) return skip("TSan lets no child of a process with several threads start a thread");
  before_main_and_after_it();
  in_threads();
  in_destructors_of_threads();
  near_the_limit();
  fork_while(purge_again_and_again, "fork while threads purge");
  if (FORKS_WITH_ENDING_THREADS) fork_while(start_threads_that_end, "fork while threads end");
  return 0;
}
