/*
 * reader.c - text to values, and the table of symbols.
 *
 * Results go to the stack: a list of n elements lies there as n values until its end is seen, and is then made from the back.
 */
#include "scheme.h"
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { DEEPEST = 1000, CHAINS = 1024 };

/* ---- symbols: their blocks are UNCOLLECTABLE, and this table is where the collector finds the global variables */

static symbol *chains[CHAINS];
static pthread_mutex_t chains_lock = PTHREAD_MUTEX_INITIALIZER;

static symbol *find(const symbol *chain, const char *name, size_t length) {
  for (; chain != NULL; chain = chain->next)
    if (chain->length == length && memcmp(chain->name, name, length) == 0) return (symbol *)chain;
  return NULL;
}

static symbol **chain_of(const char *name, size_t length) {
  uint32_t hash = 2166136261u;
  for (size_t i = 0; i < length; i++) hash = (hash ^ (unsigned char)name[i]) * 16777619u;
  return &chains[hash % CHAINS];
}

/* Nobody allocates under a lock that others wait for: that may stop the world. So the symbol is made first, in vain if another
   thread was faster; then it is freed by hand. */
value intern(thread *t, const char *name, size_t length) {
  symbol **chain = chain_of(name, length);
  pthread_mutex_lock(&chains_lock);
  symbol *found = find(*chain, name, length);
  pthread_mutex_unlock(&chains_lock);
  if (found != NULL) return object_value(found);
  symbol *new = (symbol *)new_object(t, KIND_SYMBOL, T_SYMBOL, 0, sizeof *new - sizeof(object) + length + 1);
  memcpy(new->name, name, length);
  new->name[length] = 0;
  new->length = length;
  new->global = UNBOUND;
  pthread_mutex_lock(&chains_lock);
  found = find(*chain, name, length);
  if (found == NULL) {
    new->next = *chain;
    *chain = new;
  }
  pthread_mutex_unlock(&chains_lock);
  if (found == NULL) return object_value(new);
  scalloc_rt_free(t->mutator, new);
  return object_value(found);
}

/* The world is stopped, or there is one thread only. */
void each_symbol(void (*visit)(symbol *)) {
  for (int i = 0; i < CHAINS; i++)
    for (symbol *s = chains[i]; s != NULL; s = s->next) visit(s);
}

/* ---- numbers */

value number_from(thread *t, const char *text, size_t length) {
  char copy[64], *end;
  if (length == 0 || length >= sizeof copy) return UNBOUND;
  memcpy(copy, text, length);
  copy[length] = 0;
  if (copy[strspn(copy, "+-.0123456789eE")] != 0 || strpbrk(copy, "0123456789") == NULL) return UNBOUND;
  errno = 0;
  long long n = strtoll(copy, &end, 10);
  if (*end == 0 && errno == 0 && n >= FIXNUM_MIN && n <= FIXNUM_MAX) return fixnum(n);
  double d = strtod(copy, &end);
  if (*end != 0) return UNBOUND;
  return new_flonum(t, d);
}

/* ---- data */

static _Noreturn void bad(thread *t, source *s, unsigned line, const char *message) {
  t->line = line;
  t->code = UNSPECIFIED; /* the error is in the file that is read, not where the program is */
  s->incomplete = s->at >= s->end;
  fail(t, message, UNBOUND);
}

static void skip_space(thread *t, source *s) {
  while (s->at < s->end) {
    if (*s->at == '\n') s->line++;
    if (*s->at == ';') {
      while (s->at < s->end && *s->at != '\n') s->at++;
    } else if (s->end - s->at > 1 && s->at[0] == '#' && s->at[1] == '|') {
      unsigned line = s->line;
      for (s->at += 2; s->end - s->at < 2 || s->at[0] != '|' || s->at[1] != '#'; s->at++) {
        if (s->at >= s->end) bad(t, s, line, "comment without end");
        if (*s->at == '\n') s->line++;
      }
      s->at += 2;
    } else if (isspace((unsigned char)*s->at)) {
      s->at++;
    } else {
      return;
    }
  }
}

static bool ends_word(char c) { return c != 0 && (isspace((unsigned char)c) || strchr("()\";'`,", c) != NULL); }

static void read_string(thread *t, source *s) {
  unsigned line = s->line;
  const char *start = ++s->at;
  size_t length = 0;
  for (; s->at < s->end && *s->at != '"'; s->at++, length++) {
    if (*s->at == '\n') s->line++;
    if (*s->at == '\\' && s->end - s->at > 1) s->at++;
  }
  if (s->at >= s->end) bad(t, s, line, "string without end");
  push(t, new_string(t, NULL, length));
  char *out = string_of(t->sp[-1])->bytes;
  for (const char *p = start; p < s->at; p++) {
    if (*p != '\\')
      *out++ = *p;
    else
      p++, *out++ = (char)(*p == 'n' ? '\n' : *p == 't' ? '\t' : *p);
  }
  s->at++;
}

static value read_char(thread *t, source *s, const char *word, size_t length) {
  static const char *const names[] = {"space", "newline", "tab", "nul"}, codes[] = " \n\t";
  if (length == 1) return character((unsigned char)word[0]);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strlen(names[i]) == length && memcmp(names[i], word, length) == 0) return character((unsigned char)codes[i]);
  bad(t, s, s->line, "no such character");
}

static void read_word(thread *t, source *s) {
  const char *word = s->at;
  if (s->end - s->at > 2 && word[0] == '#' && word[1] == '\\') s->at += 3; /* whatever it is: #\( */
  while (s->at < s->end && !ends_word(*s->at)) s->at++;
  size_t length = (size_t)(s->at - word);
  if (word[0] != '#') {
    value number = number_from(t, word, length);
    push(t, number != UNBOUND ? number : intern(t, word, length));
  } else if (length == 2 && (word[1] == 't' || word[1] == 'f')) {
    push(t, boolean(word[1] == 't'));
  } else if (length > 2 && word[1] == '\\') {
    push(t, read_char(t, s, word + 2, length - 2));
  } else {
    bad(t, s, s->line, "word that begins with # has no meaning");
  }
}

static void read_any(thread *t, source *s, size_t lines, unsigned depth);

/* (name datum), for 'x and its kin */
static void read_prefix(thread *t, source *s, const char *name, size_t lines, unsigned depth) {
  push(t, intern(t, name, strlen(name)));
  read_any(t, s, lines, depth);
  push(t, NIL);
  cons_top(t);
  cons_top(t);
}

/* Notes the line of the list on top of the stack in the table at stack[lines]. */
static void note_line(thread *t, size_t lines, unsigned line) {
  if (!is_pair(t->sp[-1])) return;
  value list = t->sp[-1];
  push(t, t->stack[lines]);
  push(t, list);
  push(t, fixnum(line));
  table_put(t, t->sp - 3);
  t->sp -= 3;
}

/* What follows an opening parenthesis. */
static void read_list(thread *t, source *s, size_t lines, unsigned depth, bool vector) {
  unsigned line = s->line;
  size_t first = (size_t)(t->sp - t->stack);
  bool dotted = false;
  for (;;) {
    skip_space(t, s);
    if (s->at >= s->end) bad(t, s, line, "parenthesis without its match");
    if (*s->at == ')') break;
    if (dotted) bad(t, s, s->line, "more than one datum after the dot");
    size_t above = (size_t)(t->sp - t->stack) - first;
    dotted = above > 0 && !vector && s->end - s->at > 1 && s->at[0] == '.' && ends_word(s->at[1]);
    if (dotted) s->at++;
    read_any(t, s, lines, depth);
  }
  s->at++;
  if (vector) {
    size_t count = (size_t)(t->sp - t->stack) - first;
    object *o = new_object(t, KIND_FIELDS, T_VECTOR, count, 0);
    memcpy(o->field, t->stack + first, count * sizeof(value));
    t->sp = t->stack + first;
    push(t, object_value(o));
    return;
  }
  if (!dotted) push(t, NIL);
  while ((size_t)(t->sp - t->stack) > first + 1) cons_top(t);
  note_line(t, lines, line);
}

/* True, and past it, if the text goes on with `what`. */
static bool comes(source *s, const char *what) {
  size_t length = strlen(what);
  if ((size_t)(s->end - s->at) < length || memcmp(s->at, what, length) != 0) return false;
  s->at += length;
  return true;
}

static void read_any(thread *t, source *s, size_t lines, unsigned depth) {
  skip_space(t, s);
  if (s->at >= s->end) bad(t, s, s->line, "end of the text where a datum should be");
  if (depth++ > DEEPEST) bad(t, s, s->line, "nested too deeply");
  if (comes(s, "("))
    read_list(t, s, lines, depth, false);
  else if (comes(s, "#("))
    read_list(t, s, lines, depth, true);
  else if (comes(s, ")"))
    bad(t, s, s->line, "closing parenthesis without its match");
  else if (comes(s, "'"))
    read_prefix(t, s, "quote", lines, depth);
  else if (comes(s, "`"))
    read_prefix(t, s, "quasiquote", lines, depth);
  else if (comes(s, ",@"))
    read_prefix(t, s, "unquote-splicing", lines, depth);
  else if (comes(s, ","))
    read_prefix(t, s, "unquote", lines, depth);
  else if (*s->at == '"')
    read_string(t, s);
  else
    read_word(t, s);
}

void read_datum(thread *t, source *s) {
  size_t lines = (size_t)(t->sp - t->stack) - 1;
  s->incomplete = false;
  s->datum = s->at;
  skip_space(t, s);
  t->line = s->line; /* for want of memory in the reader itself */
  if (s->at >= s->end)
    push(t, END_OF_FILE);
  else
    read_any(t, s, lines, 0);
}
