/*
 * run.c - the machine. Its state is in the thread: a stack of values, the running code, its frame.
 *
 * Whoever calls leaves three values on the stack: code, place in it, frame. A tail call leaves nothing, so loops take no space.
 * The C stack is not used by calls at all; recursion ends where the thread's stack does, with an error. Since no block ever
 * moves, `pc` may point straight into the code object.
 */
#include "scheme.h"
#include <string.h>

typedef void operation(thread *t);

static value *operands(thread *t, size_t count) {
  value *first = t->pc;
  t->pc += count;
  return first;
}

static void go(thread *t, value to) { t->pc = fields_of(t->code) + CODE_START + fixnum_of(to); }

/* ---- errors */

void fail_with(thread *t, value condition) {
  t->condition = condition;
  longjmp(*t->escape, 1);
}

static value running_file(const thread *t) { return has_type(t->code, T_CODE) ? fields_of(t->code)[CODE_FILE] : FALSE; }

void fail_top(thread *t) {
  object *o = object_of(new_condition(t));
  o->field[CONDITION_MESSAGE] = t->sp[-1];
  o->field[CONDITION_IRRITANTS] = t->sp[-2];
  o->field[CONDITION_FILE] = running_file(t);
  o->field[CONDITION_LINE] = fixnum(t->line);
  fail_with(t, object_value(o));
}

/* The spare places above the limit of the stack are for this. */
void fail(thread *t, const char *message, value irritant) {
  *t->sp++ = irritant;
  *t->sp++ = NIL;
  if (irritant != UNBOUND) cons_top(t);
  *t->sp++ = new_string(t, message, strlen(message));
  fail_top(t);
}

/* Needs no memory: the condition was made when the thread was. */
void fail_memory(thread *t) {
  if (t->no_memory != FALSE) {
    fields_of(t->no_memory)[CONDITION_FILE] = running_file(t);
    fields_of(t->no_memory)[CONDITION_LINE] = fixnum(t->line);
  }
  fail_with(t, t->no_memory);
}

/* A handler on the stack: procedure, then these; t->handler is the height above them. */
enum { HANDLER_OUTER = -4, HANDLER_CODE, HANDLER_FRAME, HANDLER_TO, HANDLER_SIZE = 4 };

static void op_handle(thread *t) {
  value to = *operands(t, 1);
  push(t, fixnum((int64_t)t->handler));
  push(t, t->code);
  push(t, t->env);
  push(t, to);
  t->handler = (size_t)(t->sp - t->stack);
}

static void op_unhandle(thread *t) {
  value result = pop(t);
  t->handler = (size_t)fixnum_of(t->sp[HANDLER_OUTER]);
  t->sp -= HANDLER_SIZE;
  t->sp[-1] = result;
}

/* After an error: calls the innermost handler, if there is one. */
static bool to_handler(thread *t) {
  if (t->handler == 0) return false;
  t->sp = t->stack + t->handler;
  t->handler = (size_t)fixnum_of(t->sp[HANDLER_OUTER]);
  t->code = t->sp[HANDLER_CODE];
  t->env = t->sp[HANDLER_FRAME];
  go(t, t->sp[HANDLER_TO]);
  t->sp -= HANDLER_SIZE;
  push(t, t->condition);
  t->condition = FALSE;
  return true;
}

/* ---- calls */

/* The result is on top; pc becomes NULL when the caller is C. */
static void op_return(thread *t) {
  value result = pop(t);
  t->env = pop(t);
  value place = pop(t);
  t->code = pop(t);
  t->pc = t->code == FALSE ? NULL : fields_of(t->code) + fixnum_of(place);
  *t->sp++ = result;
}

static _Noreturn void fail_count(thread *t, value name) { fail(t, "wrong number of arguments", name == FALSE ? NIL : name); }

/* Turns the last of `count` arguments beyond `parameters` into a list. */
static void gather_rest(thread *t, size_t count, size_t parameters) {
  push(t, NIL);
  for (; count > parameters; count--) cons_top(t);
}

/* A frame with `count` values from the top of the stack, which stay there. */
static object *new_frame(thread *t, value outer, size_t count, size_t slots) {
  object *frame = new_object(t, KIND_FIELDS, T_FRAME, 1 + slots, 0);
  frame->field[0] = outer;
  memcpy(frame->field + 1, t->sp - count, count * sizeof(value));
  for (size_t i = count; i < slots; i++) frame->field[1 + i] = UNBOUND;
  return frame;
}

static void call_closure(thread *t, size_t count, bool tail) {
  const value *closure = fields_of(t->sp[-1 - (ptrdiff_t)count]);
  value *code = fields_of(closure[0]);
  size_t parameters = (size_t)fixnum_of(code[CODE_PARAMETERS]);
  if (code[CODE_REST] == TRUE && count >= parameters) {
    gather_rest(t, count, parameters);
    count = ++parameters;
  }
  if (count != parameters) fail_count(t, code[CODE_NAME]);
  object *frame = new_frame(t, closure[1], count, (size_t)fixnum_of(code[CODE_SLOTS]));
  t->sp -= count + 1;
  if (!tail) {
    if (t->limit - t->sp < 3) fail(t, "recursion too deep", UNBOUND);
    *t->sp++ = t->code;
    *t->sp++ = fixnum(t->pc == NULL ? 0 : t->pc - fields_of(t->code));
    *t->sp++ = t->env;
  }
  t->code = closure[0];
  t->env = object_value(frame);
  t->pc = code + CODE_START;
}

/* Replaces apply and its arguments by what is to be called. */
static size_t spread(thread *t, size_t count) {
  if (count < 2) fail(t, "apply: too few arguments", UNBOUND);
  value list = t->sp[-1];
  memmove(t->sp - count - 1, t->sp - count, (count - 1) * sizeof(value));
  t->sp -= 2; /* apply and the list, which its caller's datum or frame need not hold: nothing is allocated */
  for (count -= 2; is_pair(list); list = cdr(list), count++) push(t, car(list));
  if (list != NIL) fail(t, "apply: not a list", UNBOUND);
  return count;
}

value apply_primitive(thread *t, size_t count, value *args) {
  (void)count;
  fail(t, "apply: not called by the machine", args[0]);
}

static void call(thread *t, size_t count, bool tail) {
  poll(t);
  value f = t->sp[-1 - (ptrdiff_t)count];
  while (has_type(f, T_PRIMITIVE) && ((primitive *)f)->function == apply_primitive) {
    count = spread(t, count);
    f = t->sp[-1 - (ptrdiff_t)count];
  }
  if (has_type(f, T_CLOSURE)) {
    call_closure(t, count, tail);
    return;
  }
  if (!has_type(f, T_PRIMITIVE)) fail(t, "not a procedure", f);
  const primitive *p = (primitive *)f;
  if (count < p->least || (count > p->most && p->most != ANY)) fail_count(t, p->name);
  value *args = t->sp - count, result = p->function(t, count, args);
  t->sp = args; /* whatever it left there */
  t->sp[-1] = result;
  if (tail) op_return(t);
}

static void op_call(thread *t) {
  const value *o = operands(t, 2);
  t->line = (unsigned)fixnum_of(o[1]);
  call(t, (size_t)fixnum_of(o[0]), false);
}

static void op_tail_call(thread *t) {
  const value *o = operands(t, 2);
  t->line = (unsigned)fixnum_of(o[1]);
  call(t, (size_t)fixnum_of(o[0]), true);
}

static void op_closure(thread *t) {
  object *o = new_object(t, KIND_FIELDS, T_CLOSURE, 2, 0);
  o->field[0] = *operands(t, 1);
  o->field[1] = t->env;
  push(t, object_value(o));
}

/* ---- variables */

static value *place(thread *t, int64_t depth, int64_t index) {
  value frame = t->env;
  while (depth-- > 0) frame = fields_of(frame)[0];
  return fields_of(frame) + 1 + index;
}

static void op_const(thread *t) { push(t, *operands(t, 1)); }
static void op_local(thread *t) { push(t, fields_of(t->env)[1 + fixnum_of(*operands(t, 1))]); }

static void op_outer(thread *t) {
  const value *o = operands(t, 2);
  push(t, *place(t, fixnum_of(o[0]), fixnum_of(o[1])));
}

static void op_checked(thread *t) {
  const value *o = operands(t, 3);
  value v = *place(t, fixnum_of(o[0]), fixnum_of(o[1]));
  t->line = (unsigned)fixnum_of(o[2]);
  if (v == UNBOUND) fail(t, "a variable is used before it is defined", UNBOUND);
  push(t, v);
}

static void op_global(thread *t) {
  const value *o = operands(t, 2);
  value v = symbol_of(o[0])->global;
  t->line = (unsigned)fixnum_of(o[1]);
  if (v == UNBOUND) fail(t, "no such variable", o[0]);
  push(t, v);
}

static void op_set(thread *t) {
  const value *o = operands(t, 2);
  *place(t, fixnum_of(o[0]), fixnum_of(o[1])) = pop(t);
}

static void op_set_global(thread *t) {
  const value *o = operands(t, 2);
  t->line = (unsigned)fixnum_of(o[1]);
  if (symbol_of(o[0])->global == UNBOUND) fail(t, "no such variable", o[0]);
  symbol_of(o[0])->global = pop(t);
}

static void op_define(thread *t) {
  value name = *operands(t, 1);
  symbol_of(name)->global = pop(t);
}

static void op_enter(thread *t) {
  const value *o = operands(t, 2);
  size_t count = (size_t)fixnum_of(o[0]);
  t->env = object_value(new_frame(t, t->env, count, (size_t)fixnum_of(o[1])));
  t->sp -= count;
}

static void op_leave(thread *t) { t->env = fields_of(t->env)[0]; }

/* ---- jumps */

static void op_jump(thread *t) { go(t, *t->pc); }

static void op_loop(thread *t) {
  poll(t);
  go(t, *t->pc);
}

static void op_jump_false(thread *t) {
  value to = *operands(t, 1);
  if (pop(t) == FALSE) go(t, to);
}

static void keep_or_pop(thread *t, bool jump) {
  value to = *operands(t, 1);
  if (jump)
    go(t, to);
  else
    pop(t);
}

static void op_and(thread *t) { keep_or_pop(t, t->sp[-1] == FALSE); }
static void op_or(thread *t) { keep_or_pop(t, t->sp[-1] != FALSE); }

static void op_case(thread *t) {
  const value *o = operands(t, 2);
  value list = o[0];
  while (is_pair(list) && !same(car(list), t->sp[-1])) list = cdr(list);
  if (!is_pair(list)) go(t, o[1]);
}

static void op_pop(thread *t) { pop(t); }

static operation *const operations[] = {
    [OP_CONST] = op_const,   [OP_LOCAL] = op_local,   [OP_OUTER] = op_outer,           [OP_CHECKED] = op_checked,
    [OP_GLOBAL] = op_global, [OP_SET] = op_set,       [OP_SET_GLOBAL] = op_set_global, [OP_DEFINE] = op_define,
    [OP_JUMP] = op_jump,     [OP_LOOP] = op_loop,     [OP_JUMP_FALSE] = op_jump_false, [OP_AND] = op_and,
    [OP_OR] = op_or,         [OP_CASE] = op_case,     [OP_CLOSURE] = op_closure,       [OP_ENTER] = op_enter,
    [OP_LEAVE] = op_leave,   [OP_CALL] = op_call,     [OP_TAIL_CALL] = op_tail_call,   [OP_RETURN] = op_return,
    [OP_POP] = op_pop,       [OP_HANDLE] = op_handle, [OP_UNHANDLE] = op_unhandle};

bool is_procedure(value v) { return has_type(v, T_CLOSURE) || has_type(v, T_PRIMITIVE); }

/* Not within itself. An error that nothing handles goes on to the caller's escape, with the condition in the thread. */
value run(thread *t, value thunk) {
  jmp_buf *outer = t->escape, here;
  t->escape = &here;
  t->handler = 0;
  t->code = t->env = FALSE;
  t->pc = NULL;
  push(t, thunk);
  if (setjmp(here) == 0) {
    call(t, 0, false);
  } else if (!to_handler(t)) {
    t->escape = outer;
    longjmp(*outer, 1);
  }
  while (t->pc != NULL) operations[fixnum_of(*t->pc++)](t);
  t->escape = outer;
  return pop(t);
}
