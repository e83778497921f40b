/*
 * threads.c - threads, and the two ways in which one lets the world be stopped: it comes to a safe point, or it is parked, that
 * is, it waits for something and promises not to touch the heap until it has been unparked.
 *
 * Every system thread that runs Scheme has one mutator. Threads are detached; what others want to know is in the Scheme object.
 */
#include "scheme.h"
#include <sched.h>
#include <stdlib.h>

enum { STACK = 1 << 20, SPARE = 64 }; /* values; SPARE: for the report that the rest is used up */

enum { THREAD_RESULT, THREAD_DONE, THREAD_FAILED, THREAD_FIELDS };

typedef struct {
  uint64_t header;
  _Atomic(thread *) owner;
  pthread_mutex_t mutex;
} lock_object;

typedef struct {
  uint64_t header;
  pthread_cond_t condition;
} event_object;

/* ---- stopping; world.lock is held where the name says wait */

void wait_for_restart(thread *t) {
  (void)t;
  world.running--;
  pthread_cond_broadcast(&world.changed);
  while (world.stopping) pthread_cond_wait(&world.changed, &world.lock);
  world.running++;
}

void safe_point(thread *t) {
  pthread_mutex_lock(&world.lock);
  if (world.stopping) wait_for_restart(t);
  pthread_mutex_unlock(&world.lock);
}

void park(thread *t) {
  (void)t;
  pthread_mutex_lock(&world.lock);
  world.running--;
  if (world.stopping) pthread_cond_broadcast(&world.changed);
  pthread_mutex_unlock(&world.lock);
}

void unpark(thread *t) {
  (void)t;
  pthread_mutex_lock(&world.lock);
  while (world.stopping) pthread_cond_wait(&world.changed, &world.lock);
  world.running++;
  pthread_mutex_unlock(&world.lock);
}

/* ---- life of a thread */

/* Under world.lock, so never within a cycle: mutators must not come or go in one. */
static bool attach(thread *t) {
  pthread_mutex_lock(&world.lock);
  t->mutator = scalloc_rt_attach(world.heap, t);
  if (t->mutator != NULL) {
    t->mutator->budget = 0; /* it takes its share when it allocates */
    t->next = world.threads;
    world.threads = t;
  }
  pthread_mutex_unlock(&world.lock);
  return t->mutator != NULL;
}

/* A parked thread that the collector already knows. NULL: no memory. */
thread *thread_new(value self) {
  thread *t = calloc(1, sizeof *t);
  if (t == NULL) return NULL;
  t->stack = t->sp = malloc((STACK + SPARE) * sizeof(value));
  t->code = t->env = t->condition = t->no_memory = FALSE;
  t->self = self;
  t->countdown = world.stress;
  if (t->stack == NULL || !attach(t)) {
    free(t->stack);
    free(t);
    return NULL;
  }
  t->limit = t->stack + STACK;
  return t;
}

/* A thread that is parked, or has not started. */
void thread_end(thread *t) {
  pthread_mutex_lock(&world.lock);
  thread **link = &world.threads;
  while (*link != t) link = &(*link)->next;
  *link = t->next;
  scalloc_rt_detach(t->mutator);
  pthread_mutex_unlock(&world.lock);
  free(t->scratch);
  free(t->stack);
  free(t);
}

static void set_done(thread *t, bool failed) {
  pthread_mutex_lock(&world.lock);
  value *field = fields_of(t->self);
  field[THREAD_RESULT] = t->sp[-1];
  field[THREAD_FAILED] = boolean(failed);
  field[THREAD_DONE] = TRUE;
  pthread_cond_broadcast(&world.changed);
  pthread_mutex_unlock(&world.lock);
}

static void *thread_main(void *argument) {
  thread *t = argument;
  unpark(t);
  jmp_buf escape;
  t->escape = &escape;
  if (setjmp(escape) == 0) {
    value result = run(t, fields_of(t->self)[THREAD_RESULT]);
    *t->sp++ = result;
    set_done(t, false);
  } else {
    t->sp = t->stack;
    *t->sp++ = t->condition;
    t->code = t->env = FALSE;
    set_done(t, true);
  }
  park(t);
  thread_end(t);
  return NULL;
}

static value p_spawn(thread *t, size_t count, value *args) {
  (void)count;
  if (!is_procedure(args[0])) fail(t, "spawn: not a procedure", args[0]);
  object *self = new_object(t, KIND_FIELDS, T_THREAD, THREAD_FIELDS, 0);
  self->field[THREAD_RESULT] = args[0];
  self->field[THREAD_DONE] = self->field[THREAD_FAILED] = FALSE;
  push(t, object_value(self));
  value no_memory = new_memory_condition(t);
  thread *child = thread_new(object_value(self));
  if (child == NULL) fail_memory(t);
  child->no_memory = no_memory;
  pthread_t id;
  pthread_attr_t detached;
  pthread_attr_init(&detached);
  pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
  int error = pthread_create(&id, &detached, thread_main, child);
  pthread_attr_destroy(&detached);
  if (error != 0) {
    thread_end(child);
    fail(t, "spawn: the system refused another thread", UNBOUND);
  }
  return pop(t);
}

static value p_join(thread *t, size_t count, value *args) {
  (void)count;
  need_type(t, args[0], T_THREAD, "join: not a thread");
  if (args[0] == t->self) fail(t, "join: a thread cannot wait for itself", UNBOUND);
  value *field = fields_of(args[0]);
  pthread_mutex_lock(&world.lock);
  world.running--;
  pthread_cond_broadcast(&world.changed);
  while (world.stopping || field[THREAD_DONE] == FALSE) pthread_cond_wait(&world.changed, &world.lock);
  world.running++;
  pthread_mutex_unlock(&world.lock);
  if (field[THREAD_FAILED] == TRUE) fail_with(t, field[THREAD_RESULT]);
  return field[THREAD_RESULT];
}

static value p_current(thread *t, size_t count, value *args) {
  (void)count, (void)args;
  return t->self;
}

static value p_yield(thread *t, size_t count, value *args) {
  (void)count, (void)args;
  park(t);
  sched_yield();
  unpark(t);
  return UNSPECIFIED;
}

/* ---- mutexes and events: objects of the system inside blocks of the heap, which is fine since no block moves */

static value p_make_mutex(thread *t, size_t count, value *args) {
  (void)count, (void)args;
  lock_object *o = (lock_object *)new_object(t, KIND_NATIVE, T_MUTEX, 0, sizeof *o - sizeof(object));
  atomic_init(&o->owner, NULL);
  pthread_mutex_init(&o->mutex, NULL);
  return object_value(o);
}

static value p_make_event(thread *t, size_t count, value *args) {
  (void)count, (void)args;
  event_object *o = (event_object *)new_object(t, KIND_NATIVE, T_EVENT, 0, sizeof *o - sizeof(object));
  pthread_cond_init(&o->condition, NULL);
  return object_value(o);
}

/* For the disclaim hook. A mutex that was dropped while it was held is left as it is: Linux keeps nothing outside of it. */
void release_native(object *o) {
  if ((o->header & 0xff) == T_EVENT)
    pthread_cond_destroy(&((event_object *)o)->condition);
  else if (atomic_load(&((lock_object *)o)->owner) == NULL)
    pthread_mutex_destroy(&((lock_object *)o)->mutex);
}

static lock_object *need_mutex(thread *t, value v, bool held) {
  need_type(t, v, T_MUTEX, "not a mutex");
  lock_object *o = (lock_object *)v;
  if (held != (atomic_load(&o->owner) == t))
    fail(t, held ? "the mutex is not held by this thread" : "the mutex is held by this thread already", UNBOUND);
  return o;
}

static value p_lock(thread *t, size_t count, value *args) {
  (void)count;
  lock_object *o = need_mutex(t, args[0], false);
  if (pthread_mutex_trylock(&o->mutex) != 0) {
    park(t);
    pthread_mutex_lock(&o->mutex);
    unpark(t);
  }
  atomic_store(&o->owner, t);
  return UNSPECIFIED;
}

static value p_unlock(thread *t, size_t count, value *args) {
  (void)count;
  lock_object *o = need_mutex(t, args[0], true);
  atomic_store(&o->owner, NULL);
  pthread_mutex_unlock(&o->mutex);
  return UNSPECIFIED;
}

/* (wait event mutex): as pthread_cond_wait, also in that it may return for no reason. */
static value p_wait(thread *t, size_t count, value *args) {
  (void)count;
  need_type(t, args[0], T_EVENT, "wait: not an event");
  lock_object *o = need_mutex(t, args[1], true);
  atomic_store(&o->owner, NULL);
  park(t);
  pthread_cond_wait(&((event_object *)args[0])->condition, &o->mutex);
  unpark(t);
  atomic_store(&o->owner, t);
  return UNSPECIFIED;
}

static value p_notify(thread *t, size_t count, value *args) {
  (void)count;
  need_type(t, args[0], T_EVENT, "notify: not an event");
  pthread_cond_broadcast(&((event_object *)args[0])->condition);
  return UNSPECIFIED;
}

const primitive_entry thread_primitives[] = {{"spawn", p_spawn, 1, 1},
                                             {"join", p_join, 1, 1},
                                             {"current-thread", p_current, 0, 0},
                                             {"yield", p_yield, 0, 0},
                                             {"make-mutex", p_make_mutex, 0, 0},
                                             {"make-event", p_make_event, 0, 0},
                                             {"lock", p_lock, 1, 1},
                                             {"unlock", p_unlock, 1, 1},
                                             {"wait", p_wait, 2, 2},
                                             {"notify", p_notify, 1, 1},
                                             {NULL, NULL, 0, 0}};
