/*
 * scalloc_run.c - scalloc-run PROGRAM [ARGUMENT...]: runs a program on scalloc instead of its own malloc.
 *
 * Sets LD_PRELOAD and becomes the program by exec, so that signals, exit codes and the process number are the program's. The
 * library is looked for beside this program: in ../lib or wherever the installation puts libraries, from bin.
 */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef SCALLOC_RUN_LIBRARIES
#define SCALLOC_RUN_LIBRARIES "../lib"
#endif

enum { STATUS_USAGE = 2, STATUS_FAILED = 125, STATUS_NOT_EXECUTABLE = 126, STATUS_NOT_FOUND = 127 };

static const char usage_line[] = "usage: scalloc-run [--stats[=FORMAT]] [--limit=SIZE] [--checked]\n                  "
                                 " [--heap-map=FILE] [--profile=FILE] [--] PROGRAM [ARGUMENT...]";

static const char help[] =
    "Runs PROGRAM with malloc, free and their family from scalloc, in it and in every program that it starts.\n"
    "\n"
    "  --stats          each process writes its statistics to stderr when it ends, as one line of JSON (SCALLOC_STATS=1);\n"
    "                   --stats=text for people, --stats=prometheus in the text format of Prometheus\n"
    "  --limit=SIZE     memory that each process may commit, in bytes or with K, M or G; beyond it malloc gives NULL\n"
    "                   (SCALLOC_LIMIT_BYTES)\n"
    "  --checked        the checked library: double frees, overflows and the like end the process with one line\n"
    "  --heap-map=FILE  when PROGRAM exits, a page for a browser that shows its heap (scalloc-top --html), or, if FILE ends "
    "in\n"
    "                   .json, a picture that scalloc-top FILE shows later, or, in .prom, figures for Prometheus; with %p in "
    "FILE,\n"
    "                   which stands for the process number, one for each process; none for a process that a signal ends\n"
    "  --profile=FILE   when PROGRAM exits, a sampled profile for pprof: which functions took how many bytes, in all and still "
    "live;\n"
    "                   if FILE ends in .collapsed, folded stacks of all bytes for speedscope and flame graphs;\n"
    "                   %p as above; SCALLOC_PROFILE_INTERVAL=BYTES from one sample to the next, 524288 on average\n"
    "  --help           this text\n"
    "\n"
    "Other settings are taken from the environment (SCALLOC_PURGE_DELAY_MS, SCALLOC_PURGE_THREAD, ...). Programs that are "
    "linked\n"
    "statically or change their user (set-user-ID) keep their own malloc.\n"
    "Exit status: that of PROGRAM; 2 wrong usage; 125 scalloc-run itself failed; 126 PROGRAM cannot be run; 127 not found.\n";

static _Noreturn void wrong_usage(const char *what, const char *argument) {
  fprintf(stderr, "scalloc-run: %s%s\n%s\n", what, argument, usage_line);
  exit(STATUS_USAGE);
}

static _Noreturn void failed(const char *what, const char *detail) {
  fprintf(stderr, "scalloc-run: %s%s\n", what, detail);
  exit(STATUS_FAILED);
}

static void set(const char *name, const char *value) {
  if (setenv(name, value, 1) != 0) failed("cannot set ", name);
}

/* A positive number of bytes with an optional K, M or G. */
static bool parse_size(const char *text, size_t *bytes) {
  static const char units[] = "KMG";
  size_t n = 0;
  if (*text < '0' || *text > '9') return false;
  for (; *text >= '0' && *text <= '9'; text++)
    if (__builtin_mul_overflow(n, (size_t)10, &n) || __builtin_add_overflow(n, (size_t)(*text - '0'), &n)) return false;
  const char *unit = *text ? strchr(units, *text) : NULL;
  if (*text && (unit == NULL || text[1] != 0)) return false;
  size_t factor = unit ? (size_t)1024 << 10 * (unit - units) : 1;
  return !__builtin_mul_overflow(n, factor, bytes) && *bytes > 0 && *bytes <= LONG_MAX;
}

/* SCALLOC_STATS for --stats, or --stats=FORMAT. */
static void set_stats(const char *argument, const char *format) {
  static const char *const formats[] = {"json", "text", "prometheus"};
  for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
    if (strcmp(format, formats[i]) == 0) {
      set("SCALLOC_STATS", (char[]){(char)('1' + i), 0});
      return;
    }
  wrong_usage("json, text or prometheus: ", argument);
}

static void set_limit(const char *argument, const char *text) {
  char digits[32];
  size_t bytes;
  if (!parse_size(text, &bytes)) wrong_usage("not a size: ", argument);
  snprintf(digits, sizeof digits, "%zu", bytes);
  set("SCALLOC_LIMIT_BYTES", digits);
}

/* The path of a file in one of the places, seen from the folder of this program. Static. */
static const char *find_beside(const char *const *places, size_t count, const char *name) {
  static char path[2 * PATH_MAX], real[PATH_MAX];
  ssize_t length = readlink("/proc/self/exe", path, PATH_MAX);
  if (length <= 0 || length >= PATH_MAX) failed("cannot read /proc/self/exe", "");
  while (length > 0 && path[length - 1] != '/') length--;
  for (size_t i = 0; i < count; i++) {
    snprintf(path + length, sizeof path - (size_t)length, "%s/%s", places[i], name);
    if (realpath(path, real) != NULL) return real;
  }
  failed("not found beside this program: ", name);
}

static const char *find_library(const char *name) {
  static const char *const places[] = {SCALLOC_RUN_LIBRARIES, "../lib"};
  return find_beside(places, sizeof places / sizeof *places, name);
}

/* A file that the program, or with %p each process, writes at its exit; it may go elsewhere meanwhile, so the whole path. */
static void set_exit_file(const char *variable, const char *argument, const char *name) {
  char folder[PATH_MAX] = "", path[2 * PATH_MAX], number[24];
  if (*name == 0) wrong_usage("which file? ", argument);
  if (*name != '/' && getcwd(folder, sizeof folder) == NULL) failed("no current folder: ", strerror(errno));
  int length = snprintf(path, sizeof path, "%s%s%s", folder, *name != '/' ? "/" : "", name);
  if (length < 0 || length >= PATH_MAX) failed("too long: ", name);
  snprintf(number, sizeof number, "%ld", (long)getpid());
  set(variable, path);
  set("SCALLOC_EXIT_PROCESS", number);
  strrchr(path, '/')[1] = 0;
  if (access(path, W_OK | X_OK) != 0) failed("no file can be written in ", path);
}

static void set_heap_map(const char *argument, const char *name) {
  static const char *const here[] = {"."};
  set_exit_file("SCALLOC_HEAP_MAP", argument, name);
  set("SCALLOC_HEAP_MAP_TOOL", find_beside(here, 1, "scalloc-top"));
}

/* In front of what is there already; twice would do no harm. */
static void preload(const char *library) {
  if (strpbrk(library, " :")) failed("LD_PRELOAD takes no path with a space or colon: ", library);
  const char *before = getenv("LD_PRELOAD");
  if (before == NULL || *before == 0) {
    set("LD_PRELOAD", library);
    return;
  }
  size_t length = strlen(library) + strlen(before) + 2;
  char *both = malloc(length);
  if (both == NULL) failed("no memory", "");
  snprintf(both, length, "%s:%s", library, before);
  set("LD_PRELOAD", both);
  free(both);
}

int main(int argc, char **argv) {
  static const char plain[] = "libscalloc_preload.so";
  const char *library = plain, *profile = NULL;
  int at = 1;
  for (; at < argc && argv[at][0] == '-'; at++) {
    const char *argument = argv[at];
    if (strcmp(argument, "--") == 0) {
      at++;
      break;
    }
    if (strcmp(argument, "--help") == 0) {
      printf("%s\n%s", usage_line, help);
      return fflush(stdout) == 0 ? 0 : STATUS_FAILED;
    }
    if (strcmp(argument, "--stats") == 0)
      set_stats(argument, "json");
    else if (strncmp(argument, "--stats=", 8) == 0)
      set_stats(argument, argument + 8);
    else if (strcmp(argument, "--checked") == 0)
      library = "libscalloc_preload_checked.so";
    else if (strncmp(argument, "--limit=", 8) == 0)
      set_limit(argument, argument + 8);
    else if (strncmp(argument, "--heap-map=", 11) == 0)
      set_heap_map(argument, argument + 11);
    else if (strncmp(argument, "--profile=", 10) == 0)
      set_exit_file("SCALLOC_PROFILE", argument, profile = argument + 10);
    else
      wrong_usage("unknown option ", argument);
  }
  if (profile && library != plain) wrong_usage("--checked or --profile", "");
  if (profile) library = "libscalloc_preload_profile.so";
  if (at == argc) wrong_usage("no program", "");
  preload(find_library(library));
  execvp(argv[at], argv + at);
  int status = errno == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE;
  fprintf(stderr, "scalloc-run: %s: %s\n", argv[at], strerror(errno));
  return status;
}
