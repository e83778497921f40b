/* main.c - the program: command line, files, and the prompt. */
#include "scheme.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
    "usage: scheme [options] [FILE ...]\n"
    "Runs the files in turn; - is the standard input. Without FILE and -e: a prompt, or the standard input if that is no "
    "terminal.\n"
    "  -e TEXT              runs TEXT; may be given again, in any order with files\n"
    "  --heap-limit=SIZE    most memory of the heap, with K, M or G: \"out of memory\" is an error that a program can handle\n"
    "  --threads=N          the same as --define=threads=N\n"
    "  --define=NAME=N      what (option 'NAME default) gives\n"
    "  --stress=N           collects at every N-th allocation\n"
    "  --stats              collections, pauses and the heap as JSON on stderr at the end\n"
    "  --help               this text\n"
    "Exit status: 0, what (exit N) says, 1 after an error in the program, 2 for wrong usage.\n";

static struct {
  int count;
  char **words;
  bool stats;
} command;

/* ---- the command line */

static _Noreturn void bad_usage(const char *word) {
  fprintf(stderr, "scheme: what is %s? See scheme --help\n", word);
  exit(2);
}

/* The text after `name=`, or NULL. */
static const char *argument(const char *word, const char *name) {
  size_t length = strlen(name);
  return strncmp(word, name, length) == 0 && word[length] == '=' ? word + length + 1 : NULL;
}

static bool is_option(const char *word) { return word[0] == '-' && word[1] != 0; }

/* A number from 1 on with K, M or G after it if `units`. */
static size_t number(const char *word, const char *text, bool units) {
  static const char letters[] = "KMG";
  char *end;
  errno = 0;
  unsigned long long n = strtoull(text, &end, 10);
  const char *unit = units && *end != 0 ? strchr(letters, *end) : NULL;
  unsigned shift = unit == NULL ? 0 : 10 * (unsigned)(unit - letters + 1);
  if (unit != NULL) end++;
  if (text[0] < '0' || text[0] > '9' || errno != 0 || *end != 0 || n == 0 || n > UINT64_MAX >> 2 >> shift) bad_usage(word);
  return (size_t)n << shift;
}

value option(const char *name) {
  for (int i = 1; i < command.count; i++) {
    const char *text = argument(command.words[i], "--define");
    const char *direct = strcmp(name, "threads") == 0 ? argument(command.words[i], "--threads") : NULL;
    if (text != NULL) direct = argument(text, name);
    if (direct != NULL) return fixnum((int64_t)number(command.words[i], direct, false));
  }
  return UNBOUND;
}

/* Checks every word before anything runs; returns how many texts there are to run. */
static int read_options(size_t *limit, unsigned *stress_every) {
  int texts = 0;
  for (int i = 1; i < command.count; i++) {
    const char *word = command.words[i], *text;
    if (strcmp(word, "--help") == 0) {
      fputs(usage, stdout);
      exit(0);
    }
    if (strcmp(word, "-e") == 0) {
      if (++i == command.count) bad_usage("-e without its text");
      texts++;
    } else if ((text = argument(word, "--heap-limit")) != NULL) {
      *limit = number(word, text, true);
    } else if ((text = argument(word, "--stress")) != NULL) {
      *stress_every = (unsigned)number(word, text, false);
    } else if ((text = argument(word, "--threads")) != NULL) {
      number(word, text, false);
    } else if ((text = argument(word, "--define")) != NULL) {
      if (strchr(text, '=') == NULL) bad_usage(word);
      number(word, strchr(text, '=') + 1, false);
    } else if (strcmp(word, "--stats") == 0) {
      command.stats = true;
    } else if (is_option(word)) {
      bad_usage(word);
    } else {
      texts++;
    }
  }
  return texts;
}

/* ---- running texts */

static void report(const thread *t, const source *s) {
  fflush(stdout);
  if (has_type(t->condition, T_CONDITION)) {
    const value *part = fields_of(t->condition);
    fputs(part[CONDITION_FILE] == FALSE ? s->name : string_of(part[CONDITION_FILE])->bytes, stderr);
    fprintf(stderr, ":%lld: ", (long long)fixnum_of(part[CONDITION_LINE]));
    print(stderr, part[CONDITION_MESSAGE], false, 0);
    if (part[CONDITION_IRRITANTS] != NIL) fputs(": ", stderr);
    for (value list = part[CONDITION_IRRITANTS]; is_pair(list); list = cdr(list)) {
      print(stderr, car(list), true, 0);
      if (is_pair(cdr(list))) fputc(' ', stderr);
    }
  } else {
    fprintf(stderr, "%s:%u: raised and not handled: ", s->name, t->line);
    print(stderr, t->condition, true, 0);
  }
  fputc('\n', stderr);
}

static void run_one(thread *t, bool echo) {
  compile(t);
  t->sp[-1] = run(t, t->sp[-1]);
  if (echo && t->sp[-1] != UNSPECIFIED) {
    print(stdout, t->sp[-1], true, 0);
    fputc('\n', stdout);
  }
  if (finalizers_due()) run(t, symbol_of(intern(t, "run-finalizers", strlen("run-finalizers")))->global);
}

/* Runs all of the text. False after an error, whose condition is in the thread. */
static bool run_text(thread *t, source *s, bool echo) {
  value *base = t->sp;
  jmp_buf escape;
  t->escape = &escape;
  bool good = setjmp(escape) == 0;
  if (good) {
    push(t, new_string(t, s->name, strlen(s->name)));
    push(t, make_table(t, true));
    for (read_datum(t, s); t->sp[-1] != END_OF_FILE; read_datum(t, s)) {
      run_one(t, echo);
      t->sp = base + 2;
    }
  } else if (!s->incomplete || !echo) {
    report(t, s);
  }
  t->sp = base;
  return good;
}

static char *slurp(FILE *in, size_t *length) {
  size_t room = 1 << 16;
  char *text = malloc(room);
  *length = 0;
  while (text != NULL) {
    size_t got = fread(text + *length, 1, room - *length, in);
    *length += got;
    if (got == 0) return text;
    if (*length < room) continue;
    char *more = realloc(text, room *= 2);
    if (more == NULL) free(text);
    text = more;
  }
  return NULL;
}

static bool run_file(thread *t, const char *name) {
  bool standard = strcmp(name, "-") == 0;
  FILE *in = standard ? stdin : fopen(name, "r");
  size_t length = 0;
  char *text = in == NULL ? NULL : slurp(in, &length);
  bool failed = text == NULL || ferror(in);
  if (failed) fprintf(stderr, "scheme: %s: %s\n", name, strerror(errno));
  if (in != NULL && !standard) fclose(in);
  if (!failed) {
    source s = {.at = text, .end = text + length, .name = standard ? "standard input" : name, .line = 1};
    failed = !run_text(t, &s, false);
  }
  free(text);
  return !failed;
}

static bool run_words(thread *t) {
  bool good = true;
  for (int i = 1; i < command.count && good; i++) {
    const char *word = command.words[i];
    if (strcmp(word, "-e") == 0) {
      const char *text = command.words[++i];
      source s = {.at = text, .end = text + strlen(text), .name = "-e", .line = 1};
      good = run_text(t, &s, false);
    } else if (!is_option(word)) {
      good = run_file(t, word);
    }
  }
  return good;
}

/* What is not a whole datum yet waits for more lines. */
static void prompt(thread *t) {
  char *text = NULL, *line = NULL;
  size_t length = 0, room = 0;
  for (;;) {
    fputs(length == 0 ? "> " : "  ", stdout);
    fflush(stdout);
    park(t);
    ssize_t got = getline(&line, &room, stdin);
    unpark(t);
    char *longer = got < 0 ? NULL : realloc(text, length + (size_t)got);
    if (longer == NULL) break;
    text = longer;
    memcpy(text + length, line, (size_t)got);
    length += (size_t)got;
    source s = {.at = text, .end = text + length, .name = "prompt", .line = 1};
    bool wait = !run_text(t, &s, true) && s.incomplete;
    length = wait ? (size_t)(s.end - s.datum) : 0;
    if (wait) memmove(text, s.datum, length);
  }
  fputc('\n', stdout);
  free(text);
  free(line);
}

/* ---- beginning and end */

static void define_primitives(thread *t, const primitive_entry *e) {
  for (; e->name != NULL; e++) {
    value name = intern(t, e->name, strlen(e->name));
    primitive *p = (primitive *)new_object(t, KIND_FIELDS, T_PRIMITIVE, 1, sizeof *p - sizeof(object) - sizeof(value));
    *p = (primitive){p->header, name, e->function, e->least, e->most};
    symbol_of(name)->global = object_value(p);
  }
}

static bool begin(thread *t) {
  static const primitive_entry *const all[] = {number_primitives, list_primitives,   text_primitives,
                                               table_primitives,  system_primitives, thread_primitives};
  jmp_buf escape;
  t->escape = &escape;
  if (setjmp(escape) != 0) return false;
  t->no_memory = new_memory_condition(t);
  compile_init(t);
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) define_primitives(t, all[i]);
  source s = {.at = prelude, .end = prelude + strlen(prelude), .name = "prelude.scm", .line = 1};
  return run_text(t, &s, false);
}

/* Other threads stay where they are; only if there are none does the heap have to be given back. */
void leave(thread *t, int status) {
  bool alone = stop_for_good(t);
  fflush(stdout);
  if (command.stats) memory_stats(stderr);
  if (alone) {
    thread_end(t);
    memory_end();
  }
  exit(status);
}

int main(int count, char **words) {
  size_t limit = 0;
  unsigned stress_every = 0;
  command.count = count;
  command.words = words;
  int texts = read_options(&limit, &stress_every);
  memory_init(limit, stress_every);
  thread *t = thread_new(FALSE);
  if (t == NULL) {
    fputs("scheme: no memory for the main thread\n", stderr);
    return 1;
  }
  unpark(t);
  if (!begin(t)) {
    fputs("scheme: the heap limit leaves no room to begin\n", stderr);
    leave(t, 1);
  }
  bool good = true;
  if (texts > 0)
    good = run_words(t);
  else if (isatty(STDIN_FILENO))
    prompt(t);
  else
    good = run_file(t, "-");
  leave(t, good ? 0 : 1);
}
