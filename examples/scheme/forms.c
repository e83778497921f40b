/*
 * forms.c - the special forms. x is the whole form, a list whose head is its name; the rest is still to be checked.
 *
 * Each leaves one value on the stack. With `tail` it returns that value, and the last call in it replaces the one that runs.
 */
#include "compile.h"
#include <string.h>

static void form_quote(compiler *c, value x, bool tail) {
  need_length(c, x, 2, 2);
  constant(c, second(x));
  finish(c, tail);
}

/* One way or the other; both end in the same place. */
static void form_if(compiler *c, value x, bool tail) {
  need_length(c, x, 3, 4);
  expression(c, second(x), false);
  size_t otherwise = jump(c, OP_JUMP_FALSE), end = 0;
  expression(c, third(x), tail);
  if (!tail) end = jump(c, OP_JUMP);
  land(c, otherwise);
  sequence(c, cdr(rest2(x)), tail);
  if (!tail) land(c, end);
}

/* A test is on the stack: one body or the other. */
static void either(compiler *c, value first, value second, bool tail) {
  size_t otherwise = jump(c, OP_JUMP_FALSE), end = 0;
  sequence(c, first, tail);
  if (!tail) end = jump(c, OP_JUMP);
  land(c, otherwise);
  sequence(c, second, tail);
  if (!tail) land(c, end);
}

static void form_when(compiler *c, value x, bool tail) {
  need_length(c, x, 2, SIZE_MAX);
  expression(c, second(x), false);
  bool when = is_form(x, "when");
  either(c, when ? rest2(x) : NIL, when ? NIL : rest2(x), tail);
}

static void form_begin(compiler *c, value x, bool tail) { sequence(c, cdr(x), tail); }

static void form_lambda(compiler *c, value x, bool tail) {
  need_length(c, x, 3, SIZE_MAX);
  closure(c, FALSE, second(x), rest2(x), false);
  finish(c, tail);
}

static void form_define(compiler *c, value x, bool tail) {
  value name = defined_name(c, x);
  if (is_pair(second(x))) {
    need_length(c, x, 3, SIZE_MAX);
    closure(c, name, cdr(second(x)), rest2(x), false);
  } else {
    need_length(c, x, 3, 3);
    if (is_form(third(x), "lambda") && is_pair(cdr(third(x))))
      closure(c, name, second(third(x)), rest2(third(x)), false);
    else
      expression(c, third(x), false);
  }
  assign(c, name, true);
  constant(c, UNSPECIFIED);
  finish(c, tail);
}

static void form_set(compiler *c, value x, bool tail) {
  need_length(c, x, 3, 3);
  expression(c, third(x), false);
  assign(c, need_name(c, second(x)), false);
  constant(c, UNSPECIFIED);
  finish(c, tail);
}

/* The frame around a body: `count` values are on the stack, the names of the scope are known. */
static void enter_body(compiler *c, size_t count, value body, bool tail) {
  add_definitions(c, body);
  emit2(c, OP_ENTER, count, c->scope->count);
  sequence(c, body, tail);
  if (!tail) emit_number(c, OP_LEAVE);
  close_scope(c);
}

static void binding_value(compiler *c, value binding) {
  if (!is_pair(binding) || length_of(c, binding) < 2) compile_error(c, "a binding is not (name value)", binding);
  expression(c, second(binding), false);
}

static void form_named_let(compiler *c, value x, bool tail) {
  need_length(c, x, 4, SIZE_MAX);
  value name = second(x), bindings = third(x);
  size_t count = length_of(c, bindings);
  unsigned line = c->line;
  scope s;
  open_scope(c, &s);
  add_name(c, name);
  emit2(c, OP_ENTER, 0, 1);
  closure(c, name, bindings, cdr(rest2(x)), true);
  emit2(c, OP_SET, 0, 0);
  emit1(c, OP_LOCAL, fixnum(0));
  c->t->stack[s.base] = FALSE; /* the first values do not see the name */
  for (; bindings != NIL; bindings = cdr(bindings)) binding_value(c, car(bindings));
  emit2(c, tail ? OP_TAIL_CALL : OP_CALL, count, line);
  if (!tail) emit_number(c, OP_LEAVE);
  close_scope(c);
}

static void form_let(compiler *c, value x, bool tail) {
  need_length(c, x, 3, SIZE_MAX);
  if (has_type(second(x), T_SYMBOL)) {
    form_named_let(c, x, tail);
    return;
  }
  size_t count = length_of(c, second(x));
  for (value b = second(x); b != NIL; b = cdr(b)) binding_value(c, car(b));
  scope s;
  open_scope(c, &s);
  for (value b = second(x); b != NIL; b = cdr(b)) add_name(c, car(car(b)));
  enter_body(c, count, rest2(x), tail);
}

static void let_star(compiler *c, value bindings, value body, bool tail) {
  scope s;
  bool last = bindings == NIL || cdr(bindings) == NIL;
  if (bindings != NIL) binding_value(c, car(bindings));
  open_scope(c, &s);
  if (bindings != NIL) add_name(c, car(car(bindings)));
  size_t count = s.count;
  if (last) {
    enter_body(c, count, body, tail);
    return;
  }
  emit2(c, OP_ENTER, count, count);
  deeper(c);
  let_star(c, cdr(bindings), body, tail);
  c->depth--;
  if (!tail) emit_number(c, OP_LEAVE);
  close_scope(c);
}

static void form_let_star(compiler *c, value x, bool tail) {
  need_length(c, x, 3, SIZE_MAX);
  length_of(c, second(x));
  let_star(c, second(x), rest2(x), tail);
}

static void form_letrec(compiler *c, value x, bool tail) {
  need_length(c, x, 3, SIZE_MAX);
  length_of(c, second(x));
  scope s;
  open_scope(c, &s);
  for (value b = second(x); b != NIL; b = cdr(b)) add_name(c, is_pair(car(b)) ? car(car(b)) : car(b));
  add_definitions(c, rest2(x));
  s.unset = 0;
  emit2(c, OP_ENTER, 0, s.count);
  size_t index = 0;
  for (value b = second(x); b != NIL; b = cdr(b)) {
    binding_value(c, car(b));
    emit2(c, OP_SET, 0, index++);
  }
  sequence(c, rest2(x), tail);
  if (!tail) emit_number(c, OP_LEAVE);
  close_scope(c);
}

/* Every round has a frame of its own, since closures may keep it. */
static void form_do(compiler *c, value x, bool tail) {
  need_length(c, x, 3, SIZE_MAX);
  size_t count = length_of(c, second(x)), end = 0;
  if (!is_pair(third(x))) compile_error(c, "malformed", car(x));
  for (value b = second(x); b != NIL; b = cdr(b)) binding_value(c, car(b));
  scope s;
  open_scope(c, &s);
  for (value b = second(x); b != NIL; b = cdr(b)) add_name(c, car(car(b)));
  size_t start = c->length;
  emit2(c, OP_ENTER, count, count);
  expression(c, car(third(x)), false);
  size_t again = jump(c, OP_JUMP_FALSE);
  sequence(c, cdr(third(x)), tail);
  if (!tail) end = jump(c, OP_JUMP);
  land(c, again);
  sequence(c, cdr(rest2(x)), false);
  emit_number(c, OP_POP);
  for (value b = second(x); b != NIL; b = cdr(b)) expression(c, rest2(car(b)) != NIL ? third(car(b)) : car(car(b)), false);
  emit_number(c, OP_LEAVE);
  emit1(c, OP_LOOP, fixnum((int64_t)start));
  if (!tail) {
    land(c, end);
    emit_number(c, OP_LEAVE);
  }
  close_scope(c);
}

/* The value of every expression but the last decides; where it does so, it is the result. */
static void and_or(compiler *c, value list, enum opcode op, bool tail) {
  if (cdr(list) == NIL) {
    expression(c, car(list), tail);
    return;
  }
  expression(c, car(list), false);
  size_t end = jump(c, op);
  deeper(c);
  and_or(c, cdr(list), op, tail);
  c->depth--;
  land(c, end);
  finish(c, tail);
}

static void form_and(compiler *c, value x, bool tail) {
  enum opcode op = is_form(x, "and") ? OP_AND : OP_OR;
  need_length(c, x, 1, SIZE_MAX);
  if (cdr(x) != NIL) {
    and_or(c, cdr(x), op, tail);
    return;
  }
  constant(c, boolean(op == OP_AND));
  finish(c, tail);
}

static value need_clause(compiler *c, value list) {
  if (!is_pair(car(list))) compile_error(c, "a clause is not a list", car(list));
  return car(list);
}

typedef void clauses(compiler *c, value list, bool tail);

/* The body of a clause whose condition may jump to `next`, and the clauses after it. */
static void clause_body(compiler *c, value list, size_t next, clauses *others, bool tail) {
  size_t end = 0;
  sequence(c, cdr(car(list)), tail);
  if (!tail) end = jump(c, OP_JUMP);
  land(c, next);
  deeper(c);
  others(c, cdr(list), tail);
  c->depth--;
  if (!tail) land(c, end);
}

static void cond_clauses(compiler *c, value list, bool tail) {
  if (list == NIL) {
    sequence(c, NIL, tail);
    return;
  }
  value clause = need_clause(c, list);
  if (is_form(clause, "else")) {
    sequence(c, cdr(clause), tail);
    return;
  }
  expression(c, car(clause), false);
  if (cdr(clause) != NIL) {
    clause_body(c, list, jump(c, OP_JUMP_FALSE), cond_clauses, tail);
    return;
  }
  size_t end = jump(c, OP_OR); /* (test): its value is the result */
  deeper(c);
  cond_clauses(c, cdr(list), tail);
  c->depth--;
  land(c, end);
  finish(c, tail);
}

static void form_cond(compiler *c, value x, bool tail) {
  need_length(c, x, 1, SIZE_MAX);
  cond_clauses(c, cdr(x), tail);
}

static void case_clauses(compiler *c, value list, bool tail) {
  bool otherwise = list == NIL || is_form(need_clause(c, list), "else");
  size_t next = 0;
  if (!otherwise) {
    emit1(c, OP_CASE, car(car(list)));
    emit_number(c, 0);
    next = c->length - 1;
  }
  emit_number(c, OP_POP);
  if (otherwise) {
    sequence(c, list == NIL ? NIL : cdr(car(list)), tail);
    return;
  }
  clause_body(c, list, next, case_clauses, tail);
}

static void form_case(compiler *c, value x, bool tail) {
  need_length(c, x, 2, SIZE_MAX);
  expression(c, second(x), false);
  case_clauses(c, rest2(x), tail);
}

/* No levels: a quasiquote inside another is not counted. */
static void quasi(compiler *c, value x) {
  deeper(c);
  if (is_form(x, "unquote")) {
    need_length(c, x, 2, 2);
    expression(c, second(x), false);
  } else if (is_pair(x)) {
    bool splice = is_form(car(x), "unquote-splicing");
    const char *name = splice ? "append" : "cons";
    global(c, intern(c->t, name, strlen(name)));
    if (splice) {
      need_length(c, car(x), 2, 2);
      expression(c, second(car(x)), false);
    } else {
      quasi(c, car(x));
    }
    quasi(c, cdr(x));
    emit2(c, OP_CALL, 2, c->line);
  } else {
    constant(c, x);
  }
  c->depth--;
}

static void form_quasiquote(compiler *c, value x, bool tail) {
  need_length(c, x, 2, 2);
  quasi(c, second(x));
  finish(c, tail);
}

/* (try expression handler): the value of the expression, or if it fails, of the handler called with the condition. */
static void form_try(compiler *c, value x, bool tail) {
  need_length(c, x, 3, 3);
  unsigned line = c->line;
  expression(c, third(x), false);
  size_t handle = jump(c, OP_HANDLE);
  expression(c, second(x), false);
  emit_number(c, OP_UNHANDLE);
  size_t end = jump(c, OP_JUMP);
  land(c, handle);
  emit2(c, OP_CALL, 1, line);
  land(c, end);
  finish(c, tail);
}
static struct {
  const char *name;
  form *compile;
  value symbol;
} forms[] = {{"quote", form_quote, 0},
             {"if", form_if, 0},
             {"when", form_when, 0},
             {"unless", form_when, 0},
             {"begin", form_begin, 0},
             {"lambda", form_lambda, 0},
             {"define", form_define, 0},
             {"set!", form_set, 0},
             {"let", form_let, 0},
             {"let*", form_let_star, 0},
             {"letrec", form_letrec, 0},
             {"letrec*", form_letrec, 0},
             {"do", form_do, 0},
             {"and", form_and, 0},
             {"or", form_and, 0},
             {"cond", form_cond, 0},
             {"case", form_case, 0},
             {"try", form_try, 0},
             {"quasiquote", form_quasiquote, 0}};

void compile_init(thread *t) {
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) forms[i].symbol = intern(t, forms[i].name, strlen(forms[i].name));
}

form *form_named(value head) {
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
    if (forms[i].symbol == head) return forms[i].compile;
  return NULL;
}
