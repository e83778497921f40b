/* compile.h - between compile.c, which makes code, and forms.c, which knows what each special form becomes. */
#ifndef SCHEME_COMPILE_H
#define SCHEME_COMPILE_H

#include "scheme.h"

typedef struct scope {
  struct scope *up;
  size_t base, count; /* names: stack[base] and following */
  size_t unset;       /* from here on they are definitions, which may be used too early */
} scope;

typedef struct {
  thread *t;
  scope *scope;
  size_t buffer, length; /* stack[buffer]: a code object with room; instructions so far */
  size_t lines;          /* stack[lines]: table of lines, or #f; below it, the name of the file */
  unsigned line, depth;
} compiler;

/* Code that pushes the value of x, and returns it if `tail`. */
typedef void form(compiler *c, value x, bool tail);
form expression, sequence;
form *form_named(value head); /* forms.c; NULL: none */

_Noreturn void compile_error(compiler *c, const char *message, value irritant);
void deeper(compiler *c); /* before each recursion in C that the program's text decides; c->depth-- after it */

void emit(compiler *c, value v);
void emit_number(compiler *c, size_t n);
void emit1(compiler *c, enum opcode op, value operand);
void emit2(compiler *c, enum opcode op, size_t first, size_t second);
void constant(compiler *c, value v);
void finish(compiler *c, bool tail);
size_t jump(compiler *c, enum opcode op); /* to a place that is not known yet */
void land(compiler *c, size_t at);        /* it is here */

void open_scope(compiler *c, scope *s);
void add_name(compiler *c, value name);
void add_definitions(compiler *c, value body);
void close_scope(compiler *c);
void assign(compiler *c, value name, bool define);
void global(compiler *c, value name);
/* Code that pushes a closure. `bindings`: the parameters are the first ones of ((name value) ...). */
void closure(compiler *c, value name, value parameters, value body, bool bindings);

/* Shapes of forms */
size_t length_of(compiler *c, value list);
void need_length(compiler *c, value x, size_t least, size_t most);
value need_name(compiler *c, value x);
value defined_name(compiler *c, value x); /* that (define name ...) or (define (name ...) ...) defines */
bool is_form(value x, const char *name);
static inline value second(value x) { return car(cdr(x)); }
static inline value third(value x) { return car(cdr(cdr(x))); }
static inline value rest2(value x) { return cdr(cdr(x)); }

#endif
