/* text.c - primitives on characters, strings and symbols, and output. A character is a byte; a string is a block of bytes. */
#include "scheme.h"
#include <stdlib.h>
#include <string.h>

enum { MOST_CHARS = 1 << 30 };

value new_string(thread *t, const char *bytes, size_t length) {
  if (length > MOST_CHARS) fail(t, "string too long", UNBOUND);
  string *s = (string *)new_object(t, KIND_BYTES, T_STRING, 0, sizeof *s - sizeof(object) + length + 1);
  s->length = length;
  if (bytes != NULL) memcpy(s->bytes, bytes, length);
  s->bytes[length] = 0;
  return object_value(s);
}

static string *need_string(thread *t, value v) {
  need_type(t, v, T_STRING, "a string is wanted");
  return string_of(v);
}

static value p_make_string(thread *t, size_t count, value *args) {
  size_t length = (size_t)need_index(t, args[0], MOST_CHARS);
  if (count == 2 && !is_char(args[1])) fail(t, "a character is wanted", args[1]);
  value v = new_string(t, NULL, length);
  memset(string_of(v)->bytes, count == 2 ? (int)char_of(args[1]) : ' ', length);
  return v;
}

static value p_string_length(thread *t, size_t count, value *args) {
  (void)count;
  return fixnum((int64_t)need_string(t, args[0])->length);
}

static value p_string_ref(thread *t, size_t count, value *args) {
  (void)count;
  const string *s = need_string(t, args[0]);
  return character((unsigned char)s->bytes[need_index(t, args[1], s->length)]);
}

static value p_string_set(thread *t, size_t count, value *args) {
  (void)count;
  string *s = need_string(t, args[0]);
  int64_t index = need_index(t, args[1], s->length);
  if (!is_char(args[2])) fail(t, "a character is wanted", args[2]);
  s->bytes[index] = (char)char_of(args[2]);
  return UNSPECIFIED;
}

static value p_substring(thread *t, size_t count, value *args) {
  const string *s = need_string(t, args[0]);
  size_t end = count == 3 ? (size_t)need_index(t, args[2], s->length + 1) : s->length;
  size_t start = (size_t)need_index(t, args[1], end + 1);
  return new_string(t, s->bytes + start, end - start);
}

static value p_string_append(thread *t, size_t count, value *args) {
  size_t length = 0;
  for (size_t i = 0; i < count; i++) length += need_string(t, args[i])->length;
  value v = new_string(t, NULL, length);
  char *to = string_of(v)->bytes;
  for (size_t i = 0; i < count; i++) {
    memcpy(to, string_of(args[i])->bytes, string_of(args[i])->length);
    to += string_of(args[i])->length;
  }
  return v;
}

/* -1, 0 or 1 */
static value p_string_compare(thread *t, size_t count, value *args) {
  (void)count;
  const string *a = need_string(t, args[0]), *b = need_string(t, args[1]);
  int order = memcmp(a->bytes, b->bytes, a->length < b->length ? a->length : b->length);
  if (order == 0) order = (a->length > b->length) - (a->length < b->length);
  return fixnum((order > 0) - (order < 0));
}

static value p_to_symbol(thread *t, size_t count, value *args) {
  (void)count;
  const string *s = need_string(t, args[0]);
  return intern(t, s->bytes, s->length);
}

static value p_from_symbol(thread *t, size_t count, value *args) {
  (void)count;
  need_type(t, args[0], T_SYMBOL, "a symbol is wanted");
  return new_string(t, symbol_of(args[0])->name, symbol_of(args[0])->length);
}

static value p_to_code(thread *t, size_t count, value *args) {
  (void)count;
  if (!is_char(args[0])) fail(t, "a character is wanted", args[0]);
  return fixnum(char_of(args[0]));
}

static value p_from_code(thread *t, size_t count, value *args) {
  (void)count;
  return character((unsigned)need_index(t, args[0], 256));
}

static value p_is_string(thread *t, size_t count, value *args) {
  (void)t, (void)count;
  return boolean(has_type(args[0], T_STRING));
}

static value p_is_symbol(thread *t, size_t count, value *args) {
  (void)t, (void)count;
  return boolean(has_type(args[0], T_SYMBOL));
}

static value p_is_char(thread *t, size_t count, value *args) {
  (void)t, (void)count;
  return boolean(is_char(args[0]));
}

/* ---- output: into malloc's memory first, so that a thread that waits for a pipe is parked and holds up no collection */

static size_t to_scratch(thread *t, value v, bool readable) {
  size_t length;
  free(t->scratch);
  t->scratch = NULL;
  FILE *out = open_memstream(&t->scratch, &length);
  if (out == NULL) fail_memory(t);
  print(out, v, readable, 0);
  if (fclose(out) != 0) fail_memory(t);
  return length;
}

static value show(thread *t, value v, bool readable) {
  size_t length = to_scratch(t, v, readable);
  park(t);
  fwrite(t->scratch, 1, length, stdout);
  unpark(t);
  return UNSPECIFIED;
}

static value p_display(thread *t, size_t count, value *args) {
  (void)count;
  return show(t, args[0], false);
}

static value p_write(thread *t, size_t count, value *args) {
  (void)count;
  return show(t, args[0], true);
}

/* What `display` would print, as a string. */
static value p_text(thread *t, size_t count, value *args) {
  (void)count;
  size_t length = to_scratch(t, args[0], false);
  return new_string(t, t->scratch, length);
}

/* A line of the standard input, or #f at its end. */
static value p_read_line(thread *t, size_t count, value *args) {
  (void)count, (void)args;
  size_t room = 0;
  free(t->scratch);
  t->scratch = NULL;
  park(t);
  ssize_t length = getline(&t->scratch, &room, stdin);
  unpark(t);
  if (length < 0) return FALSE;
  if (length > 0 && t->scratch[length - 1] == '\n') length--;
  return new_string(t, t->scratch, (size_t)length);
}

const primitive_entry text_primitives[] = {{"make-string", p_make_string, 1, 2},
                                           {"string-length", p_string_length, 1, 1},
                                           {"string-ref", p_string_ref, 2, 2},
                                           {"string-set!", p_string_set, 3, 3},
                                           {"substring", p_substring, 2, 3},
                                           {"string-append", p_string_append, 0, ANY},
                                           {"string-compare", p_string_compare, 2, 2},
                                           {"string->symbol", p_to_symbol, 1, 1},
                                           {"symbol->string", p_from_symbol, 1, 1},
                                           {"char->integer", p_to_code, 1, 1},
                                           {"integer->char", p_from_code, 1, 1},
                                           {"string?", p_is_string, 1, 1},
                                           {"symbol?", p_is_symbol, 1, 1},
                                           {"char?", p_is_char, 1, 1},
                                           {"display", p_display, 1, 1},
                                           {"write", p_write, 1, 1},
                                           {"text", p_text, 1, 1},
                                           {"read-line", p_read_line, 0, 0},
                                           {NULL, NULL, 0, 0}};
