/* Before main, after it, in destructors of threads, in C11 threads, and in the child of a fork taken under load. */
#include "../test.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <threads.h>

static void use_all_sizes(void) {
  for (size_t size = 1; size <= 3 * MB; size *= 3) {
    unsigned char *block = scalloc_malloc(size);
    CHECK(block != NULL);
    fill(block, size);
    unsigned char *grown = scalloc_realloc(block, size + 100);
    CHECK(grown && intact_prefix(grown, size, block, size));
    scalloc_free(grown);
  }
}

/* ---- before and after main --------------------------------------------------------------------------------------------- */

static void *early;

__attribute__((constructor)) static void before_main(void) {
  use_all_sizes();
  CHECK(early = scalloc_malloc(100));
  fill(early, 100);
}

static void after_main(void) {
  CHECK(intact(early, 100));
  scalloc_free(early);
  use_all_sizes();
  check_heap();
}

/* ---- destructors of threads --------------------------------------------------------------------------------------------- */

static pthread_key_t key;

/* Runs after scalloc may have closed the thread's heap; sets the value again, so that it runs in every round there is. */
static void destructor(void *value) {
  CHECK(intact(value, 200));
  scalloc_free(value);
  use_all_sizes();
  void *again = scalloc_malloc(200);
  fill(again, 200);
  static _Thread_local int rounds;
  if (++rounds < 4)
    CHECK(pthread_setspecific(key, again) == 0);
  else
    scalloc_free(again);
}

static void *leave_a_value_behind(void *argument) {
  void *value = scalloc_malloc(200);
  fill(value, 200);
  CHECK(pthread_setspecific(key, value) == 0);
  return argument;
}

static void thread_destructors_may_use_it(void) {
  stats before = stats_now();
  for (int i = 0; i < 50; i++) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, leave_a_value_behind, NULL) == 0 && pthread_join(thread, NULL) == 0);
  }
  check_all_returned(before);
}

static int run_c11_thread(void *argument) {
  use_all_sizes();
  scalloc_free(argument);
  return 0;
}

static void c11_threads_may_use_it(void) {
  for (int i = 0; i < 20; i++) {
    thrd_t thread;
    CHECK(thrd_create(&thread, run_c11_thread, scalloc_malloc(50)) == thrd_success);
    CHECK(thrd_join(thread, NULL) == thrd_success);
  }
}

/* ---- fork --------------------------------------------------------------------------------------------------------------- */

enum { SLOTS = 500, BUSY = 3, FORKS = 60 };
typedef struct head {
  size_t size;
} head;
static _Atomic(head *) slots[SLOTS];
static atomic_bool stop;

static void free_checked(head *block) {
  if (!block) return;
  CHECK(intact(block + 1, block->size - sizeof *block));
  scalloc_free(block);
}

static void *be_busy(void *argument) {
  rng random = {(uintptr_t)argument};
  while (!atomic_load(&stop)) {
    size_t size = sizeof(head) + rng_log(&random, 14);
    head *block = scalloc_malloc(size);
    CHECK(block != NULL);
    block->size = size;
    fill(block + 1, size - sizeof *block);
    free_checked(atomic_exchange(&slots[rng_below(&random, SLOTS)], block));
  }
  return NULL;
}

/* The child: blocks of threads that do not exist here are freed, everything works, new threads too. */
static void run_child(void) {
  alarm(20); /* a lock held at the fork would hang */
  atomic_store(&stop, false);
  use_all_sizes();
  for (size_t i = 0; i < SLOTS; i++) free_checked(atomic_exchange(&slots[i], NULL));
  scalloc_purge();
  check_heap();
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, be_busy, (void *)(uintptr_t)77) == 0);
  for (int i = 0; i < 3; i++) use_all_sizes();
  atomic_store(&stop, true);
  CHECK(pthread_join(thread, NULL) == 0);
  check_heap();
  check_span_sum(stats_now());
  scalloc_heap *heap = scalloc_heap_new();
  CHECK(heap && scalloc_heap_malloc(heap, 100));
  scalloc_heap_destroy(heap);
  _exit(0);
}

static void a_child_of_a_fork_may_use_everything(void) {
  pthread_t threads[BUSY];
  stats before = stats_now();
  for (size_t i = 0; i < BUSY; i++) CHECK(pthread_create(&threads[i], NULL, be_busy, (void *)(i + 1)) == 0);
  for (int i = 0; i < FORKS; i++) {
    int status;
    use_all_sizes();
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) run_child();
    CHECK(waitpid(pid, &status, 0) == pid);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
      test_fail(__FILE__, __LINE__, "fork %d: the child %s %d", i, WIFSIGNALED(status) ? "died by signal" : "exited with",
                WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
  }
  atomic_store(&stop, true);
  for (size_t i = 0; i < BUSY; i++) CHECK(pthread_join(threads[i], NULL) == 0);
  for (size_t i = 0; i < SLOTS; i++) free_checked(slots[i]);
  check_all_returned(before);
}

int main(void) {
  CHECK(atexit(after_main) == 0);
  CHECK(pthread_key_create(&key, destructor) == 0);
  CHECK(intact(early, 100));
  thread_destructors_may_use_it();
  c11_threads_may_use_it();
  a_child_of_a_fork_may_use_everything();
  return 0;
}
