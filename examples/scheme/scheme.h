/* scheme.h - what the files of the interpreter offer each other; each section names its file. */
#ifndef SCHEME_SCHEME_H
#define SCHEME_SCHEME_H

#include "memory.h"

/* ---- reader.c: text to values */
typedef struct {
  const char *at, *end;
  const char *datum; /* where the last one began */
  const char *name;  /* of the file */
  unsigned line;
  bool incomplete; /* the last error was the end of the text inside a datum */
} source;

/* Reads one datum and pushes it, or END_OF_FILE. t->sp[-1] before: a weak table that gets the line of every list. */
void read_datum(thread *t, source *s);
value intern(thread *t, const char *name, size_t length);
value number_from(thread *t, const char *text, size_t length); /* UNBOUND: not a number */
void each_symbol(void (*visit)(symbol *));

/* ---- compile.c and forms.c: values to code. A code object has these fields, then instructions; operands follow their operator. */
enum { CODE_NAME, CODE_FILE, CODE_PARAMETERS, CODE_REST, CODE_SLOTS, CODE_START };

enum opcode {
  OP_CONST,      /* value: push it */
  OP_LOCAL,      /* index: push a variable of the innermost frame */
  OP_OUTER,      /* depth, index: of a frame further out */
  OP_CHECKED,    /* depth, index, line: likewise, but it may have no value yet */
  OP_GLOBAL,     /* symbol, line */
  OP_SET,        /* depth, index: pop into a variable */
  OP_SET_GLOBAL, /* symbol, line */
  OP_DEFINE,     /* symbol: pop into it */
  OP_JUMP,       /* to */
  OP_LOOP,       /* to, backwards: with a safe point */
  OP_JUMP_FALSE, /* to: pop */
  OP_AND,        /* to: jump if the top is false, else pop it */
  OP_OR,         /* to: jump if the top is true, else pop it */
  OP_CASE,       /* list, to: jump unless the top is in the list */
  OP_CLOSURE,    /* code: push a closure over the frame */
  OP_ENTER,      /* count, slots: pop values into a new frame */
  OP_LEAVE,      /* back to the frame around */
  OP_CALL,       /* count, line: procedure and arguments are on the stack */
  OP_TAIL_CALL,  /* count, line */
  OP_RETURN,
  OP_POP,
  OP_HANDLE, /* to: the top is a handler from here on */
  OP_UNHANDLE
};

/* The top of the stack is name of the file or #f, table of lines or #f, datum; pushes a procedure without parameters that does
   what the datum says. */
void compile(thread *t);
void compile_init(thread *t);

/* ---- run.c: code to results */
value run(thread *t, value thunk); /* errors without a handler go to t->escape */
bool is_procedure(value v);

/* ---- primitives: arguments lie on the stack, so they are roots */
typedef value primitive_function(thread *t, size_t count, value *args);

typedef struct {
  uint64_t header;
  value name;
  primitive_function *function;
  size_t least, most;
} primitive;

enum { ANY = 255 }; /* as `most`: any number of arguments */

typedef struct {
  const char *name;
  primitive_function *function;
  size_t least, most;
} primitive_entry;

extern const primitive_entry number_primitives[], list_primitives[], text_primitives[], table_primitives[], system_primitives[],
    thread_primitives[];
primitive_function apply_primitive; /* run.c knows it by its address */

/* Checks of arguments, for which `fail` tells what was wanted. */
int64_t need_index(thread *t, value v, size_t limit); /* 0 <= v < limit */
void need_type(thread *t, value v, enum type type, const char *what);
void need_pair(thread *t, value v);

/* ---- tables.c: a store has its number of entries, that of places in use or deleted, the collector's link, then keys and values. */
enum { STORE_COUNT, STORE_USED, STORE_LINK, STORE_START };
value make_table(thread *t, bool weak);
value table_get(value table, value key, value otherwise);
void table_put(thread *t, value *table_key_value); /* three places of the stack */

/* ---- the rest */
value new_string(thread *t, const char *bytes,
                 size_t length); /* bytes: NULL, or outside of the heap, or of a string on the stack */
value new_flonum(thread *t, double number);
bool same(value a, value b); /* eqv? */
enum { CONDITION_MESSAGE, CONDITION_IRRITANTS, CONDITION_FILE, CONDITION_LINE, CONDITION_FIELDS };
value new_condition(thread *t);
value new_memory_condition(thread *t);
void print(FILE *out, value v, bool readable, unsigned depth); /* printer.c */
extern const char prelude[];                                   /* prelude.scm */
value option(const char *name);                                /* main.c: UNBOUND if the command line does not say */
_Noreturn void leave(thread *t, int status);

#endif
