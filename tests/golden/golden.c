/*
 * golden.c - what a hit costs: the instructions, conditional branches, loads, stores and locked instructions on the fast paths of
 * the shared libraries, none of which may rise above what golden.txt records for this compiler.
 *
 *   golden PATH OBJDUMP GOLDEN_TXT
 *
 * The call is run step by step (trace.h); objdump tells what each executed instruction is. The goals are those of the design;
 * a figure above its goal is shown, but it is the record that decides.
 */
#include "../test.h"

#include <dlfcn.h>
#include <scalloc/lua_alloc.h>

#include "trace.h"

enum { STATUS_SKIPPED = 77, LINES_MOST = 100000, TEXT_MOST = 80 };

/* ---- the calls --------------------------------------------------------------------------------------------------------- */

static void *volatile block; /* what the measured call works on or gives */

/* A span with blocks on its list and blocks in use: neither a refill nor the last free is near. */
static void *warm(void *(*allocate)(void), void (*release)(void *)) {
  void *blocks[20];
  for (size_t i = 0; i < LENGTH(blocks); i++) CHECK((blocks[i] = allocate()) != NULL);
  for (size_t i = 5; i < LENGTH(blocks); i++) release(blocks[i]);
  return blocks[0];
}

static void *malloc_40(void) { return scalloc_malloc(40); }

static void act_malloc(void) {
  void *other = warm(malloc_40, scalloc_free);
  trace_begin();
  block = scalloc_malloc(40);
  CHECK(block != NULL && block != other);
}

static void act_free(void) {
  block = warm(malloc_40, scalloc_free);
  trace_begin();
  scalloc_free(block);
  CHECK(malloc_40() == block);
}

/* With the preload library in the environment: this program's own malloc. */
static void *plain_malloc_40(void) { return malloc(40); }

static void act_preload_malloc(void) {
  void *other = warm(plain_malloc_40, free);
  trace_begin();
  block = malloc(40);
  CHECK(block != NULL && block != other);
}

static void act_preload_free(void) {
  block = warm(plain_malloc_40, free);
  trace_begin();
  free(block);
  CHECK(plain_malloc_40() == block);
}

static scalloc_lua_heap *lua_heap;

static void *lua_40(void) { return scalloc_lua_alloc(lua_heap, NULL, 0, 40); }
static void lua_free_40(void *old) { scalloc_lua_alloc(lua_heap, old, 40, 0); }

/* A heap whose blocks of 40 bytes are no longer in its first cells; in use: GROWN bytes. */
enum { GROWN = 1000 * 40 };
static void make_grown_heap(void) {
  CHECK((lua_heap = scalloc_lua_heap_new(NULL)) != NULL);
  for (size_t bytes = 0; bytes < GROWN; bytes += 40) CHECK(lua_40() != NULL);
}

static void act_lua_new(void) {
  CHECK((lua_heap = scalloc_lua_heap_new(NULL)) != NULL);
  void *other = warm(lua_40, lua_free_40);
  trace_begin();
  block = scalloc_lua_alloc(lua_heap, NULL, 0, 40);
  CHECK(block != NULL && block != other);
  CHECK_INT(scalloc_lua_used(lua_heap), ==, 240);
}

static void act_lua_free(void) {
  make_grown_heap();
  block = warm(lua_40, lua_free_40);
  trace_begin();
  scalloc_lua_alloc(lua_heap, block, 40, 0);
  CHECK_INT(scalloc_lua_used(lua_heap), ==, GROWN + 160);
  CHECK(lua_40() == block);
}

static void act_lua_free_young(void) {
  CHECK((lua_heap = scalloc_lua_heap_new(NULL)) != NULL);
  block = warm(lua_40, lua_free_40);
  trace_begin();
  scalloc_lua_alloc(lua_heap, block, 40, 0);
  CHECK_INT(scalloc_lua_used(lua_heap), ==, 160);
  CHECK(lua_40() == block);
}

/* The first free since more was in use than ever before: the peak has to be noted. */
static void act_lua_free_at_peak(void) {
  make_grown_heap();
  block = warm(lua_40, lua_free_40);
  for (int i = 0; i < 16; i++) CHECK(lua_40() != NULL);
  trace_begin();
  scalloc_lua_alloc(lua_heap, block, 40, 0);
  CHECK_INT(scalloc_lua_used(lua_heap), ==, GROWN + 800);
  CHECK_INT(scalloc_lua_peak(lua_heap, false), ==, GROWN + 840);
}

static const struct {
  const char *name, *function;
  void (*act)(void);
  long goal; /* instructions */
} paths[] = {
    {"malloc", "scalloc_malloc", act_malloc, 14},
    {"free", "scalloc_free", act_free, 21},
    {"preload_malloc", "malloc", act_preload_malloc, 16}, /* beside what scalloc_malloc does: is there thread-local storage? */
    {"preload_free", "free", act_preload_free, 21},
    {"lua_new", "scalloc_lua_alloc", act_lua_new, 24},
    {"lua_free", "scalloc_lua_alloc", act_lua_free, 26},
    {"lua_free_at_peak", "scalloc_lua_alloc", act_lua_free_at_peak, 26},
    {"lua_free_young", "scalloc_lua_alloc", act_lua_free_young, 60},
};

/* ---- what the instructions are ----------------------------------------------------------------------------------------- */

static struct {
  uintptr_t offset;
  char text[TEXT_MOST];
} lines[LINES_MOST];
static size_t line_count;

/* The disassembly of a library, by offset: lines of "  16a4:<tab>mov    %rsi,(%rdi)". */
static void disassemble(const char *objdump, const char *library) {
  char command[1024], line[512];
  snprintf(command, sizeof command, "'%s' -d -w --no-show-raw-insn '%s'", objdump, library);
  FILE *output = popen(command, "r");
  CHECK(output != NULL);
  while (fgets(line, sizeof line, output)) {
    char *end, *comment = strchr(line, '#');
    uintptr_t offset = strtoull(line, &end, 16);
    if (end == line || end[0] != ':' || end[1] != '\t') continue;
    if (comment) *comment = 0;
    CHECK(line_count < LINES_MOST);
    lines[line_count].offset = offset;
    snprintf(lines[line_count++].text, TEXT_MOST, "%.*s", (int)strcspn(end + 2, "\n"), end + 2);
  }
  CHECK(pclose(output) == 0);
  CHECK(line_count > 0);
}

static const char *text_at(uintptr_t offset) {
  for (size_t i = 0; i < line_count; i++)
    if (lines[i].offset == offset) return lines[i].text;
  return NULL;
}

enum { INSTRUCTIONS, BRANCHES, LOADS, STORES, LOCKED, FIGURES };
static const char *const figure_names[FIGURES] = {"instructions", "conditional branches", "loads", "stores", "locked"};

typedef struct figures {
  long n[FIGURES];
} figures;

static bool starts(const char *text, const char *with) { return strncmp(text, with, strlen(with)) == 0; }

/* Is the operand that ends at `end` (or begins the list, if `last` is false) in memory? AT&T order: the destination is last. */
static bool memory_operand(const char *operands, bool last) {
  int depth = 0;
  const char *split = NULL; /* the last comma outside of parentheses */
  for (const char *c = operands; *c; c++) {
    depth += (*c == '(') - (*c == ')');
    if (*c == ',' && depth == 0) split = c;
  }
  if (split == NULL) return last && (strchr(operands, '(') != NULL || strstr(operands, "%fs:") != NULL);
  for (const char *c = last ? split : operands; last ? *c != 0 : c < split; c++)
    if (*c == '(' || starts(c, "%fs:")) return true;
  return false;
}

static void classify(const char *text, figures *sum) {
  bool locked = starts(text, "lock ");
  if (locked) text += strlen("lock ");
  const char *operands = text + strcspn(text, " ");
  bool from = memory_operand(operands, false), to = memory_operand(operands, true);
  bool idle = starts(text, "lea") || starts(text, "nop") || starts(text, "data16") || starts(text, "cs nop");
  bool only_reads = starts(text, "cmp") || starts(text, "test") || starts(text, "bt ");
  sum->n[INSTRUCTIONS]++;
  sum->n[BRANCHES] += text[0] == 'j' && !starts(text, "jmp");
  sum->n[LOCKED] += locked || (starts(text, "xchg") && (from || to));
  if (starts(text, "push") || starts(text, "call")) sum->n[STORES]++;
  if (starts(text, "pop") || starts(text, "ret")) sum->n[LOADS]++;
  if (idle || starts(text, "push") || starts(text, "pop") || text[0] == 'j' || starts(text, "call")) return;
  if (from || (to && !starts(text, "mov"))) sum->n[LOADS]++; /* anything but a move to memory reads it first */
  if (to && !only_reads) sum->n[STORES]++;
}

/* Counts a trace; every executed instruction must lie in the library, as objdump sees it. */
static figures count(const trace *t, const Dl_info *library, bool show) {
  figures sum = {{0}};
  for (size_t i = 0; i < t->count; i++) {
    const char *text = text_at(t->at[i] - (uintptr_t)library->dli_fbase);
    if (show) printf("  %s\n", text ? text : "(outside the library)");
    if (text)
      classify(text, &sum);
    else
      sum.n[INSTRUCTIONS]++;
  }
  return sum;
}

/* ---- the record -------------------------------------------------------------------------------------------------------- */

#if defined(__clang__)
#define COMPILER "clang"
#define COMPILER_VERSION __clang_major__
#else
#define COMPILER "gcc"
#define COMPILER_VERSION __GNUC__
#endif

/* The line of golden.txt for a path and this compiler. False: there is none. */
static bool recorded(const char *file, const char *path, figures *out) {
  char line[256], name[32], compiler[32], wanted[32];
  bool found = false;
  FILE *text = fopen(file, "r");
  CHECK(text != NULL);
  snprintf(wanted, sizeof wanted, "%s-%d", COMPILER, COMPILER_VERSION);
  while (!found && fgets(line, sizeof line, text)) {
    if (line[0] == '#' || line[0] == '\n') continue;
    long *n = out->n;
    CHECK(sscanf(line, "%31s %31s %ld %ld %ld %ld %ld", name, compiler, n, n + 1, n + 2, n + 3, n + 4) == 2 + FIGURES);
    found = strcmp(name, path) == 0 && strcmp(compiler, wanted) == 0;
  }
  fclose(text);
  return found;
}

/* 0, 1 or STATUS_SKIPPED. */
static int judge(const char *path, long goal, figures now, const char *file) {
  figures before;
  printf("%-18s%s-%d", path, COMPILER, COMPILER_VERSION);
  for (int i = 0; i < FIGURES; i++) printf(" %ld", now.n[i]);
  printf("   goal: %ld instructions%s\n", goal, now.n[INSTRUCTIONS] > goal ? ", MISSED" : "");
  if (now.n[LOCKED] != 0) {
    printf("FAILED: a locked instruction on the fast path\n");
    return 1;
  }
  if (!recorded(file, path, &before)) {
    printf("skipped: golden.txt has no line for this compiler; the one above may be added\n");
    return STATUS_SKIPPED;
  }
  int risen = 0;
  for (int i = 0; i < FIGURES; i++) {
    if (now.n[i] > before.n[i]) {
      printf("FAILED: %s rose from %ld to %ld\n", figure_names[i], before.n[i], now.n[i]);
      risen = 1;
    } else if (now.n[i] < before.n[i]) {
      printf("hint: %s fell from %ld to %ld; put the line above into golden.txt\n", figure_names[i], before.n[i], now.n[i]);
    }
  }
  return risen;
}

static int measure(size_t number, const char *objdump, const char *file) {
  static trace t;
  Dl_info library;
  uintptr_t function = (uintptr_t)dlsym(RTLD_DEFAULT, paths[number].function);
  CHECK(function != 0 && dladdr((void *)function, &library) != 0 && strstr(library.dli_fname, "libscalloc") != NULL);
  switch (trace_call(paths[number].act, function, &t)) {
  case TRACE_NOT_PERMITTED:
    printf("skipped: ptrace is not permitted here\n");
    return STATUS_SKIPPED;
  case TRACE_FAILED:
    printf("FAILED: the call could not be followed\n");
    return 1;
  case TRACE_DONE:
    break;
  }
  disassemble(objdump, library.dli_fname);
  return judge(paths[number].name, paths[number].goal, count(&t, &library, true), file);
}

int main(int argc, char **argv) {
#if !defined(__OPTIMIZE__)
  printf("skipped: not an optimised build\n");
  return STATUS_SKIPPED;
#endif
  CHECK_INT(argc, ==, 4);
  alarm(60);
  for (size_t i = 0; i < LENGTH(paths); i++)
    if (strcmp(argv[1], paths[i].name) == 0) return measure(i, argv[2], argv[3]);
  test_fail(__FILE__, __LINE__, "no path is called %s", argv[1]);
}
