/* system.c - primitives on errors, code, time and the heap. */
#include "scheme.h"
#include <string.h>
#include <time.h>

/* ---- errors: any value can be raised; `error` and the machine raise conditions */

value new_condition(thread *t) {
  object *o = new_object(t, KIND_FIELDS, T_CONDITION, CONDITION_FIELDS, 0);
  for (int i = 0; i < CONDITION_FIELDS; i++) o->field[i] = FALSE;
  return object_value(o);
}

/* Made beforehand for each thread: when it is needed, there is no memory for it. */
value new_memory_condition(thread *t) {
  push(t, new_string(t, "out of memory", strlen("out of memory")));
  object *o = object_of(new_condition(t));
  o->field[CONDITION_MESSAGE] = pop(t);
  o->field[CONDITION_IRRITANTS] = NIL;
  return object_value(o);
}

static value p_error(thread *t, size_t count, value *args) {
  value message = args[0];
  push(t, NIL);
  while (count-- > 1) cons_top(t);
  push(t, message); /* args[0] is below the list still */
  fail_top(t);
}

static value p_raise(thread *t, size_t count, value *args) {
  (void)count;
  fail_with(t, args[0]);
}

/* (condition-part condition n) */
static value p_condition_part(thread *t, size_t count, value *args) {
  (void)count;
  need_type(t, args[0], T_CONDITION, "a condition is wanted");
  return fields_of(args[0])[need_index(t, args[1], CONDITION_FIELDS)];
}

static value p_is_condition(thread *t, size_t count, value *args) {
  (void)t, (void)count;
  return boolean(has_type(args[0], T_CONDITION));
}

/* ---- code */

/* A datum becomes a procedure without parameters, which is compiled code that belongs to no file. */
static value p_compile(thread *t, size_t count, value *args) {
  (void)count;
  push(t, FALSE);
  push(t, FALSE);
  push(t, args[0]);
  compile(t);
  return pop(t);
}

static value p_is_procedure(thread *t, size_t count, value *args) {
  (void)t, (void)count;
  return boolean(is_procedure(args[0]));
}

/* What --define=NAME=NUMBER says, or else the default. */
static value p_option(thread *t, size_t count, value *args) {
  (void)count;
  need_type(t, args[0], T_SYMBOL, "a symbol is wanted");
  value v = option(symbol_of(args[0])->name);
  return v == UNBOUND ? args[1] : v;
}

static value p_exit(thread *t, size_t count, value *args) { leave(t, count == 0 ? 0 : (int)need_index(t, args[0], 256)); }

/* ---- time */

static value p_seconds(thread *t, size_t count, value *args) {
  (void)count, (void)args;
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return new_flonum(t, (double)now.tv_sec + (double)now.tv_nsec * 1e-9);
}

static value p_sleep(thread *t, size_t count, value *args) {
  (void)count;
  int64_t ms = need_index(t, args[0], 1 << 30);
  struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
  park(t);
  nanosleep(&time, NULL);
  unpark(t);
  return UNSPECIFIED;
}

/* ---- the heap */

static value p_gc(thread *t, size_t count, value *args) {
  (void)count, (void)args;
  if (!collect(t)) fail(t, "gc: no memory to mark with", UNBOUND);
  return_memory(t);
  return UNSPECIFIED;
}

static value p_collections(thread *t, size_t count, value *args) {
  (void)t, (void)count, (void)args;
  return fixnum((int64_t)world.cycles);
}

static value p_live_bytes(thread *t, size_t count, value *args) {
  (void)t, (void)count, (void)args;
  return fixnum((int64_t)world.live);
}

static value p_natives_released(thread *t, size_t count, value *args) {
  (void)t, (void)count, (void)args;
  return fixnum((int64_t)atomic_load(&world.released));
}

/* (finalize object procedure): the procedure is called once with the object after nothing else has reached it, by
   (run-finalizers), which also the main program calls after each of its forms. */
static value p_finalize(thread *t, size_t count, value *args) {
  (void)count;
  if (!is_procedure(args[1])) fail(t, "finalize: not a procedure", args[1]);
  if (!is_pointer(args[0]) || has_type(args[0], T_SYMBOL)) fail(t, "finalize: not an object that can die", args[0]);
  finalize(t, args[0], args[1]);
  return UNSPECIFIED;
}

/* (object . procedure), or #f if no finalizer is due. */
static value p_next_finalizer(thread *t, size_t count, value *args) {
  (void)count, (void)args;
  value what, action;
  if (!next_finalizer(&what, &action)) return FALSE;
  push(t, what);
  push(t, action);
  cons_top(t);
  return pop(t);
}

const primitive_entry system_primitives[] = {{"error", p_error, 1, ANY},
                                             {"raise", p_raise, 1, 1},
                                             {"condition?", p_is_condition, 1, 1},
                                             {"condition-part", p_condition_part, 2, 2},
                                             {"apply", apply_primitive, 2, ANY},
                                             {"compile", p_compile, 1, 1},
                                             {"procedure?", p_is_procedure, 1, 1},
                                             {"option", p_option, 2, 2},
                                             {"exit", p_exit, 0, 1},
                                             {"seconds", p_seconds, 0, 0},
                                             {"sleep", p_sleep, 1, 1},
                                             {"gc", p_gc, 0, 0},
                                             {"collections", p_collections, 0, 0},
                                             {"live-bytes", p_live_bytes, 0, 0},
                                             {"natives-released", p_natives_released, 0, 0},
                                             {"finalize", p_finalize, 2, 2},
                                             {"next-finalizer", p_next_finalizer, 0, 0},
                                             {NULL, NULL, 0, 0}};
