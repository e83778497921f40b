/*
 * collect.c - one collection: stop the threads, mark what they can reach, settle weak tables and finalizers, let them go on.
 *
 * Nothing is freed here. What has no mark at scalloc_rt_cycle_end is free memory, and the thread that next needs some finds it:
 * the pause pays for what lives, never for what died.
 */
#include "scheme.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Blocks that are marked and not yet looked into: addresses with their kind in the low bits. In malloc's memory, since no heap
   limit may stand against a collection. */
static struct {
  uintptr_t *items;
  size_t count, room;
  bool failed; /* it could not grow: the cycle is given up */
} grey;

static scalloc_rt_marker marker; /* of the running cycle: one thread marks, all others are stopped */
static object *weak_stores;      /* reached in this cycle, linked through STORE_LINK */

static void grey_push(uintptr_t item) {
  if (grey.count == grey.room) {
    size_t room = grey.room == 0 ? 4096 : grey.room * 2;
    uintptr_t *items = realloc(grey.items, room * sizeof *items);
    if (items == NULL) {
      grey.failed = true;
      return;
    }
    grey.items = items;
    grey.room = room;
  }
  grey.items[grey.count++] = item;
}

/* Marks what v names. The cookie of the span tells what kind of block that is; the block itself is not read here. */
static void mark(value v) {
  uintptr_t cookie;
  if (!is_pointer(v) || !scalloc_rt_mark_live(&marker, address_of(v), &cookie)) return;
  uintptr_t kind = cookie & 15;
  world.live += cookie >> 4;
  if (kind != KIND_BYTES && kind != KIND_SYMBOL) grey_push((uintptr_t)address_of(v) | kind);
}

static void mark_range(const value *from, const value *to) {
  while (from < to) mark(*from++);
}

static void look_into(uintptr_t item) {
  uintptr_t kind = item & 15;
  void *block = (void *)(item - kind);
  if (kind == KIND_PAIR) {
    mark(((pair *)block)->car);
    mark(((pair *)block)->cdr);
  } else if (kind == KIND_WEAK) {
    object *store = block;
    store->field[STORE_LINK] = weak_stores == NULL ? FALSE : object_value(weak_stores);
    weak_stores = store;
  } else {
    object *o = block;
    mark_range(o->field, o->field + count_of(o));
  }
}

static void drain(void) {
  while (grey.count > 0 && !grey.failed) look_into(grey.items[--grey.count]);
}

/* Symbols are never freed, so their blocks are not asked for marks. */
static bool is_live(value v) {
  scalloc_rt_ref ref;
  if (!is_pointer(v) || has_type(v, T_SYMBOL)) return true;
  return scalloc_rt_resolve(world.heap, address_of(v), false, &ref) && scalloc_rt_is_marked(ref);
}

/* The value of an entry is held by its key and its table together. Marks those whose key is live; true if any was new. */
static bool mark_values(object *store) {
  bool any = false;
  for (size_t i = STORE_START; i < count_of(store); i += 2) {
    value key = store->field[i], v = store->field[i + 1];
    if (key == UNBOUND || key == DELETED || !is_live(key) || is_live(v)) continue;
    mark(v);
    any = true;
  }
  return any;
}

/* So are a finalizer's action and the object it is for: the action may well be a closure that sees the object. */
static bool mark_actions(void) {
  bool any = false;
  for (size_t i = 0; i < world.waiting.count; i++) {
    const finalizer *f = &world.waiting.items[i];
    if (!is_live(f->object) || is_live(f->action)) continue;
    mark(f->action);
    any = true;
  }
  return any;
}

/* Until nothing new is found: as often as the longest chain of entries in which the value of one is the key of the next. */
static void settle(void) {
  bool any = true;
  while (any && !grey.failed) {
    drain();
    any = mark_actions();
    for (object *s = weak_stores; s != NULL; s = s->field[STORE_LINK] == FALSE ? NULL : object_of(s->field[STORE_LINK]))
      any = mark_values(s) || any;
  }
}

static void clear_dead_keys(void) {
  for (object *s = weak_stores; s != NULL; s = s->field[STORE_LINK] == FALSE ? NULL : object_of(s->field[STORE_LINK])) {
    for (size_t i = STORE_START; i < count_of(s); i += 2) {
      if (s->field[i] == UNBOUND || s->field[i] == DELETED || is_live(s->field[i])) continue;
      s->field[i] = DELETED;
      s->field[i + 1] = FALSE;
      s->field[STORE_COUNT] = fixnum(fixnum_of(s->field[STORE_COUNT]) - 1);
    }
  }
}

/* ---- finalizers */

static bool reserve(finalizers *f, size_t room) {
  if (f->room >= room) return true;
  finalizer *items = realloc(f->items, 2 * room * sizeof *items);
  if (items == NULL) return false;
  f->items = items;
  f->room = 2 * room;
  return true;
}

/* `ready` always has room for all that wait, so a collection needs no memory for them. */
void finalize(thread *t, value what, value action) {
  pthread_mutex_lock(&world.lock);
  size_t all = world.waiting.count + world.ready.count + 1;
  bool good = reserve(&world.waiting, all) && reserve(&world.ready, all);
  if (good) world.waiting.items[world.waiting.count++] = (finalizer){what, action, 0};
  pthread_mutex_unlock(&world.lock);
  if (!good) fail_memory(t);
}

bool finalizers_due(void) {
  pthread_mutex_lock(&world.lock);
  bool due = world.ready.count > 0;
  pthread_mutex_unlock(&world.lock);
  return due;
}

bool next_finalizer(value *what, value *action) {
  pthread_mutex_lock(&world.lock);
  bool any = world.ready.count > 0;
  if (any) {
    const finalizer *f = &world.ready.items[--world.ready.count];
    *what = f->object;
    *action = f->action;
  }
  pthread_mutex_unlock(&world.lock);
  return any;
}

/* All that are due are found before the first is brought back: the order of registration decides nothing. */
static void mark_due(void) {
  for (size_t i = 0; i < world.waiting.count; i++) {
    finalizer *f = &world.waiting.items[i];
    f->due = is_live(f->object) ? 0 : world.cycles;
  }
  for (size_t i = 0; i < world.waiting.count; i++)
    if (world.waiting.items[i].due != 0) mark(world.waiting.items[i].object);
}

static void move_due(void) {
  size_t kept = 0;
  for (size_t i = 0; i < world.waiting.count; i++) {
    finalizer f = world.waiting.items[i];
    if (f.due != 0)
      world.ready.items[world.ready.count++] = f;
    else
      world.waiting.items[kept++] = f;
  }
  world.waiting.count = kept;
}

/* ---- a cycle */

static void mark_symbol(symbol *s) { mark(s->global); }

static void mark_roots(void) {
  each_symbol(mark_symbol);
  for (thread *t = world.threads; t != NULL; t = t->next) {
    mark_range(t->stack, t->sp);
    const value others[] = {t->code, t->env, t->condition, t->self, t->no_memory};
    mark_range(others, others + sizeof others / sizeof *others);
  }
  for (size_t i = 0; i < world.ready.count; i++) {
    mark(world.ready.items[i].object);
    mark(world.ready.items[i].action);
  }
}

/* The world is stopped. If the mark stack cannot grow, all is as it was before. */
static bool cycle(void) {
  size_t live = world.live;
  scalloc_rt_cycle_begin(world.heap);
  marker = scalloc_rt_marker_of(world.heap, true);
  world.cycles++;
  world.live = grey.count = 0;
  grey.failed = false;
  weak_stores = NULL;
  mark_roots();
  settle();
  mark_due();
  settle();
  if (grey.failed) {
    scalloc_rt_cycle_abort(world.heap);
    world.live = live;
    return false;
  }
  clear_dead_keys();
  move_due();
  scalloc_rt_cycle_end(world.heap);
  return true;
}

/* As much as is alive may be allocated before the next cycle, by all threads together. A thread takes a share of it when it comes
   to its pressure hook, so those that allocate little leave theirs to the others. */
void pace(void) {
  int64_t threads = 1;
  for (thread *t = world.threads; t != NULL; t = t->next, threads++) t->mutator->budget = 0;
  world.left = world.live > FIRST_BUDGET ? (int64_t)world.live : FIRST_BUDGET;
  world.share = world.left / (4 * threads);
}

static void stop_others(thread *t) {
  world.stopping = true;
  for (thread *other = world.threads; other != NULL; other = other->next)
    if (other != t) __atomic_fetch_or(&other->mutator->poll, POLL_STOP, __ATOMIC_RELAXED);
  while (world.running > 1) pthread_cond_wait(&world.changed, &world.lock);
}

static void restart_others(void) {
  for (thread *t = world.threads; t != NULL; t = t->next)
    __atomic_fetch_and(&t->mutator->poll, ~(uint32_t)POLL_STOP, __ATOMIC_RELAXED);
  world.stopping = false;
  pthread_cond_broadcast(&world.changed);
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

bool collect(thread *t) {
  pthread_mutex_lock(&world.lock);
  bool done = true;
  if (world.stopping) {
    wait_for_restart(t); /* another thread does it */
  } else {
    double start = seconds();
    stop_others(t);
    done = cycle();
    pace();
    restart_others();
    double pause = seconds() - start;
    world.pause_sum += pause;
    if (pause > world.pause_max) world.pause_max = pause;
  }
  pthread_mutex_unlock(&world.lock);
  return done;
}

/* For the end of the program: whoever else is running stays at its next safe point. */
bool stop_for_good(thread *t) {
  pthread_mutex_lock(&world.lock);
  while (world.stopping) wait_for_restart(t);
  bool alone = world.threads->next == NULL;
  stop_others(t);
  pthread_mutex_unlock(&world.lock);
  return alone;
}
