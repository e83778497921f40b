/*
 * module.h - what the files of the Lua module `scalloc` share.
 *
 *   module.c          luaopen_scalloc; attaching, limits, budgets, faults
 *   module_attach.c   attach, detach, trim
 *   module_figures.c  count, peak, stats, histogram, tags
 *   module_blocks.c   heapdump, snapshots and their differences
 *   module_profile.c  allocations by line of source
 *
 * Every function has the module's data as its first upvalue. A function that finds nothing to do returns nil (fail) and a message;
 * wrong arguments raise errors.
 */
#ifndef SCALLOC_MODULE_H
#define SCALLOC_MODULE_H

#include "lua_functions.h"

#define MODULE_VERSION "0.1.0" /* as in CMakeLists.txt and the rockspec: tests/spec/module compares them */

/* One for each state and copy of the module, kept in the registry: loading the module again finds it again. */
typedef struct {
  const lua_functions *f; /* those that rule in this state */
  bool armed;             /* limit() or attach{} has armed the heap */
} module_data;

/*
 * The data of the running function; the heap of its state, NULL: it has none. `attached`: the heap that new blocks come from and
 * that limits act on; NULL too after a detach that has left blocks in it.
 */
module_data *scalloc_module_data(lua_State *L);
scalloc_lua_heap *scalloc_module_heap(lua_State *L);
scalloc_lua_heap *scalloc_module_attached(lua_State *L);

/* Pushes fail and a message, for no_heap why there is none. Returns 2. */
int scalloc_module_fail(lua_State *L, const char *message);
int scalloc_module_no_heap(lua_State *L);

/* Arms the heap on the module's behalf, or no longer. */
void scalloc_module_arm(module_data *m, scalloc_lua_heap *heap, bool armed);

/* After seal(), pushes fail and a message. */
bool scalloc_module_is_sealed(lua_State *L);
int scalloc_module_sealed(lua_State *L);

void scalloc_module_push_size(lua_State *L, size_t size);

/* Can it be a number of bytes? No NaN is one. */
static inline bool module_is_size(lua_Number n) { return n >= 0 && n < 9.0e15; }

/* An argument in bytes: a number from 0 on; absent, nil: `otherwise`. */
size_t scalloc_module_opt_size(lua_State *L, int argument, size_t otherwise);

/* Leaves the table at `argument`, or a new one in its place, on top of the stack. */
void scalloc_module_push_table(lua_State *L, int argument);

/* "table" for LUA_TTABLE, as the allocator is told; "unknown" for -1. */
const char *scalloc_module_tag_name(int tag);
enum { MODULE_TAGS = 12 }; /* names there are: tags -1 to 10 */

/* Makes a type of userdata, with methods or NULL, unless there is one of the name; `end` is its finalizer and its __close. */
void scalloc_module_new_type(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction end);

/* The heap is gone: a profile of it ends, and tells nothing. */
void scalloc_module_end_profile(lua_State *L);

/* Registers the functions of a file in the table below the data, both on top of the stack; pops the data. */
void scalloc_module_add_attach(lua_State *L);
void scalloc_module_add_figures(lua_State *L);
void scalloc_module_add_blocks(lua_State *L);
void scalloc_module_add_profile(lua_State *L);

#endif
