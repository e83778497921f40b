/*
 * scalloc_lua.h - what the files of the program scalloc-lua share.
 *
 * scalloc_lua.c       command line, running of scripts, --mem-stats
 * scalloc_lua_repl.c  protected calls (traceback, Ctrl-C) and the interactive loop on top of them
 * scalloc_lua_exit.c  os.exit
 */
#ifndef SCALLOC_LUA_H
#define SCALLOC_LUA_H

#include <lua.h>

/* The name in front of every message; NULL while the interactive loop runs: its messages have no prefix. */
extern const char *interp_name;

/* Writes "name: text" and a newline on stderr. */
void interp_message(const char *text);

/* If `status` is an error, writes the message on top of the stack and pops it. Returns status. */
int interp_report(lua_State *L, int status);

/*
 * Calls the function below `nargs` arguments as lua_pcall does. An error message gets a traceback; Ctrl-C raises
 * "interrupted!" in the running Lua code, a second one ends the process.
 */
int interp_call(lua_State *L, int nargs, int nresults);

/* Puts an os.exit that closes fast in the place of the standard one. */
void interp_replace_exit(lua_State *L);

/* Reads, runs and prints statements and expressions from stdin until it ends. Raises what a prompt's __tostring raises. */
void repl_run(lua_State *L);

#endif
