/*
 * objects.h - collected objects that know what may happen to them, for the tests of the Boehm bridge.
 *
 * An object is held by one word in a scalloc block and nothing else. Before that word goes, the object is told so (`state`). Its
 * finalizer sees what libgc made of it; who holds it can ask whether it is still what it was, with what hangs on it.
 */
#ifndef SCALLOC_TESTS_BOEHM_OBJECTS_H
#define SCALLOC_TESTS_BOEHM_OBJECTS_H

#define GC_THREADS
#include <gc/gc.h>
#include <pthread.h>
#include <scalloc/boehm.h>

#include "../test.h"

enum { OBJECT_HELD = 0x48, OBJECT_LET_GO = 0x6c, OBJECT_FINALIZED = 0x66 };

typedef struct leaf {
  uint64_t sum;
} leaf;

typedef struct object {
  uint64_t id;
  leaf *leaf; /* of collected memory too: reached through the object alone */
  volatile long state;
} object;

static long objects_wrong; /* objects that a collection took though they were held; atomically, as all counters here */
static uint64_t objects_made;

static inline long objects_count(long *counter) { return __atomic_load_n(counter, __ATOMIC_ACQUIRE); }
static inline uint64_t object_sum(uint64_t id) { return mix(id ^ UINT64_C(0x0b7ec7)); }

/* Is it what it was when it was made? Reads memory that libgc may have given to somebody else if the bridge is at fault. */
static inline bool object_is_sound(const object *o, uint64_t id) {
  return o->id == id && o->state == OBJECT_HELD && o->leaf != NULL && GC_base(o->leaf) == o->leaf &&
         o->leaf->sum == object_sum(id);
}

static inline void GC_CALLBACK object_finalize(void *memory, void *counter) {
  object *o = memory;
  if (o->state != OBJECT_LET_GO || o->leaf->sum != object_sum(o->id)) __atomic_add_fetch(&objects_wrong, 1, __ATOMIC_ACQ_REL);
  o->state = OBJECT_FINALIZED;
  __atomic_add_fetch((long *)counter, 1, __ATOMIC_ACQ_REL);
}

/* Numbers for n new objects; the first. */
static inline uint64_t object_ids(size_t n) { return __atomic_fetch_add(&objects_made, n, __ATOMIC_RELAXED) + 1; }

/* Stores a new object in *word, a word of a block; its finalizer counts in *counter. */
static inline uint64_t object_new(object *volatile *word, uint64_t id, long *counter) {
  object *o = GC_MALLOC(sizeof *o);
  leaf *l = GC_MALLOC_ATOMIC(sizeof *l);
  CHECK(o && l);
  l->sum = object_sum(id);
  o->id = id;
  o->leaf = l;
  o->state = OBJECT_HELD;
  *word = o;
  GC_register_finalizer(o, object_finalize, counter, NULL, NULL); /* in order: the leaf is still there */
  return id;
}

/* What holds it is about to go. */
static inline void object_let_go(object *o) { o->state = OBJECT_LET_GO; }

/* Runs f(argument) in a thread whose stack and registers are gone afterwards, so that nothing it knew is held by accident. */
static inline void elsewhere(void *(*f)(void *), void *argument) {
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, f, argument) == 0);
  CHECK(pthread_join(thread, NULL) == 0);
}

/*
 * libgc takes its own leavings for references, too: its parallel marker keeps a stack of objects on the stack of the thread that
 * collects, where the next collection may find the rest of it; and it has in variables where the last two pieces of its heap
 * begin, which are the addresses of objects. These are moved on here.
 */
static __attribute__((noinline)) void scrub_stack(void) {
  volatile char below[256 * KB];
  for (size_t i = 0; i < sizeof below; i++) below[i] = 0;
}

/* Collects until *counter is `count`; false if that does not come about, or it is more. */
static inline bool collect_until(long *counter, long count) {
  for (int tries = 0; tries < 50 && objects_count(counter) < count; tries++) {
    for (int i = 0; i < 2 && tries > 2; i++) CHECK(GC_expand_hp(64 * KB));
    scrub_stack();
    GC_gcollect();
    GC_invoke_finalizers();
    if (tries > 3) sleep_ms(2); /* another thread may be running finalizers */
  }
  return objects_count(counter) == count;
}

#endif
