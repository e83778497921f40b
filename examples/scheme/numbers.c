/*
 * numbers.c - fixnums and flonums. Whole results too large for a fixnum become flonums, which are blocks of bytes to the
 * collector: it marks them and never looks inside.
 */
#include "scheme.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

value new_flonum(thread *t, double number) {
  flonum *f = (flonum *)new_object(t, KIND_BYTES, T_FLONUM, 0, sizeof(double));
  f->number = number;
  return object_value(f);
}

static double need_number(thread *t, value v) {
  if (is_fixnum(v)) return (double)fixnum_of(v);
  need_type(t, v, T_FLONUM, "a number is wanted");
  return flonum_of(v)->number;
}

static value whole(thread *t, int64_t n) { return n >= FIXNUM_MIN && n <= FIXNUM_MAX ? fixnum(n) : new_flonum(t, (double)n); }

int64_t need_index(thread *t, value v, size_t limit) {
  if (!is_fixnum(v)) fail(t, "an index is wanted", v);
  if (fixnum_of(v) < 0 || (uint64_t)fixnum_of(v) >= limit) fail(t, "index out of range", v);
  return fixnum_of(v);
}

/* ---- arithmetic: one operation on two numbers, and the same over all arguments */

typedef value binary(thread *t, value a, value b);

static value add(thread *t, value a, value b) {
  if (is_fixnum(a) && is_fixnum(b)) return whole(t, fixnum_of(a) + fixnum_of(b));
  return new_flonum(t, need_number(t, a) + need_number(t, b));
}

static value subtract(thread *t, value a, value b) {
  if (is_fixnum(a) && is_fixnum(b)) return whole(t, fixnum_of(a) - fixnum_of(b));
  return new_flonum(t, need_number(t, a) - need_number(t, b));
}

static value multiply(thread *t, value a, value b) {
  int64_t product;
  if (is_fixnum(a) && is_fixnum(b) && !__builtin_mul_overflow(fixnum_of(a), fixnum_of(b), &product)) return whole(t, product);
  return new_flonum(t, need_number(t, a) * need_number(t, b));
}

static value divide(thread *t, value a, value b) {
  if (b == fixnum(0)) fail(t, "division by zero", a);
  if (is_fixnum(a) && is_fixnum(b) && fixnum_of(a) % fixnum_of(b) == 0) return whole(t, fixnum_of(a) / fixnum_of(b));
  return new_flonum(t, need_number(t, a) / need_number(t, b));
}

/* The intermediate result stays among the arguments, where it is a root. */
static value fold(thread *t, size_t count, value *args, binary *f) {
  for (size_t i = 1; i < count; i++) args[0] = f(t, args[0], args[i]);
  return args[0];
}

static value p_add(thread *t, size_t count, value *args) {
  if (count < 2) return count == 0 ? fixnum(0) : add(t, fixnum(0), args[0]);
  return fold(t, count, args, add);
}

static value p_multiply(thread *t, size_t count, value *args) {
  if (count < 2) return count == 0 ? fixnum(1) : multiply(t, fixnum(1), args[0]);
  return fold(t, count, args, multiply);
}

static value p_subtract(thread *t, size_t count, value *args) {
  return count == 1 ? subtract(t, fixnum(0), args[0]) : fold(t, count, args, subtract);
}

static value p_divide(thread *t, size_t count, value *args) {
  return count == 1 ? divide(t, fixnum(1), args[0]) : fold(t, count, args, divide);
}

static void need_divisible(thread *t, const value *args) {
  if (!is_fixnum(args[0])) fail(t, "an integer is wanted", args[0]);
  if (!is_fixnum(args[1])) fail(t, "an integer is wanted", args[1]);
  if (args[1] == fixnum(0)) fail(t, "division by zero", args[0]);
}

static value p_quotient(thread *t, size_t count, value *args) {
  (void)count;
  need_divisible(t, args);
  return whole(t, fixnum_of(args[0]) / fixnum_of(args[1]));
}

static value p_remainder(thread *t, size_t count, value *args) {
  (void)count;
  need_divisible(t, args);
  return fixnum(fixnum_of(args[0]) % fixnum_of(args[1]));
}

static value p_modulo(thread *t, size_t count, value *args) {
  (void)count;
  need_divisible(t, args);
  int64_t divisor = fixnum_of(args[1]), rest = fixnum_of(args[0]) % divisor;
  return fixnum(rest != 0 && (rest < 0) != (divisor < 0) ? rest + divisor : rest);
}

/* ---- comparison: a bit for each way in which two numbers can stand to each other */

enum { LESS = 1, EQUAL = 2, GREATER = 4 };

static value compare(thread *t, size_t count, const value *args, int wanted) {
  bool holds = true;
  for (size_t i = 0; i < count; i++) need_number(t, args[i]);
  for (size_t i = 1; i < count && holds; i++) {
    value a = args[i - 1], b = args[i];
    int order;
    if (is_fixnum(a) && is_fixnum(b)) {
      order = (int64_t)a < (int64_t)b ? LESS : a == b ? EQUAL : GREATER;
    } else {
      double x = need_number(t, a), y = need_number(t, b);
      order = x < y ? LESS : x > y ? GREATER : isnan(x) || isnan(y) ? 0 : EQUAL;
    }
    holds = (order & wanted) != 0;
  }
  return boolean(holds);
}

static value p_equal(thread *t, size_t count, value *args) { return compare(t, count, args, EQUAL); }
static value p_less(thread *t, size_t count, value *args) { return compare(t, count, args, LESS); }
static value p_greater(thread *t, size_t count, value *args) { return compare(t, count, args, GREATER); }
static value p_at_most(thread *t, size_t count, value *args) { return compare(t, count, args, LESS | EQUAL); }
static value p_at_least(thread *t, size_t count, value *args) { return compare(t, count, args, GREATER | EQUAL); }

/* ---- kinds of numbers, and numbers as text */

static value p_is_number(thread *t, size_t count, value *args) {
  (void)t, (void)count;
  return boolean(is_fixnum(args[0]) || has_type(args[0], T_FLONUM));
}

static value p_is_integer(thread *t, size_t count, value *args) {
  (void)t, (void)count;
  if (is_fixnum(args[0])) return TRUE;
  return boolean(has_type(args[0], T_FLONUM) && fmod(flonum_of(args[0])->number, 1) == 0);
}

static value p_floor(thread *t, size_t count, value *args) {
  (void)count;
  double d = floor(need_number(t, args[0]));
  return fabs(d) < 0x1p62 ? fixnum((int64_t)d) : args[0];
}

static value p_sqrt(thread *t, size_t count, value *args) {
  (void)count;
  return new_flonum(t, sqrt(need_number(t, args[0])));
}

static value p_inexact(thread *t, size_t count, value *args) {
  (void)count;
  return new_flonum(t, need_number(t, args[0]));
}

static value p_to_number(thread *t, size_t count, value *args) {
  (void)count;
  need_type(t, args[0], T_STRING, "a string is wanted");
  value number = number_from(t, string_of(args[0])->bytes, string_of(args[0])->length);
  return number == UNBOUND ? FALSE : number;
}

const primitive_entry number_primitives[] = {{"+", p_add, 0, ANY},
                                             {"-", p_subtract, 1, ANY},
                                             {"*", p_multiply, 0, ANY},
                                             {"/", p_divide, 1, ANY},
                                             {"quotient", p_quotient, 2, 2},
                                             {"remainder", p_remainder, 2, 2},
                                             {"modulo", p_modulo, 2, 2},
                                             {"=", p_equal, 1, ANY},
                                             {"<", p_less, 1, ANY},
                                             {">", p_greater, 1, ANY},
                                             {"<=", p_at_most, 1, ANY},
                                             {">=", p_at_least, 1, ANY},
                                             {"number?", p_is_number, 1, 1},
                                             {"integer?", p_is_integer, 1, 1},
                                             {"floor", p_floor, 1, 1},
                                             {"sqrt", p_sqrt, 1, 1},
                                             {"exact->inexact", p_inexact, 1, 1},
                                             {"string->number", p_to_number, 1, 1},
                                             {NULL, NULL, 0, 0}};
