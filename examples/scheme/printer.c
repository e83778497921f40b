/* printer.c - values to text. Stops at a depth, so that no structure, however deep or circular, uses up the C stack. */
#include "scheme.h"
#include <math.h>
#include <string.h>

enum { DEEPEST = 200, LONGEST = 1 << 20 };

static void print_double(FILE *out, double d) {
  char text[40];
  for (int digits = 15; digits <= 17; digits++) { /* the fewest that read as the same number */
    double again = 0;
    snprintf(text, sizeof text, "%.*g", digits, d);
    if (sscanf(text, "%lf", &again) == 1 && again >= d && again <= d) break;
  }
  fputs(text, out);
  if (isfinite(d) && text[strcspn(text, ".e")] == 0) fputc('.', out);
}

static void print_string(FILE *out, const string *s, bool readable) {
  if (!readable) {
    fwrite(s->bytes, 1, s->length, out);
    return;
  }
  fputc('"', out);
  for (size_t i = 0; i < s->length; i++) {
    char c = s->bytes[i];
    if (c == '"' || c == '\\') fputc('\\', out);
    if (c == '\n')
      fputs("\\n", out);
    else
      fputc(c, out);
  }
  fputc('"', out);
}

static void print_list(FILE *out, value v, bool readable, unsigned depth) {
  fputc('(', out);
  size_t length = 0;
  for (;; v = cdr(v)) {
    print(out, car(v), readable, depth + 1);
    if (!is_pair(cdr(v)) || ++length == LONGEST) break;
    fputc(' ', out);
  }
  if (cdr(v) != NIL) {
    fputs(" . ", out);
    print(out, is_pair(cdr(v)) ? UNSPECIFIED : cdr(v), readable, depth + 1);
  }
  fputc(')', out);
}

static void print_vector(FILE *out, const object *o, bool readable, unsigned depth) {
  fputs("#(", out);
  for (size_t i = 0; i < count_of(o); i++) {
    if (i > 0) fputc(' ', out);
    print(out, o->field[i], readable, depth + 1);
  }
  fputc(')', out);
}

static void print_procedure(FILE *out, value name) {
  fputs("#<procedure ", out);
  print(out, name == FALSE ? UNSPECIFIED : name, false, 0);
  fputc('>', out);
}

static void print_object(FILE *out, value v, bool readable, unsigned depth) {
  static const char *const names[] = {
      [T_FRAME] = "frame",         [T_CODE] = "code",      [T_CONDITION] = "condition", [T_TABLE] = "table",
      [T_STORE] = "store",         [T_THREAD] = "thread",  [T_MUTEX] = "mutex",         [T_EVENT] = "event",
      [T_PRIMITIVE] = "primitive", [T_CLOSURE] = "closure"};
  enum type type = (enum type)(object_of(v)->header & 0xff);
  switch (type) {
  case T_FLONUM:
    print_double(out, flonum_of(v)->number);
    break;
  case T_STRING:
    print_string(out, string_of(v), readable);
    break;
  case T_SYMBOL:
    fwrite(symbol_of(v)->name, 1, symbol_of(v)->length, out);
    break;
  case T_VECTOR:
    print_vector(out, object_of(v), readable, depth);
    break;
  case T_CLOSURE:
    print_procedure(out, fields_of(fields_of(v)[0])[CODE_NAME]);
    break;
  case T_PRIMITIVE:
    print_procedure(out, fields_of(v)[0]);
    break;
  default:
    fprintf(out, "#<%s>", names[type]);
  }
}

void print(FILE *out, value v, bool readable, unsigned depth) {
  if (depth > DEEPEST)
    fputs("...", out);
  else if (is_fixnum(v))
    fprintf(out, "%lld", (long long)fixnum_of(v));
  else if (is_pair(v))
    print_list(out, v, readable, depth);
  else if (is_object(v))
    print_object(out, v, readable, depth);
  else if (is_char(v) && !readable)
    fputc((int)char_of(v), out);
  else if (is_char(v))
    fprintf(out, char_of(v) == ' ' ? "#\\space" : char_of(v) == '\n' ? "#\\newline" : "#\\%c", (int)char_of(v));
  else
    fputs(v == NIL ? "()" : v == TRUE ? "#t" : v == FALSE ? "#f" : v == END_OF_FILE ? "#<end>" : "#<unspecified>", out);
}
