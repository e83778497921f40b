/* gc_port.h: what the benchmark programs ask of a garbage collector.
 *
 * Compiled twice: with BENCH_LIBGC on libgc (port_libgc.c), without it on libscalloc_runtime and the collector of collect.c
 * and mark.c (port_glue.c). The programs are the same source on both sides; what differs is here.
 *
 * libgc finds pointers by itself. The other collector is precise: an object's type says how many pointers it begins with, and a
 * pointer that only a local variable holds is shown to it by gc_keep() for as long as the thread may reach a safe point.
 * Safe points are gc_new, gc_new_data, gc_safe_point and gc_run. Objects never move.
 */
#ifndef GC_PORT_H
#define GC_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef BENCH_LIBGC
#include <gc.h>
#else
#include <scalloc/runtime_glue.h>
#endif

/* Objects treated alike: `pointers` words that point to objects or are NULL, then data. Without pointers they are not cleared. */
typedef struct {
  size_t size;
  unsigned pointers;
#ifndef BENCH_LIBGC
  unsigned slot;
  size_t rounded;
#endif
} gc_type;

/* One mutator. */
typedef struct gc_thread {
#ifdef BENCH_LIBGC
  int index;
#else
  scalloc_rt_mutator *mutator;
  void **kept, **top; /* shadow stack: roots are kept .. top - 1 */
  struct gc_thread *next;
#endif
} gc_thread;

typedef struct {
  unsigned markers; /* threads that mark; 0: as many as there are cores, as libgc does */
  unsigned factor;  /* glue: allocation that starts a cycle, in percent of what lives */
  unsigned shrink;  /* glue: by how much the heap may get smaller from cycle to cycle, in percent */
  size_t least;     /* glue: least allocation that starts a cycle, in bytes */
  unsigned queue;   /* glue: objects fetched ahead by a marker, a power of two */
  unsigned divisor; /* libgc: free space divisor; 0: its own */
  bool interior;    /* libgc: pointers into objects count, its default; costs a byte an object */
} gc_conf;

typedef struct {
  uint64_t collections, marked; /* cycles; objects marked in all of them, where known */
  double mark_seconds, pause_seconds, longest_pause, last_mark;
  double last_reclaim; /* what the collector did after marking, before the program went on */
  uint64_t live_bytes; /* marked in the last cycle, where known */
} gc_numbers;

/* Ends the program if the collector cannot be set up, or later has no memory. The caller becomes the first mutator. */
gc_thread *gc_start(const gc_conf *conf);

gc_type gc_type_of(size_t size, unsigned pointers);

/* Runs work(thread, i, argument) on n mutators at once: the first is the calling thread, `self`. */
typedef void (*gc_work)(gc_thread *thread, unsigned i, void *argument);
void gc_run(gc_thread *self, unsigned n, gc_work work, void *argument);

/* A cycle now; and no cycle until released, however much is allocated. */
void gc_collect(gc_thread *self);
void gc_hold(bool hold);

/* Sweeps all that waits for it; spans swept. libgc has no call for that and sweeps while it allocates: 0. */
size_t gc_sweep_all(gc_thread *self);

gc_numbers gc_read_numbers(void);

/* An object of any size without pointers, not cleared. */
void *gc_new_data(gc_thread *thread, size_t size);

/* A vector of pointers, cleared, that is never freed: a root. */
void **gc_root_vector(gc_thread *thread, size_t length);

_Noreturn void gc_out_of_memory(void);

#ifdef BENCH_LIBGC

static inline void *gc_new(gc_thread *thread, const gc_type *type) {
  (void)thread;
  void *object = type->pointers ? GC_MALLOC(type->size) : GC_MALLOC_ATOMIC(type->size);
  if (!object) gc_out_of_memory();
  return object;
}

static inline void *gc_keep(gc_thread *thread, void *object) {
  (void)thread;
  return object;
}

static inline void gc_drop(gc_thread *thread, unsigned n) { (void)thread, (void)n; }
static inline void gc_safe_point(gc_thread *thread) { (void)thread; }

#else

extern volatile uint32_t gc_stop_wanted;
void gc_park(gc_thread *thread);

static inline void *gc_new(gc_thread *thread, const gc_type *type) {
  void *object = scalloc_rt_alloc(thread->mutator, type->slot, type->rounded);
  if (!object) gc_out_of_memory();
  return object;
}

/* Keeps an object alive until it is dropped; last in, first out. */
static inline void *gc_keep(gc_thread *thread, void *object) { return *thread->top++ = object; }

static inline void gc_drop(gc_thread *thread, unsigned n) { thread->top -= n; }

/* For long stretches without allocation. */
static inline void gc_safe_point(gc_thread *thread) {
  if (__atomic_load_n(&gc_stop_wanted, __ATOMIC_RELAXED)) gc_park(thread);
}

#endif
#endif
