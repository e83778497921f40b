/*
 * scalloc_lua_repl.c - protected calls of the program scalloc-lua, and its interactive loop.
 *
 * A call has a message handler that turns any error object into text with a traceback. While it runs, SIGINT arms a debug
 * hook: lua_sethook is the one function of Lua that a signal handler may call, and the hook raises the error from inside the
 * interpreter, where raising is allowed. Outside a call SIGINT keeps its default action and ends the process.
 *
 * The loop takes a line as an expression if it is one, else as the begin of a statement that further lines may complete.
 * Lines come from plain stdio: no history and no editing beyond the terminal's own.
 */
#include "scalloc_lua.h"

#include <lauxlib.h>
#include <lualib.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define CHUNK_NAME "=stdin"

const char *interp_name = "scalloc-lua";

/* The state whose call SIGINT interrupts; written before the handler is installed. */
static lua_State *running;

void interp_message(const char *text) {
  if (interp_name) fprintf(stderr, "%s: ", interp_name);
  fprintf(stderr, "%s\n", text);
  fflush(stderr);
}

int interp_report(lua_State *L, int status) {
  if (status == LUA_OK) return status;
  const char *text = lua_tostring(L, -1);
  interp_message(text ? text : "(null)");
  lua_pop(L, 1);
  return status;
}

/* Message handler: text gets a traceback, an object that can describe itself is taken at its word. */
static int describe_error(lua_State *L) {
  const char *text = lua_tostring(L, 1);
  if (!text) {
    bool described = luaL_callmeta(L, 1, "__tostring");
    if (described && lua_type(L, -1) == LUA_TSTRING) return 1;
    text = lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
  }
  luaL_traceback(L, L, text, 1);
  return 1;
}

static void on_sigint(void (*action)(int)) {
  struct sigaction wanted = {.sa_flags = 0};
  wanted.sa_handler = action;
  sigemptyset(&wanted.sa_mask);
  sigaction(SIGINT, &wanted, NULL);
}

static void raise_interrupted(lua_State *L, lua_Debug *event) {
  (void)event;
  lua_sethook(L, NULL, 0, 0);
  luaL_error(L, "interrupted!");
}

/* Signal handler. The mask names every event, so that the next step of the interpreter, whatever it is, runs the hook. */
static void interrupt_running(int signal) {
  (void)signal;
  on_sigint(SIG_DFL);
  lua_sethook(running, raise_interrupted, LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
}

int interp_call(lua_State *L, int nargs, int nresults) {
  int handler = lua_gettop(L) - nargs;
  lua_pushcfunction(L, describe_error);
  lua_insert(L, handler);
  running = L;
  on_sigint(interrupt_running);
  int status = lua_pcall(L, nargs, nresults, handler);
  on_sigint(SIG_DFL);
  lua_remove(L, handler);
  return status;
}

/* Shows the prompt that global `variable` holds, or `standard` if it is nil. */
static void show_prompt(lua_State *L, const char *variable, const char *standard) {
  int top = lua_gettop(L);
  const char *prompt = lua_getglobal(L, variable) == LUA_TNIL ? standard : luaL_tolstring(L, -1, NULL);
  fputs(prompt, stdout);
  fflush(stdout);
  lua_settop(L, top);
}

/* Pushes the next line of stdin without its newline. False, and nothing pushed: stdin has ended. */
static bool push_line(lua_State *L) {
  luaL_Buffer line;
  luaL_buffinit(L, &line);
  int c = getchar();
  bool any = c != EOF;
  for (; c != EOF && c != '\n'; c = getchar()) luaL_addchar(&line, (char)c);
  luaL_pushresult(&line);
  if (!any) lua_pop(L, 1);
  return any;
}

static int load_text(lua_State *L, int text) {
  size_t length;
  const char *code = lua_tolstring(L, text, &length);
  return luaL_loadbuffer(L, code, length, CHUNK_NAME);
}

/* Pushes the function that returns the line at index 1. False, and nothing pushed: the line is not an expression. */
static bool load_expression(lua_State *L) {
  lua_pushliteral(L, "return ");
  lua_pushvalue(L, 1);
  lua_concat(L, 2);
  int status = load_text(L, -1);
  lua_remove(L, -2);
  if (status == LUA_OK) return true;
  lua_pop(L, 1);
  return false;
}

/* True if the error message on top says that the parser met the end of the text: more lines could complete it. */
static bool wants_more(lua_State *L, int status) {
  static const char mark[] = "<eof>";
  const size_t mark_length = sizeof(mark) - 1;
  size_t length;
  const char *message = lua_tolstring(L, -1, &length);
  return status == LUA_ERRSYNTAX && length >= mark_length && memcmp(message + length - mark_length, mark, mark_length) == 0;
}

/* Loads the statement whose first line is at index 1, reading on while it is incomplete. Pushes a function or a message. */
static int load_statement(lua_State *L) {
  for (;;) {
    int status = load_text(L, 1);
    if (!wants_more(L, status)) return status;
    show_prompt(L, "_PROMPT2", ">> ");
    if (!push_line(L)) return status;
    lua_replace(L, 2);
    lua_pushliteral(L, "\n");
    lua_insert(L, 2);
    lua_concat(L, 3);
  }
}

/* Reads one piece of code to the empty stack and pushes its function, or the message of the error. False: no more input. */
static bool read_code(lua_State *L, int *status) {
  show_prompt(L, "_PROMPT", "> ");
  if (!push_line(L)) return false;
  const char *line = lua_tostring(L, 1);
  *status = LUA_OK;
  if (*line == '=') {
    lua_pushfstring(L, "return %s", line + 1); /* Lua 5.1's way of asking for a value */
    lua_replace(L, 1);
    *status = load_statement(L);
  } else if (!load_expression(L)) {
    *status = load_statement(L);
  }
  lua_remove(L, 1);
  return true;
}

/* Hands everything on the stack to the global `print`, so that a program can choose how results look. */
static void print_results(lua_State *L) {
  int count = lua_gettop(L);
  if (count == 0) return;
  luaL_checkstack(L, LUA_MINSTACK, "too many results to print");
  lua_getglobal(L, "print");
  lua_insert(L, 1);
  if (lua_pcall(L, count, 0, 0) == LUA_OK) return;
  interp_message(lua_pushfstring(L, "error calling 'print' (%s)", lua_tostring(L, -1)));
}

void repl_run(lua_State *L) {
  const char *name = interp_name;
  int status;
  interp_name = NULL;
  lua_settop(L, 0);
  while (read_code(L, &status)) {
    if (status == LUA_OK) status = interp_call(L, 0, LUA_MULTRET);
    if (interp_report(L, status) == LUA_OK) print_results(L);
    lua_settop(L, 0);
  }
  putchar('\n');
  fflush(stdout);
  interp_name = name;
}
