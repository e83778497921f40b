/*
 * scalloc_lua.c - the program scalloc-lua: the stand-alone interpreter of Lua 5.4 on a scalloc heap.
 *
 * It takes every option of lua5.4 and behaves as it does, down to messages and exit codes; two long options are its own:
 * --help and --mem-stats. The command line is read twice: options_read decides what will happen before any state exists, and
 * run_options then carries out -e, -l and -W in their order. Everything that Lua code can make fail runs inside interpret(),
 * called in protected mode.
 *
 * --mem-stats needs the figures of the heap as they are when the script has ended and the state has not yet been closed, and
 * there are three ways to get there: main closes, os.exit(code, true) closes, os.exit(code) does not close. The first two are
 * caught by a to-be-closed variable on the stack of the main thread, which lua_close closes before it does anything else; the
 * third by the handler of atexit, which also writes the report.
 */
#include "scalloc_lua.h"

#include <lauxlib.h>
#include <lualib.h>
#include <scalloc/lua_alloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* ---- the command line ------------------------------------------------------------------------------------------------ */

/* What one word of the command line asks for: three that end the options, two that have an argument, the rest. */
typedef enum word {
  WORD_SCRIPT, /* no option: the script's name */
  WORD_STDIN,
  WORD_END, /* the next word is the script's name, whatever it looks like */
  WORD_EVALUATE,
  WORD_REQUIRE,
  WORD_INTERACTIVE,
  WORD_VERSION,
  WORD_NO_ENVIRONMENT,
  WORD_WARNINGS,
  WORD_STATS_TEXT,
  WORD_STATS_JSON,
  WORD_HELP,
  WORD_UNKNOWN
} word;

typedef enum stats_form { STATS_NONE, STATS_TEXT, STATS_JSON } stats_form;

typedef struct options {
  int argc;
  char **argv;
  int script; /* its place in argv; argc if there is none */
  bool script_is_stdin;
  bool evaluate, interactive, version, no_environment, help;
  stats_form stats;
} options;

static const char usage[] = "usage: %s [options] [script [args]]\n"
                            "Available options are:\n"
                            "  -e stat   execute string 'stat'\n"
                            "  -i        enter interactive mode after executing 'script'\n"
                            "  -l mod    require library 'mod' into global 'mod'\n"
                            "  -l g=mod  require library 'mod' into global 'g'\n"
                            "  -v        show version information\n"
                            "  -E        ignore environment variables\n"
                            "  -W        turn warnings on\n"
                            "  --        stop handling options\n"
                            "  -         stop handling options and execute stdin\n"
                            "  --mem-stats[=json]  show on stderr, at the end, what memory was used\n"
                            "  --help              show this text\n";

static word word_meaning(const char *text) {
  static const struct {
    const char *text;
    word meaning;
  } whole[] = {
      {"-", WORD_STDIN},
      {"--", WORD_END},
      {"-i", WORD_INTERACTIVE},
      {"-v", WORD_VERSION},
      {"-W", WORD_WARNINGS},
      {"-E", WORD_NO_ENVIRONMENT},
      {"--mem-stats", WORD_STATS_TEXT},
      {"--help", WORD_HELP},
      {"--mem-stats=json", WORD_STATS_JSON},
  };
  if (text[0] != '-') return WORD_SCRIPT;
  for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++)
    if (strcmp(text, whole[i].text) == 0) return whole[i].meaning;
  if (text[1] == 'e') return WORD_EVALUATE;
  return text[1] == 'l' ? WORD_REQUIRE : WORD_UNKNOWN;
}

/* The argument of the -e or -l at *place: joined to it, or the next word, to which *place moves. NULL: there is none. */
static const char *word_argument(char **argv, int *place) {
  const char *joined = argv[*place] + 2;
  if (*joined) return joined;
  const char *next = argv[*place + 1];
  if (!next || *next == '-') return NULL;
  ++*place;
  return next;
}

/* Takes one option that stands alone. */
static void options_set(options *o, word meaning) {
  switch (meaning) {
  case WORD_INTERACTIVE:
    o->interactive = o->version = true;
    break;
  case WORD_VERSION:
    o->version = true;
    break;
  case WORD_NO_ENVIRONMENT:
    o->no_environment = true;
    break;
  case WORD_STATS_TEXT:
    o->stats = STATS_TEXT;
    break;
  case WORD_STATS_JSON:
    o->stats = STATS_JSON;
    break;
  case WORD_HELP:
    o->help = true;
    break;
  default:
    break;
  }
}

static bool options_reject(const char *before, const char *option, const char *behind) {
  fprintf(stderr, "%s: %s'%s'%s\n", interp_name, before, option, behind);
  fprintf(stderr, usage, interp_name);
  return false;
}

/* Reads the options up to the script. False: the complaint about a wrong one has been written. */
static bool options_read(options *o) {
  int place = o->argc > 0 ? 1 : 0;
  for (; place < o->argc; place++) {
    const char *option = o->argv[place];
    word meaning = word_meaning(option);
    if (meaning == WORD_UNKNOWN) return options_reject("unrecognized option ", option, "");
    if (meaning == WORD_END) place++;
    if (meaning <= WORD_END) {
      o->script_is_stdin = meaning == WORD_STDIN;
      break;
    }
    if (meaning > WORD_REQUIRE)
      options_set(o, meaning);
    else if (!word_argument(o->argv, &place))
      return options_reject("", option, " needs argument");
    else if (meaning == WORD_EVALUATE)
      o->evaluate = true;
  }
  o->script = place;
  return true;
}

/* ---- running what it asks for ---------------------------------------------------------------------------------------- */

/* Runs the chunk that a luaL_load... function left on the stack; `status` is what that function returned. */
static int run_loaded(lua_State *L, int status) { return interp_report(L, status ? status : interp_call(L, 0, 0)); }

static int run_text(lua_State *L, const char *text, const char *chunk_name) {
  return run_loaded(L, luaL_loadbuffer(L, text, strlen(text), chunk_name));
}

/* LUA_INIT_5_4 or, without it, LUA_INIT: code, or "@" and the name of a file. */
static int run_environment(lua_State *L) {
  static const char *const chunk_names[] = {"=LUA_INIT" LUA_VERSUFFIX, "=LUA_INIT"};
  for (size_t i = 0; i < sizeof(chunk_names) / sizeof(chunk_names[0]); i++) {
    const char *value = getenv(chunk_names[i] + 1);
    if (!value) continue;
    return *value == '@' ? run_loaded(L, luaL_loadfile(L, value + 1)) : run_text(L, value, chunk_names[i]);
  }
  return LUA_OK;
}

/* "module" or "global=module". */
static int run_require(lua_State *L, const char *what) {
  const char *equals = strchr(what, '=');
  const char *module = equals ? equals + 1 : what;
  size_t length = equals ? (size_t)(equals - what) : strlen(what);
  const char *global = lua_pushlstring(L, what, length);
  lua_getglobal(L, "require");
  lua_pushstring(L, module);
  int status = interp_call(L, 1, 1);
  if (status == LUA_OK) lua_setglobal(L, global);
  interp_report(L, status);
  lua_pop(L, 1);
  return status;
}

/* Carries out the options that have an order. They are known to be well formed. */
static int run_options(lua_State *L, const options *o) {
  int status = LUA_OK;
  for (int place = 1; place < o->script && status == LUA_OK; place++) {
    word meaning = word_meaning(o->argv[place]);
    if (meaning == WORD_WARNINGS) lua_warning(L, "@on", 0);
    if (meaning != WORD_EVALUATE && meaning != WORD_REQUIRE) continue;
    const char *argument = word_argument(o->argv, &place);
    status = meaning == WORD_EVALUATE ? run_text(L, argument, "=(command line)") : run_require(L, argument);
  }
  return status;
}

/* Pushes the script's arguments out of the global `arg`, which the code that ran until here may have changed. */
static int push_script_arguments(lua_State *L) {
  if (lua_getglobal(L, "arg") != LUA_TTABLE) luaL_error(L, "'arg' is not a table");
  lua_Integer count = luaL_len(L, -1);
  luaL_checkstack(L, (int)count + 3, "too many arguments to script");
  int table = lua_gettop(L);
  for (lua_Integer i = 1; i <= count; i++) lua_rawgeti(L, table, i);
  lua_remove(L, table);
  return (int)count;
}

static int run_script(lua_State *L, const options *o) {
  int status = luaL_loadfile(L, o->script_is_stdin ? NULL : o->argv[o->script]);
  if (status == LUA_OK) status = interp_call(L, push_script_arguments(L), LUA_MULTRET);
  return interp_report(L, status);
}

/* The global `arg`: the script at 0, its arguments behind, options and the program's name before it. */
static void make_arg_table(lua_State *L, const options *o) {
  int zero = o->script == o->argc ? 0 : o->script;
  lua_createtable(L, o->argc - zero - 1, zero + 1);
  for (int i = 0; i < o->argc; i++) {
    lua_pushstring(L, o->argv[i]);
    lua_rawseti(L, -2, i - zero);
  }
  lua_setglobal(L, "arg");
}

static void show_version(void) {
  puts(LUA_COPYRIGHT);
  fflush(stdout);
}

/* What is left to do when the options have been carried out. */
static int run_rest(lua_State *L, const options *o) {
  bool script = o->script < o->argc;
  if (script && run_script(L, o) != LUA_OK) return EXIT_FAILURE;
  if (o->interactive) {
    repl_run(L);
  } else if (!script && !o->evaluate && !o->version) {
    if (isatty(STDIN_FILENO)) {
      show_version();
      repl_run(L);
    } else {
      run_loaded(L, luaL_loadfile(L, NULL)); /* as in lua5.4, its failure is not the program's */
    }
  }
  return EXIT_SUCCESS;
}

/* The whole life of the state, in protected mode: takes the options, returns the exit code. */
static int interpret(lua_State *L) {
  const options *o = lua_touserdata(L, 1);
  luaL_checkversion(L);
  if (o->version) show_version();
  if (o->no_environment) {
    lua_pushboolean(L, 1);
    lua_setfield(L, LUA_REGISTRYINDEX, "LUA_NOENV"); /* for package.path and package.cpath */
  }
  luaL_openlibs(L);
  interp_replace_exit(L);
  make_arg_table(L, o);
  lua_gc(L, LUA_GCGEN, 0, 0);
  bool started = (o->no_environment || run_environment(L) == LUA_OK) && run_options(L, o) == LUA_OK;
  lua_pushinteger(L, started ? run_rest(L, o) : EXIT_FAILURE);
  return 1;
}

/* ---- --mem-stats ----------------------------------------------------------------------------------------------------- */

static struct {
  stats_form form;
  scalloc_lua_heap *heap; /* NULL once the figures below have been taken: it may be gone */
  size_t used, peak;
  char *heap_json;
  double taken_at;
  bool closed; /* lua_close came after taken_at */
} stats;

static double seconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* The JSON of a heap, or of the whole process for NULL, in memory from malloc; NULL: there was none. */
static char *stats_json(scalloc_lua_heap *heap) {
  size_t length = heap ? scalloc_lua_stats_json(heap, NULL, 0) : scalloc_stats_json(NULL, 0);
  size_t size = length + 256; /* figures may have more digits when they are taken again */
  char *json = malloc(size);
  if (!json) return NULL;
  if (heap)
    scalloc_lua_stats_json(heap, json, size);
  else
    scalloc_stats_json(json, size);
  return json;
}

static void stats_take(void) {
  if (!stats.heap) return;
  stats.used = scalloc_lua_used(stats.heap);
  stats.peak = scalloc_lua_peak(stats.heap, false);
  stats.heap_json = stats_json(stats.heap);
  stats.heap = NULL;
  stats.taken_at = seconds_now();
}

/* The integer at `key` of the object at `section` of our own JSON; -1 if it is not there. */
static long long stats_figure(const char *json, const char *section, const char *key) {
  char quoted[32];
  long long figure;
  snprintf(quoted, sizeof(quoted), "\"%s\"", section);
  const char *at = json ? strstr(json, quoted) : NULL;
  snprintf(quoted, sizeof(quoted), "\"%s\"", key);
  at = at ? strstr(at, quoted) : NULL;
  return at && sscanf(at + strlen(quoted), " : %lld", &figure) == 1 ? figure : -1;
}

/* A line "name:  n kB" of /proc/self/status in bytes; 0 if it is not there. */
static size_t process_bytes(const char *name) {
  char line[256];
  size_t kilobytes = 0;
  FILE *status = fopen("/proc/self/status", "r");
  if (!status) return 0;
  while (fgets(line, sizeof(line), status))
    if (strncmp(line, name, strlen(name)) == 0 && sscanf(line + strlen(name), ": %zu", &kilobytes) == 1) break;
  fclose(status);
  return kilobytes * 1024;
}

static void show_spans(const char *whose, const char *json) {
  static const char *const states[] = {"hot", "floating", "reusable", "pooled", "large"};
  fprintf(stderr, "%-24s", whose);
  for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
    long long count = stats_figure(json, "spans", states[i]);
    if (!json)
      fprintf(stderr, "%10s", states[i]);
    else if (count < 0)
      fprintf(stderr, "%10s", "-");
    else
      fprintf(stderr, "%10lld", count);
  }
  fputc('\n', stderr);
}

static void show_bytes(const char *what, size_t bytes) { fprintf(stderr, "%-24s%20zu bytes\n", what, bytes); }

/* The handler of atexit. */
static void stats_report(void) {
  double close_seconds = stats.closed ? seconds_now() - stats.taken_at : 0;
  stats_take();
  char *process_json = stats_json(NULL);
  size_t peak_rss = process_bytes("VmHWM"), page_tables = process_bytes("VmPTE");
  if (stats.form == STATS_JSON) {
    fprintf(stderr, "{\"lua\":%s,\"process\":%s,", stats.heap_json ? stats.heap_json : "null",
            process_json ? process_json : "null");
    fprintf(stderr, "\"peak_rss_bytes\":%zu,\"page_table_bytes\":%zu,\"close_seconds\":", peak_rss, page_tables);
    fprintf(stderr, stats.closed ? "%.6f}\n" : "null}\n", close_seconds);
  } else {
    show_bytes("Lua, used at the end", stats.used);
    show_bytes("Lua, peak", stats.peak);
    show_bytes("process, peak resident", peak_rss);
    show_bytes("process, page tables", page_tables);
    if (stats.closed)
      fprintf(stderr, "%-24s%20.6f seconds\n", "close", close_seconds);
    else
      fprintf(stderr, "%-24s%20s\n", "close", "not closed");
    show_spans("spans", NULL);
    show_spans("  Lua, at the end", stats.heap_json);
    show_spans("  process", process_json);
  }
  free(process_json);
  free(stats.heap_json);
}

/* The __close of the end marker. */
static int mark_end(lua_State *L) {
  (void)L;
  stats.closed = true;
  stats_take();
  return 0;
}

static int push_end_marker(lua_State *L) {
  lua_newuserdatauv(L, 0, 0);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, mark_end);
  lua_setfield(L, -2, "__close");
  lua_setmetatable(L, -2);
  return 1;
}

static void stats_start(lua_State *L, stats_form form) {
  stats.form = form;
  stats.heap = scalloc_lua_heap_of(L);
  lua_pushcfunction(L, push_end_marker);
  if (interp_report(L, lua_pcall(L, 0, 1, 0)) == LUA_OK) lua_toclose(L, -1);
  atexit(stats_report);
}

/* ---- the program ----------------------------------------------------------------------------------------------------- */

int main(int argc, char **argv) {
  options o = {.argc = argc, .argv = argv};
  if (argc > 0 && *argv[0]) interp_name = argv[0];
  if (!options_read(&o)) return EXIT_FAILURE;
  if (o.help) {
    printf(usage, interp_name);
    return EXIT_SUCCESS;
  }
  lua_State *L = scalloc_lua_newstate(NULL);
  if (!L) {
    interp_message("cannot create state: not enough memory");
    return EXIT_FAILURE;
  }
  if (o.stats) stats_start(L, o.stats);
  lua_pushcfunction(L, interpret);
  lua_pushlightuserdata(L, &o);
  int status = interp_report(L, lua_pcall(L, 1, 1, 0));
  int exit_code = status == LUA_OK ? (int)lua_tointeger(L, -1) : EXIT_FAILURE;
  scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FAST);
  return exit_code;
}
