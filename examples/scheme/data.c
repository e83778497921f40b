/* data.c - primitives on pairs, lists and vectors. */
#include "scheme.h"
#include <string.h>

enum { MOST_FIELDS = 1 << 27 };

void need_type(thread *t, value v, enum type type, const char *what) {
  if (!has_type(v, type)) fail(t, what, v);
}

void need_pair(thread *t, value v) {
  if (!is_pair(v)) fail(t, "a pair is wanted", v);
}

bool same(value a, value b) {
  if (a == b) return true;
  return has_type(a, T_FLONUM) && has_type(b, T_FLONUM) && flonum_bits(a) == flonum_bits(b);
}

/* ---- pairs and lists */

static value p_cons(thread *t, size_t count, value *args) {
  (void)count;
  pair *p = new_pair(t);
  *p = (pair){args[0], args[1]};
  return pair_value(p);
}

static value p_car(thread *t, size_t count, value *args) {
  (void)count;
  need_pair(t, args[0]);
  return car(args[0]);
}

static value p_cdr(thread *t, size_t count, value *args) {
  (void)count;
  need_pair(t, args[0]);
  return cdr(args[0]);
}

static value p_set_car(thread *t, size_t count, value *args) {
  (void)count;
  need_pair(t, args[0]);
  pair_of(args[0])->car = args[1];
  return UNSPECIFIED;
}

static value p_set_cdr(thread *t, size_t count, value *args) {
  (void)count;
  need_pair(t, args[0]);
  pair_of(args[0])->cdr = args[1];
  return UNSPECIFIED;
}

static value p_list(thread *t, size_t count, value *args) {
  (void)args; /* they are the top of the stack */
  push(t, NIL);
  while (count-- > 0) cons_top(t);
  return pop(t);
}

/* The second pointer goes half as fast: in a ring they meet. */
static value p_length(thread *t, size_t count, value *args) {
  (void)count;
  int64_t length = 0;
  value list = args[0], slow = list;
  while (is_pair(list)) {
    list = cdr(list);
    if (length++ & 1) slow = cdr(slow);
    if (list == slow) break;
  }
  if (list != NIL) fail(t, "a list with an end is wanted", UNBOUND);
  return fixnum(length);
}

static value p_reverse(thread *t, size_t count, value *args) {
  p_length(t, count, args);
  push(t, NIL);
  for (value list = args[0]; list != NIL; list = cdr(list)) {
    value reversed = t->sp[-1];
    t->sp[-1] = car(list);
    push(t, reversed);
    cons_top(t);
  }
  return pop(t);
}

static value p_is_pair(thread *t, size_t count, value *args) {
  (void)t, (void)count;
  return boolean(is_pair(args[0]));
}

static value p_is_same(thread *t, size_t count, value *args) {
  (void)t, (void)count;
  return boolean(args[0] == args[1]);
}

static value p_is_equivalent(thread *t, size_t count, value *args) {
  (void)t, (void)count;
  return boolean(same(args[0], args[1]));
}

/* ---- vectors */

static value p_make_vector(thread *t, size_t count, value *args) {
  size_t length = (size_t)need_index(t, args[0], MOST_FIELDS);
  object *o = new_object(t, KIND_FIELDS, T_VECTOR, length, 0);
  for (size_t i = 0; i < length; i++) o->field[i] = count == 2 ? args[1] : fixnum(0);
  return object_value(o);
}

static value p_vector(thread *t, size_t count, value *args) {
  object *o = new_object(t, KIND_FIELDS, T_VECTOR, count, 0);
  memcpy(o->field, args, count * sizeof(value));
  return object_value(o);
}

static value *need_field(thread *t, const value *args) {
  need_type(t, args[0], T_VECTOR, "a vector is wanted");
  return fields_of(args[0]) + need_index(t, args[1], count_of(object_of(args[0])));
}

static value p_vector_ref(thread *t, size_t count, value *args) {
  (void)count;
  return *need_field(t, args);
}

static value p_vector_set(thread *t, size_t count, value *args) {
  (void)count;
  *need_field(t, args) = args[2];
  return UNSPECIFIED;
}

static value p_vector_length(thread *t, size_t count, value *args) {
  (void)count;
  need_type(t, args[0], T_VECTOR, "a vector is wanted");
  return fixnum((int64_t)count_of(object_of(args[0])));
}

static value p_is_vector(thread *t, size_t count, value *args) {
  (void)t, (void)count;
  return boolean(has_type(args[0], T_VECTOR));
}

const primitive_entry list_primitives[] = {{"cons", p_cons, 2, 2},
                                           {"car", p_car, 1, 1},
                                           {"cdr", p_cdr, 1, 1},
                                           {"set-car!", p_set_car, 2, 2},
                                           {"set-cdr!", p_set_cdr, 2, 2},
                                           {"list", p_list, 0, ANY},
                                           {"length", p_length, 1, 1},
                                           {"reverse", p_reverse, 1, 1},
                                           {"pair?", p_is_pair, 1, 1},
                                           {"eq?", p_is_same, 2, 2},
                                           {"eqv?", p_is_equivalent, 2, 2},
                                           {"make-vector", p_make_vector, 1, 2},
                                           {"vector", p_vector, 0, ANY},
                                           {"vector-ref", p_vector_ref, 2, 2},
                                           {"vector-set!", p_vector_set, 3, 3},
                                           {"vector-length", p_vector_length, 1, 1},
                                           {"vector?", p_is_vector, 1, 1},
                                           {NULL, NULL, 0, 0}};
