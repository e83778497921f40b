/*
 * value.h - what a Scheme value is: one word, and the objects that words point to.
 *
 *   ...xxx1   fixnum, 63 bits
 *   ...0000   object with a header, 16-aligned
 *   ...0010   pair: two words without a header; its kind is known from its span
 *   ...0110   immediate: bits 4-7 say special (0) or character (1), the rest which one
 *
 * An object is a header, `count` values, and after them bytes that the collector does not look at. This one rule is all that
 * precise marking needs.
 */
#ifndef SCHEME_VALUE_H
#define SCHEME_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uintptr_t value;

enum { TAG_OBJECT = 0, TAG_PAIR = 2, TAG_IMMEDIATE = 6, TAG_MASK = 15 };

#define SPECIAL(n) ((value)(n) << 8 | TAG_IMMEDIATE)
#define NIL SPECIAL(0)
#define FALSE SPECIAL(1)
#define TRUE SPECIAL(2)
#define UNSPECIFIED SPECIAL(3)
#define END_OF_FILE SPECIAL(4)
#define UNBOUND SPECIAL(5) /* a variable without a value; an empty place of a table */
#define DELETED SPECIAL(6) /* a place of a table that was in use */

enum type {
  T_FLONUM,
  T_STRING,
  T_SYMBOL,
  T_VECTOR,
  T_FRAME,   /* variables of a call: parent frame, values */
  T_CODE,    /* see scheme.h */
  T_CLOSURE, /* code, frame */
  T_PRIMITIVE,
  T_CONDITION, /* message, list of irritants, file, line */
  T_TABLE,     /* store, #t if weak */
  T_STORE,     /* see tables.c */
  T_THREAD,    /* thunk, then result; #t once it is done; #t if it failed */
  T_MUTEX,
  T_EVENT
};

typedef struct {
  value car, cdr;
} pair;

typedef struct {
  uint64_t header; /* type in the low 8 bits, count of fields above */
  value field[];
} object;

typedef struct {
  uint64_t header;
  double number;
} flonum;

typedef struct {
  uint64_t header;
  size_t length;
  char bytes[]; /* and a 0 that is not counted */
} string;

/* Symbols are never freed, so C may hold them anywhere; the list of all of them is how global variables are found. */
typedef struct symbol {
  uint64_t header;
  value global;
  struct symbol *next; /* in its chain of the symbol table */
  size_t length;
  char name[];
} symbol;

static inline bool is_fixnum(value v) { return v & 1; }
static inline value fixnum(int64_t n) { return (value)n << 1 | 1; }
static inline int64_t fixnum_of(value v) { return (int64_t)v >> 1; }
#define FIXNUM_MAX (INT64_MAX >> 1)
#define FIXNUM_MIN (INT64_MIN >> 1)

static inline value boolean(bool b) { return b ? TRUE : FALSE; }
static inline bool is_char(value v) { return (v & 0xff) == (0x10 | TAG_IMMEDIATE); }
static inline value character(unsigned code) { return (value)code << 8 | 0x10 | TAG_IMMEDIATE; }
static inline unsigned char_of(value v) { return (unsigned)(v >> 8); }

/* Pairs and objects have bits 0 and 2 clear. */
static inline bool is_pointer(value v) { return (v & 5) == 0; }
static inline void *address_of(value v) { return (void *)(v & ~(value)TAG_MASK); }

static inline bool is_pair(value v) { return (v & TAG_MASK) == TAG_PAIR; }
static inline value pair_value(pair *p) { return (value)p | TAG_PAIR; }
static inline pair *pair_of(value v) { return (pair *)(v - TAG_PAIR); }
static inline value car(value v) { return pair_of(v)->car; }
static inline value cdr(value v) { return pair_of(v)->cdr; }

static inline bool is_object(value v) { return (v & TAG_MASK) == TAG_OBJECT; }
static inline value object_value(const void *o) { return (value)o; }
static inline object *object_of(value v) { return (object *)v; }
static inline uint64_t header_of(enum type type, size_t count) { return (uint64_t)count << 8 | (uint64_t)type; }
static inline size_t count_of(const object *o) { return (size_t)(o->header >> 8); }
static inline bool has_type(value v, enum type type) { return is_object(v) && (object_of(v)->header & 0xff) == (uint64_t)type; }
static inline value *fields_of(value v) { return object_of(v)->field; }

static inline flonum *flonum_of(value v) { return (flonum *)v; }
static inline uint64_t flonum_bits(value v) {
  uint64_t bits;
  memcpy(&bits, &flonum_of(v)->number, sizeof bits);
  return bits;
}
static inline string *string_of(value v) { return (string *)v; }
static inline symbol *symbol_of(value v) { return (symbol *)v; }

#endif
