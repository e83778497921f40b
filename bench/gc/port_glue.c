/* gc_port.h on libscalloc_runtime: a stop-the-world collector for threads that stop by themselves.
 *
 * A mutator reaches a safe point at the latest when its budget is used up. The one that finds that enough was allocated since
 * the last cycle asks the others to stop, waits until none runs, marks from the shadow stacks and root vectors (mark.c), and lets
 * them go on; sweeping is left to allocation.
 */
#include "../program.h"
#include "gc_port.h"
#include "mark.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { MOST_KEPT = 1 << 16, MOST_VECTORS = 64, KINDS = 16, LEAST_BUDGET = 64 << 10, MOST_BUDGET = 1 << 20 };

struct vector {
  void **words;
  size_t length;
};

volatile uint32_t gc_stop_wanted;

static scalloc_rt_heap *heap;
static gc_conf conf;
static gc_numbers numbers;
static bool held;
static int kinds[KINDS]; /* by the number of pointers */
static unsigned pointers_of_kind[SCALLOC_RT_KINDS];
static uint64_t allocated, trigger,
    live;              /* bytes: handed out since the last cycle; when to begin the next; marked in the last */
static uint64_t bound; /* bytes that may be in use when a cycle begins */

/* Everything below under the lock. A cycle runs with it held and `running` at 0. */
static struct {
  pthread_mutex_t lock;
  pthread_cond_t stopped, resumed;
  unsigned running;
  gc_thread *threads;
  struct vector vectors[MOST_VECTORS];
  unsigned nvectors;
} world = {.lock = PTHREAD_MUTEX_INITIALIZER, .stopped = PTHREAD_COND_INITIALIZER, .resumed = PTHREAD_COND_INITIALIZER};

_Noreturn void gc_out_of_memory(void) { program_fail("no memory", errno); }

/* ---- the world; all with the lock held */

static void stop_running(void) {
  if (--world.running == 0) pthread_cond_signal(&world.stopped);
}

static void run_again(void) {
  while (gc_stop_wanted) pthread_cond_wait(&world.resumed, &world.lock);
  world.running++;
}

static void stop_the_others(void) {
  __atomic_store_n(&gc_stop_wanted, 1, __ATOMIC_RELAXED);
  world.running--;
  while (world.running) pthread_cond_wait(&world.stopped, &world.lock);
}

static void start_the_others(void) {
  __atomic_store_n(&gc_stop_wanted, 0, __ATOMIC_RELAXED);
  world.running++;
  pthread_cond_broadcast(&world.resumed);
}

void gc_park(gc_thread *thread) {
  (void)thread;
  pthread_mutex_lock(&world.lock);
  stop_running();
  run_again();
  pthread_mutex_unlock(&world.lock);
}

/* ---- a cycle */

static void mark_roots(void) {
  for (gc_thread *thread = world.threads; thread; thread = thread->next) {
    for (void **root = thread->kept; root < thread->top; root++) mark_root(*root);
  }
  for (unsigned i = 0; i < world.nvectors; i++) {
    struct vector vector = world.vectors[i];
    for (size_t k = 0; k < vector.length; k++) mark_root(vector.words[k]);
  }
}

/* The heap may grow to what lives and `factor` percent of it, and keeps the size it once had, less `shrink` percent a cycle: the
   process has paid for that memory at its peak. By default nothing, since libgc never makes its heap smaller either. */
static uint64_t next_trigger(void) {
  uint64_t room = live / 100 * conf.factor;
  if (room < conf.least) room = conf.least;
  bound -= bound / 100 * conf.shrink;
  if (bound < live + room) bound = live + room;
  return bound - live;
}

static void cycle(void) {
  double began = program_now();
  scalloc_rt_cycle_begin(heap);
  mark_begin();
  mark_roots();
  struct mark_sum sum = mark_run();
  double marked = program_now();
  scalloc_rt_cycle_end(heap);
  numbers.last_reclaim = program_now() - marked;
  numbers.last_mark = marked - began;
  numbers.mark_seconds += numbers.last_mark;
  numbers.collections++;
  numbers.marked += sum.objects;
  live = sum.bytes;
  __atomic_store_n(&trigger, next_trigger(), __ATOMIC_RELAXED);
  __atomic_store_n(&allocated, 0, __ATOMIC_RELAXED);
}

/* Unless another thread is about to do the same. */
static void collect(void) {
  double began = program_now();
  pthread_mutex_lock(&world.lock);
  if (gc_stop_wanted) {
    stop_running();
    run_again();
  } else {
    stop_the_others();
    cycle();
    start_the_others();
    double pause = program_now() - began;
    numbers.pause_seconds += pause;
    if (pause > numbers.longest_pause) numbers.longest_pause = pause;
  }
  pthread_mutex_unlock(&world.lock);
}

/* So much that stopping takes long neither to be noticed nor to be asked for. */
static int64_t next_budget(void) {
  uint64_t budget = __atomic_load_n(&trigger, __ATOMIC_RELAXED) / 32;
  if (budget < LEAST_BUDGET) return LEAST_BUDGET;
  return budget > MOST_BUDGET ? MOST_BUDGET : (int64_t)budget;
}

static bool on_pressure(void *unused, scalloc_rt_mutator *mutator, size_t bytes, int why) {
  (void)unused;
  uint64_t sum = __atomic_add_fetch(&allocated, bytes, __ATOMIC_RELAXED);
  mutator->budget = next_budget();
  if (why == SCALLOC_RT_LIMIT || why == SCALLOC_RT_NO_MEMORY) {
    if (sum == 0) return false; /* a cycle has just run */
    collect();
  } else if (sum >= __atomic_load_n(&trigger, __ATOMIC_RELAXED) && !__atomic_load_n(&held, __ATOMIC_RELAXED)) {
    collect();
  } else if (gc_stop_wanted) {
    gc_park(mutator->rt);
  }
  return true;
}

static void on_acquire(void *unused, scalloc_rt_span span, const scalloc_rt_span_info *info) {
  (void)unused;
  unsigned pointers = pointers_of_kind[info->kind];
  *scalloc_rt_cookie(span) = mark_descriptor(info->block_size, pointers);
}

/* ---- mutators */

static void attach(gc_thread *thread) {
  thread->kept = thread->top = malloc(MOST_KEPT * sizeof *thread->kept);
  thread->mutator = scalloc_rt_attach(heap, thread);
  if (!thread->kept || !thread->mutator) gc_out_of_memory();
  thread->mutator->budget = next_budget();
  pthread_mutex_lock(&world.lock);
  run_again();
  thread->next = world.threads;
  world.threads = thread;
  pthread_mutex_unlock(&world.lock);
}

static void detach(gc_thread *thread) {
  pthread_mutex_lock(&world.lock);
  gc_thread **link = &world.threads;
  while (*link != thread) link = &(*link)->next;
  *link = thread->next;
  stop_running();
  while (gc_stop_wanted) pthread_cond_wait(&world.resumed, &world.lock);
  scalloc_rt_detach(thread->mutator);
  pthread_mutex_unlock(&world.lock);
  free(thread->kept);
}

gc_thread *gc_start(const gc_conf *wanted) {
  static gc_thread first;
  long cores = sysconf(_SC_NPROCESSORS_ONLN);
  conf = *wanted;
  trigger = conf.least;
  scalloc_rt_heap_conf heap_conf = {.size = sizeof heap_conf, .hooks = {.span_acquire = on_acquire, .pressure = on_pressure}};
  heap = scalloc_rt_heap_create(&heap_conf);
  if (!heap) gc_out_of_memory();
  for (int i = 0; i < KINDS; i++) kinds[i] = -1;
  mark_setup(heap, conf.markers ? conf.markers : (unsigned)(cores > 0 ? cores : 1), conf.queue);
  attach(&first);
  return &first;
}

static int kind_of(unsigned index) {
  if (kinds[index] >= 0) return kinds[index];
  unsigned flags = index ? SCALLOC_RT_ZERO : SCALLOC_RT_NOSCAN;
  scalloc_rt_kind_conf kind_conf = {
      .size = sizeof kind_conf, .flags = flags, .align = sizeof(void *)}; /* nothing asks for more */
  int kind = scalloc_rt_kind_new(heap, &kind_conf);
  if (kind < 0) program_fail("no more kinds", errno);
  pointers_of_kind[kind] = index;
  return kinds[index] = kind;
}

gc_type gc_type_of(size_t size, unsigned pointers) {
  gc_type type = {.size = size, .pointers = pointers};
  if (pointers >= KINDS) program_fail("a type has at most 15 pointers", 0);
  type.slot = scalloc_rt_slot(heap, kind_of(pointers), size, &type.rounded);
  if (type.slot == SCALLOC_RT_NO_SLOT) program_fail("no slot", errno);
  return type;
}

struct job {
  gc_work work;
  void *argument;
  unsigned index;
  pthread_t id;
};

static void *run_job(void *argument) {
  struct job *job = argument;
  gc_thread thread = {0};
  attach(&thread);
  job->work(&thread, job->index, job->argument);
  detach(&thread);
  return NULL;
}

void gc_run(gc_thread *self, unsigned n, gc_work work, void *argument) {
  struct job *jobs = calloc(n, sizeof *jobs);
  if (!jobs) gc_out_of_memory();
  for (unsigned i = 1; i < n; i++) {
    jobs[i] = (struct job){.work = work, .argument = argument, .index = i};
    int error = pthread_create(&jobs[i].id, NULL, run_job, &jobs[i]);
    if (error) program_fail("pthread_create", error);
  }
  work(self, 0, argument);
  pthread_mutex_lock(&world.lock);
  stop_running();
  pthread_mutex_unlock(&world.lock);
  for (unsigned i = 1; i < n; i++) pthread_join(jobs[i].id, NULL);
  pthread_mutex_lock(&world.lock);
  run_again();
  pthread_mutex_unlock(&world.lock);
  free(jobs);
}

void gc_collect(gc_thread *self) {
  (void)self;
  collect();
}

void gc_hold(bool hold) { __atomic_store_n(&held, hold, __ATOMIC_RELAXED); }

size_t gc_sweep_all(gc_thread *self) { return scalloc_rt_sweep(heap, self->mutator, SIZE_MAX); }

gc_numbers gc_read_numbers(void) {
  gc_numbers result = numbers;
  result.live_bytes = live;
  return result;
}

void *gc_new_data(gc_thread *thread, size_t size) {
  int kind = kind_of(0);
  size_t rounded;
  unsigned slot = size <= 1 << 20 ? scalloc_rt_slot(heap, kind, size, &rounded) : SCALLOC_RT_NO_SLOT;
  void *data = slot == SCALLOC_RT_NO_SLOT ? scalloc_rt_alloc_large(thread->mutator, kind, size)
                                          : scalloc_rt_alloc(thread->mutator, slot, rounded);
  if (!data) gc_out_of_memory();
  return data;
}

void **gc_root_vector(gc_thread *thread, size_t length) {
  (void)thread;
  void **words = calloc(length, sizeof *words);
  if (!words) gc_out_of_memory();
  pthread_mutex_lock(&world.lock);
  if (world.nvectors == MOST_VECTORS) program_fail("too many root vectors", 0);
  world.vectors[world.nvectors++] = (struct vector){words, length};
  pthread_mutex_unlock(&world.lock);
  return words;
}
