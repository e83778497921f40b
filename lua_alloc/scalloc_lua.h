/*
 * scalloc_lua.h - what the files of the program scalloc-lua share.
 *
 * scalloc_lua.c         command line, running of scripts
 * scalloc_lua_repl.c    protected calls (traceback, Ctrl-C) and the interactive loop on top of them
 * scalloc_lua_exit.c    os.exit
 * scalloc_lua_report.c  what is told at the end: --mem-stats
 * scalloc_lua_map.c     --heap-map: what is collected for the page
 * scalloc_lua_page.c    the page itself
 */
#ifndef SCALLOC_LUA_H
#define SCALLOC_LUA_H

#include <lua.h>
#include <scalloc/lua_alloc.h>
#include <stdbool.h>
#include <stddef.h>

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

typedef struct report_wanted {
  enum { STATS_NONE, STATS_TEXT, STATS_JSON } stats;
  const char *map;   /* the name of a file; NULL: none */
  const char *title; /* of the page: the script */
} report_wanted;

/* Sees to it that the reports are made when the program ends, however it does. */
void report_start(lua_State *L, const report_wanted *wanted);

/* Begins to note how much is in use, once in each cycle of the garbage collector. Raises if there is no memory. */
void map_start(lua_State *L, scalloc_lua_heap *heap);

/* The end has come, the state is not closed: writes the page. False: errno says why not. */
bool map_write(const char *file_name, const char *title);

#endif
