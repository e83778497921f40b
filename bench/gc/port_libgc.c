/* gc_port.h on libgc. Times come from its events: stop to start of the world, and marking within. */
#include "../program.h"
#include "gc_port.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static gc_numbers numbers;
static double stop_wanted, mark_began, reclaim_began;
static gc_thread first;

_Noreturn void gc_out_of_memory(void) {
  fputs("libgc: no memory\n", stderr);
  exit(EXIT_FAILURE);
}

/* All events come under libgc's lock, so nothing here needs one. */
static void on_event(GC_EventType event) {
  switch (event) {
  case GC_EVENT_PRE_STOP_WORLD:
    stop_wanted = program_now();
    break;
  case GC_EVENT_MARK_START:
    mark_began = program_now();
    break;
  case GC_EVENT_MARK_END:
    numbers.last_mark = program_now() - mark_began;
    numbers.mark_seconds += numbers.last_mark;
    break;
  case GC_EVENT_POST_START_WORLD: {
    double pause = program_now() - stop_wanted;
    numbers.pause_seconds += pause;
    if (pause > numbers.longest_pause) numbers.longest_pause = pause;
    break;
  }
  case GC_EVENT_RECLAIM_START:
    reclaim_began = program_now();
    break;
  case GC_EVENT_RECLAIM_END:
    numbers.last_reclaim = program_now() - reclaim_began;
    break;
  default:
    break;
  }
}

gc_thread *gc_start(const gc_conf *conf) {
  if (conf->markers) GC_set_markers_count(conf->markers);
  GC_set_all_interior_pointers(conf->interior);
  GC_INIT();
  if (conf->divisor) GC_set_free_space_divisor(conf->divisor);
  GC_set_on_collection_event(on_event);
  return &first;
}

gc_type gc_type_of(size_t size, unsigned pointers) { return (gc_type){.size = size, .pointers = pointers}; }

struct job {
  gc_work work;
  void *argument;
  gc_thread thread;
  pthread_t id;
};

static void *run_job(void *argument) {
  struct job *job = argument;
  job->work(&job->thread, (unsigned)job->thread.index, job->argument);
  return NULL;
}

void gc_run(gc_thread *self, unsigned n, gc_work work, void *argument) {
  struct job *jobs = GC_MALLOC_UNCOLLECTABLE((n + 1) * sizeof *jobs);
  if (!jobs) gc_out_of_memory();
  for (unsigned i = 1; i < n; i++) {
    jobs[i] = (struct job){.work = work, .argument = argument, .thread = {.index = (int)i}};
    int error = GC_pthread_create(&jobs[i].id, NULL, run_job, &jobs[i]);
    if (error) program_fail("pthread_create", error);
  }
  work(self, 0, argument);
  for (unsigned i = 1; i < n; i++) GC_pthread_join(jobs[i].id, NULL);
  GC_FREE(jobs);
}

void gc_collect(gc_thread *self) {
  (void)self;
  GC_gcollect();
}

void gc_hold(bool hold) {
  if (hold)
    GC_disable();
  else
    GC_enable();
}

size_t gc_sweep_all(gc_thread *self) {
  (void)self;
  return 0;
}

gc_numbers gc_read_numbers(void) {
  gc_numbers result = numbers;
  result.collections = GC_get_gc_no();
  return result;
}

void *gc_new_data(gc_thread *thread, size_t size) {
  (void)thread;
  void *data = GC_MALLOC_ATOMIC(size);
  if (!data) gc_out_of_memory();
  return data;
}

void **gc_root_vector(gc_thread *thread, size_t length) {
  (void)thread;
  void **vector = GC_MALLOC_UNCOLLECTABLE(length * sizeof *vector);
  if (!vector) gc_out_of_memory();
  return vector;
}
