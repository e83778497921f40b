/*
 * leak_hunt.c - which objects a program forgets to let go of: two looks at the heap, some work between them, and the difference by
 * size and type. The script has a leak on purpose: sessions that end stay in the table of watchers.
 *
 * Build: cc leak_hunt.c $(pkg-config --cflags --libs scalloc-lua lua5.4)
 */
#include <lauxlib.h>
#include <lualib.h>
#include <scalloc/lua_alloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char program[] = "local sessions, watchers = {}, {}\n"
                              "function open(id)\n"
                              "  local s = { id = id, text = ('session %06d'):format(id) }\n"
                              "  sessions[id] = s\n"
                              "  watchers[#watchers + 1] = function() return s end\n" /* nobody takes it out again */
                              "end\n"
                              "function close(id) sessions[id] = nil end\n"
                              "function work(from, to)\n"
                              "  for id = from, to do open(id) end\n"
                              "  for id = from, to do close(id) end\n"
                              "end\n";

/* Live blocks by type and size, in steps of 8 bytes; the last row is for all that are larger. */
enum { TYPES = 11, SIZES = 65, PER_ROUND = 1000 };
typedef struct {
  long count[TYPES][SIZES];
} snapshot;

static const char *const type_names[TYPES] = {"parts of objects", "",         "",        "",         "strings",   "tables",
                                              "functions",        "userdata", "threads", "upvalues", "prototypes"};

static void count_block(void *userdata, const scalloc_lua_block *block) {
  snapshot *s = userdata;
  size_t size = (block->size + 7) / 8;
  s->count[block->tag < 0 ? 0 : block->tag][size < SIZES ? size : SIZES - 1]++;
}

/* Garbage is no leak: it is collected first. */
static snapshot look(lua_State *L) {
  snapshot s = {{{0}}};
  lua_gc(L, LUA_GCCOLLECT);
  lua_gc(L, LUA_GCCOLLECT);
  scalloc_lua_walk(scalloc_lua_heap_of(L), count_block, &s);
  return s;
}

static void work(lua_State *L, int from, int to) {
  lua_getglobal(L, "work");
  lua_pushinteger(L, from);
  lua_pushinteger(L, to);
  if (lua_pcall(L, 2, 0, 0) == LUA_OK) return;
  fprintf(stderr, "leak_hunt: %s\n", lua_tostring(L, -1));
  exit(EXIT_FAILURE);
}

/* Prints the rows that grew by at least one object a call, and returns how many there are. */
static int show_growth(const snapshot *before, const snapshot *after) {
  int rows = 0;
  for (int type = 0; type < TYPES; type++)
    for (int size = 0; size < SIZES; size++) {
      long more = after->count[type][size] - before->count[type][size];
      if (more < PER_ROUND) continue;
      rows++;
      printf("%8ld more %s of %d bytes\n", more, type_names[type], size * 8);
    }
  return rows;
}

int main(void) {
  scalloc_lua_config config = {.size = sizeof config, .flags = SCALLOC_LUA_STATS, .name = "server"};
  lua_State *L = scalloc_lua_newstate(&config);
  if (L == NULL || scalloc_lua_openlibs(L) != LUA_OK || luaL_dostring(L, program) != LUA_OK) return EXIT_FAILURE;
  work(L, 1, PER_ROUND); /* warm: what is set up once is no leak */
  snapshot before = look(L);
  work(L, PER_ROUND + 1, 2 * PER_ROUND);
  snapshot after = look(L);
  printf("after %d more sessions, all of them closed, there are\n", PER_ROUND);
  int rows = show_growth(&before, &after);
  printf("for each session a table, its hash and its text, held by a function: who keeps the functions?\n");

  if (luaL_dostring(L, "function open() end") != LUA_OK) return EXIT_FAILURE; /* the leak is mended */
  before = look(L);
  work(L, 1, PER_ROUND);
  after = look(L);
  int rows_mended = show_growth(&before, &after);
  printf("without watchers: %s\n", rows_mended == 0 ? "nothing" : "still something");
  scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FULL); /* which would name blocks that Lua itself forgot */
  return rows == 5 && rows_mended == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
