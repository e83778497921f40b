/*
 * scalloc_lua.c - the program scalloc-lua: the stand-alone interpreter of Lua 5.4 on a scalloc heap.
 *
 * It takes every option of lua5.4 and behaves as it does, down to messages and exit codes; the long options are its own. The
 * command line is read twice: options_read decides what will happen before any state exists, and
 * run_options then carries out -e, -l and -W in their order. Everything that Lua code can make fail runs inside interpret(),
 * called in protected mode.
 */
#include "scalloc_lua.h"

#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <scalloc/lua_alloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
  WORD_TYPES,
  WORD_LIMIT,
  WORD_MAP,
  WORD_HELP,
  WORD_UNKNOWN
} word;

typedef struct options {
  int argc;
  char **argv;
  int script; /* its place in argv; argc if there is none */
  bool script_is_stdin;
  bool evaluate, interactive, version, no_environment, help;
  report_wanted report;
  size_t limit; /* bytes; 0 = none */
  bool types;
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
                            "  --mem-limit=SIZE      let Lua have at most so many bytes; K, M, G may follow\n"
                            "  --mem-stats[=json]    show on stderr, at the end, what memory was used\n"
                            "  --mem-types           note the type of each block, for the module scalloc\n"
                            "  --heap-map=FILE.html  write, at the end, a page that shows what the memory was used for\n"
                            "  --help                show this text\n";

static const char limit_option[] = "--mem-limit=", map_option[] = "--heap-map=";

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
      {"--mem-types", WORD_TYPES},
  };
  if (text[0] != '-') return WORD_SCRIPT;
  for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++)
    if (strcmp(text, whole[i].text) == 0) return whole[i].meaning;
  if (strncmp(text, limit_option, strlen(limit_option)) == 0) return WORD_LIMIT;
  if (strncmp(text, map_option, strlen(map_option)) == 0) return WORD_MAP;
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

/* "64M" and its like in bytes; 0: it is none of them, or nothing. */
static size_t size_of_text(const char *text) {
  char *end;
  if (*text < '0' || *text > '9') return 0;
  errno = 0;
  unsigned long long size = strtoull(text, &end, 10);
  static const char units[] = "KMG";
  const char *unit = *end ? strchr(units, *end) : NULL;
  unsigned shift = unit ? 10 * (unsigned)(unit - units + 1) : 0;
  if (errno || (unit ? end[1] : *end) || size > (unsigned long long)PTRDIFF_MAX >> shift) return 0;
  return (size_t)size << shift;
}

/* Takes one option of one word. False: its value is none. */
static bool options_set(options *o, word meaning, const char *text) {
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
    o->report.stats = STATS_TEXT;
    break;
  case WORD_STATS_JSON:
    o->report.stats = STATS_JSON;
    break;
  case WORD_TYPES:
    o->types = true;
    break;
  case WORD_LIMIT:
    o->limit = size_of_text(text + strlen(limit_option));
    return o->limit > 0;
  case WORD_MAP:
    o->report.map = text + strlen(map_option);
    return *o->report.map != 0;
  case WORD_HELP:
    o->help = true;
    break;
  default:
    break;
  }
  return true;
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
    if (meaning > WORD_REQUIRE && !options_set(o, meaning, option)) return options_reject("no such value: ", option, "");
    if (meaning > WORD_REQUIRE) continue;
    if (!word_argument(o->argv, &place)) return options_reject("", option, " needs argument");
    if (meaning == WORD_EVALUATE) o->evaluate = true;
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
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE); /* require "scalloc" needs no file */
  lua_pushcfunction(L, luaopen_scalloc);
  lua_setfield(L, -2, "scalloc");
  lua_pop(L, 1);
  make_arg_table(L, o);
  lua_gc(L, LUA_GCGEN, 0, 0);
  if (o->limit) scalloc_lua_arm(scalloc_lua_heap_of(L));
  bool started = (o->no_environment || run_environment(L) == LUA_OK) && run_options(L, o) == LUA_OK;
  lua_pushinteger(L, started ? run_rest(L, o) : EXIT_FAILURE);
  return 1;
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
  scalloc_lua_config config = {.size = sizeof config, .hard_limit = o.limit};
  if (o.types || o.report.map) config.flags = SCALLOC_LUA_STATS;
  o.report.title = o.script < argc ? argv[o.script] : "scalloc-lua";
  lua_State *L = scalloc_lua_newstate(&config);
  if (!L) {
    interp_message("cannot create state: not enough memory");
    return EXIT_FAILURE;
  }
  if (o.report.stats || o.report.map) report_start(L, &o.report);
  lua_pushcfunction(L, interpret);
  lua_pushlightuserdata(L, &o);
  int status = interp_report(L, lua_pcall(L, 1, 1, 0));
  int exit_code = status == LUA_OK ? (int)lua_tointeger(L, -1) : EXIT_FAILURE;
  scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FAST);
  return exit_code;
}
