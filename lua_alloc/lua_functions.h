/*
 * lua_functions.h - how two copies of the packaging in one process find each other.
 *
 * A host may have scalloc inside it, and `require "scalloc"` may load another copy. The state's heap belongs to the copy that made
 * it: another one would not recognise the allocator function, nor its arena. So the copy that makes a state leaves a table of its
 * functions in the registry, and a module works through the table it finds, or through its own if there is none.
 */
#ifndef SCALLOC_LUA_FUNCTIONS_H
#define SCALLOC_LUA_FUNCTIONS_H

#include "lua_compat.h"
#include "scalloc/lua_alloc.h"

/* Of this structure and of every structure that its functions take; goes up with any change of them. */
enum { LUA_FUNCTIONS_VERSION = 2 };

/* How a state stands to the heap it is on: the one notion by which the module tells what can be done. */
typedef enum {
  LUA_STANDS_NOWHERE,  /* not on scalloc */
  LUA_STANDS_ON_OWN,   /* made on it */
  LUA_STANDS_ADOPTED,  /* adopted: it can go back */
  LUA_STANDS_CALLED,   /* adopted, and a call with a budget or with failures is open: it cannot go back now */
  LUA_STANDS_RELEASED, /* released, but blocks of the heap are left: new ones come from elsewhere, and no limit acts */
} lua_standing;

typedef struct {
  char magic[8]; /* "scalloc" */
  unsigned version;
  scalloc_lua_heap *(*heap_of)(lua_State *L);
  scalloc_lua_heap *(*adopt)(lua_State *L, const scalloc_lua_config *config);
  lua_standing (*standing)(lua_State *L);
  bool (*release)(lua_State *L);
  size_t (*trim)(scalloc_lua_heap *heap, size_t keep);
  int (*pcall)(lua_State *L, int nargs, int nresults, int msgh, size_t budget);
  int (*pcall_failing)(lua_State *L, int nargs, int nresults, long growths);
  void (*arm)(scalloc_lua_heap *heap);
  void (*disarm)(scalloc_lua_heap *heap);
  void (*limit)(scalloc_lua_heap *heap, size_t soft, size_t hard);
  void (*fail_after)(scalloc_lua_heap *heap, long growths);
  size_t (*used)(const scalloc_lua_heap *heap);
  size_t (*peak)(scalloc_lua_heap *heap, bool reset);
  bool (*stats_read)(const scalloc_lua_heap *heap, scalloc_lua_stats *out);
  size_t (*walk)(scalloc_lua_heap *heap, scalloc_lua_visit *visit, void *userdata);
  bool (*births)(scalloc_lua_heap *heap);
  unsigned long long (*handed_out)(scalloc_lua_heap *heap);
  bool (*check)(char *why, size_t size);
} lua_functions;

/* Leaves this copy's table in the registry, in protected mode. False: no memory, and nothing has changed. */
bool scalloc_lua_functions_publish(lua_State *L);

/* The table that rules in a state: the one in the registry, else this copy's. Raises an error if it is of another version. */
const lua_functions *scalloc_lua_functions_of(lua_State *L);

#endif
