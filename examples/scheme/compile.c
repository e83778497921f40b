/*
 * compile.c - data to code, in one pass.
 *
 * Variables live in frames on the heap: one for each call, `let` and round of `do`. A scope is what the compiler knows of a
 * frame; a variable is found by how many frames out it is and by its number there. Names of scopes and the code that is being
 * made lie on the thread's stack; C holds only pointers into the datum, which is there as well, and symbols.
 */
#include "compile.h"
#include <string.h>

enum { DEEPEST = 1000, FIRST_LENGTH = 32 };

void deeper(compiler *c) {
  if (++c->depth > DEEPEST) compile_error(c, "nested too deeply", UNBOUND);
}

_Noreturn void compile_error(compiler *c, const char *message, value irritant) {
  c->t->line = c->line;
  c->t->code = UNSPECIFIED;
  fail(c->t, message, irritant);
}

/* ---- the code object */

static void new_buffer(compiler *c, size_t room) {
  object *code = new_object(c->t, KIND_FIELDS, T_CODE, CODE_START + room, 0);
  for (size_t i = 0; i < CODE_START + room; i++) code->field[i] = fixnum(0);
  push(c->t, object_value(code));
}

/* `v` is a constant of the datum, a symbol, a number, or on the stack. */
void emit(compiler *c, value v) {
  thread *t = c->t;
  object *code = object_of(t->stack[c->buffer]);
  if (CODE_START + c->length == count_of(code)) {
    new_buffer(c, 2 * c->length);
    memcpy(fields_of(t->sp[-1]), code->field, count_of(code) * sizeof(value));
    t->stack[c->buffer] = pop(t);
    code = object_of(t->stack[c->buffer]);
  }
  code->field[CODE_START + c->length++] = v;
}

void emit_number(compiler *c, size_t n) { emit(c, fixnum((int64_t)n)); }

void emit1(compiler *c, enum opcode op, value operand) {
  emit_number(c, op);
  emit(c, operand);
}

void emit2(compiler *c, enum opcode op, size_t first, size_t second) {
  emit_number(c, op);
  emit_number(c, first);
  emit_number(c, second);
}

void constant(compiler *c, value v) { emit1(c, OP_CONST, v); }

void finish(compiler *c, bool tail) {
  if (tail) emit_number(c, OP_RETURN);
}

size_t jump(compiler *c, enum opcode op) {
  emit1(c, op, fixnum(0));
  return c->length - 1;
}

void land(compiler *c, size_t at) { fields_of(c->t->stack[c->buffer])[CODE_START + at] = fixnum((int64_t)c->length); }

/* ---- shapes of forms */

size_t length_of(compiler *c, value list) {
  size_t n = 0;
  for (; is_pair(list); list = cdr(list)) n++;
  if (list != NIL) compile_error(c, "a form is not a proper list", UNBOUND);
  return n;
}

void need_length(compiler *c, value x, size_t least, size_t most) {
  size_t n = length_of(c, x);
  if (n < least || n > most) compile_error(c, "malformed", car(x));
}

value need_name(compiler *c, value x) {
  if (!has_type(x, T_SYMBOL)) compile_error(c, "not a name", x);
  return x;
}

bool is_form(value x, const char *name) {
  return is_pair(x) && has_type(car(x), T_SYMBOL) && strcmp(symbol_of(car(x))->name, name) == 0;
}

value defined_name(compiler *c, value x) {
  if (!is_pair(cdr(x))) compile_error(c, "malformed", car(x));
  return need_name(c, is_pair(second(x)) ? car(second(x)) : second(x));
}

/* ---- scopes */

void open_scope(compiler *c, scope *s) {
  *s = (scope){.up = c->scope, .base = (size_t)(c->t->sp - c->t->stack)};
  c->scope = s;
}

void add_name(compiler *c, value name) {
  push(c->t, need_name(c, name));
  c->scope->unset = ++c->scope->count;
}

void close_scope(compiler *c) {
  c->t->sp = c->t->stack + c->scope->base;
  c->scope = c->scope->up;
}

/* Definitions at the beginning of a body or anywhere among its forms are variables of its frame. */
void add_definitions(compiler *c, value body) {
  size_t unset = c->scope->unset;
  for (; is_pair(body); body = cdr(body)) {
    if (is_form(car(body), "define")) add_name(c, defined_name(c, car(body)));
    if (!is_form(car(body), "begin")) continue;
    deeper(c);
    add_definitions(c, cdr(car(body)));
    c->depth--;
  }
  c->scope->unset = unset;
}

/* True if `name` is a variable of a frame: which one, where, and if it may be without a value. */
static bool resolve(const compiler *c, value name, size_t *depth, size_t *index, bool *unset) {
  *depth = 0;
  for (const scope *s = c->scope; s != NULL; s = s->up, ++*depth) {
    for (size_t i = s->count; i-- > 0;) {
      *index = i;
      *unset = i >= s->unset;
      if (c->t->stack[s->base + i] == name) return true;
    }
  }
  return false;
}

void global(compiler *c, value name) {
  emit1(c, OP_GLOBAL, name);
  emit_number(c, c->line);
}

static void variable(compiler *c, value name) {
  size_t depth, index;
  bool unset;
  if (!resolve(c, name, &depth, &index, &unset)) {
    global(c, name);
  } else if (unset) {
    emit2(c, OP_CHECKED, depth, index);
    emit_number(c, c->line);
  } else if (depth == 0) {
    emit1(c, OP_LOCAL, fixnum((int64_t)index));
  } else {
    emit2(c, OP_OUTER, depth, index);
  }
}

void assign(compiler *c, value name, bool define) {
  size_t depth, index;
  bool unset;
  if (resolve(c, name, &depth, &index, &unset) && !(define && c->scope == NULL)) {
    if (define && depth != 0) compile_error(c, "define is not at the level of a body", name);
    emit2(c, OP_SET, depth, index);
  } else if (!define) {
    emit1(c, OP_SET_GLOBAL, name);
    emit_number(c, c->line);
  } else if (c->scope == NULL) {
    emit1(c, OP_DEFINE, name);
  } else {
    compile_error(c, "define is not at the level of a body", name);
  }
}

/* ---- procedures */

void sequence(compiler *c, value body, bool tail) {
  if (body == NIL) {
    constant(c, UNSPECIFIED);
    finish(c, tail);
    return;
  }
  for (length_of(c, body); cdr(body) != NIL; body = cdr(body)) {
    expression(c, car(body), false);
    emit_number(c, OP_POP);
  }
  expression(c, car(body), tail);
}

/* Pushes the code of a procedure that is complete in the buffer. */
static void make_code(compiler *c, value name, size_t parameters, bool rest, size_t slots) {
  thread *t = c->t;
  size_t count = CODE_START + c->length;
  object *code = new_object(t, KIND_FIELDS, T_CODE, count, 0);
  memcpy(code->field, fields_of(t->stack[c->buffer]), count * sizeof(value));
  code->field[CODE_NAME] = name;
  code->field[CODE_FILE] = t->stack[c->lines - 1];
  code->field[CODE_PARAMETERS] = fixnum((int64_t)parameters);
  code->field[CODE_REST] = boolean(rest);
  code->field[CODE_SLOTS] = fixnum((int64_t)slots);
  t->stack[c->buffer] = object_value(code);
}

void closure(compiler *c, value name, value parameters, value body, bool bindings) {
  thread *t = c->t;
  compiler inner = {.t = t, .scope = c->scope, .lines = c->lines, .line = c->line, .depth = c->depth};
  inner.buffer = (size_t)(t->sp - t->stack);
  new_buffer(&inner, FIRST_LENGTH);
  scope s;
  open_scope(&inner, &s);
  for (; is_pair(parameters); parameters = cdr(parameters))
    add_name(&inner, bindings && is_pair(car(parameters)) ? car(car(parameters)) : car(parameters));
  size_t count = s.count;
  bool rest = parameters != NIL;
  if (rest) add_name(&inner, parameters);
  add_definitions(&inner, body);
  sequence(&inner, body, true);
  size_t slots = s.count;
  close_scope(&inner);
  make_code(&inner, name, count, rest, slots);
  emit1(c, OP_CLOSURE, t->sp[-1]);
  pop(t);
}

static void application(compiler *c, value x, bool tail) {
  size_t count = length_of(c, x) - 1;
  unsigned line = c->line;
  for (; is_pair(x); x = cdr(x)) expression(c, car(x), false);
  emit2(c, tail ? OP_TAIL_CALL : OP_CALL, count, line);
}

static form *form_of(const compiler *c, value head) {
  size_t depth, index;
  bool unset;
  form *f = has_type(head, T_SYMBOL) && !resolve(c, head, &depth, &index, &unset) ? form_named(head) : NULL;
  return f == NULL ? application : f;
}

void expression(compiler *c, value x, bool tail) {
  unsigned line = c->line;
  deeper(c);
  if (is_pair(x)) {
    value lines = c->t->stack[c->lines];
    if (lines != FALSE) c->line = (unsigned)fixnum_of(table_get(lines, x, fixnum(line)));
    form_of(c, car(x))(c, x, tail);
  } else {
    if (has_type(x, T_SYMBOL))
      variable(c, x);
    else
      constant(c, x);
    finish(c, tail);
  }
  c->depth--;
  c->line = line;
}

/* The stack: file, lines, datum; a procedure is pushed. */
void compile(thread *t) {
  size_t top = (size_t)(t->sp - t->stack);
  compiler c = {.t = t, .buffer = top, .lines = top - 2, .line = t->line};
  new_buffer(&c, FIRST_LENGTH);
  expression(&c, t->stack[top - 1], true);
  make_code(&c, FALSE, 0, false, 0);
  object *o = new_object(t, KIND_FIELDS, T_CLOSURE, 2, 0);
  o->field[0] = t->sp[-1];
  o->field[1] = FALSE;
  t->sp[-1] = object_value(o);
}
