/*
 * lua_close.c - a close that ends with the last finalizer.
 *
 * lua_close first closes the pending variables, then calls the finalizers, the one marked last first, and then frees every
 * object by itself, which is what takes the time. The *sentinel*, marked before anything else when the state is made, is
 * therefore finalized last of all. Its __gc puts leave() in the place of the state's allocator, and the first free that
 * lua_close then asks for does not come back: it jumps out of lua_close, and the heap goes in bulk. So the allocator itself
 * knows nothing of all this, and its fast paths pay nothing for it.
 *
 * The sentinel is the registry, which becomes its own metatable: one more key in a table that is there anyway, so that the state
 * counts the same bytes and collects at the same times as without. In Lua 5.1, where only userdata have finalizers, it is one.
 *
 * The jump leaves only frames of Lua that have nothing to undo, whether compiled as C or as C++. It is made only
 *
 *   - if the state was made by scalloc_lua_newstate, in a Lua that is not LuaJIT, and the allocator is ours when the sentinel is
 *     finalized;
 *   - if it is lua_close itself that finalizes the sentinel, for then no other finalizer is at work. One may call
 *     os.exit(code, true), which closes the state from within itself and must then get to exit; or get at the registry, through
 *     the debug library, and call its __gc. So the sentinel looks how far down the C stack from lua_close's caller it is: calls
 *     from within another finalizer lie deeper. How far it should be is measured once in the life of the process, on a small state.
 *
 * Where the jump is not made lua_close goes on to its end.
 *
 * Data: lua_closing, on the stack of whoever closes, reached by the heap's account.
 */
#include "lua_close.h"

#include <setjmp.h>

#include "lua_compat.h"

typedef struct lua_closing {
  jmp_buf leave;
  uintptr_t frame;    /* of lua_close's caller */
  lua_Alloc allocate; /* what leave() is in the place of */
  void *ud;
} lua_closing;

/* Behind the objects LuaJIT, which has the interface of 5.1, also has machine code to unmap. */
#if LUA_VERSION_NUM < 502
extern int luaJIT_setmode(lua_State *L, int index, int mode) __attribute__((weak));
#define IS_LUAJIT (luaJIT_setmode != NULL)
#else
#define IS_LUAJIT false
#endif

static volatile word_t gc_distance; /* from lua_close's caller down to a finalizer's frame; 0: not measured yet */

/* The allocator between the last finalizer and the end. */
static void *leave(void *ud, void *block, size_t osize, size_t nsize) {
  lua_closing *c = ud;
  if (block != NULL && nsize == 0) longjmp(c->leave, 1);
  return c->allocate(c->ud, block, osize, nsize);
}

static int finalize_sentinel(lua_State *L) {
  scalloc_lua_heap *lua_heap = scalloc_lua_heap_of(L);
  lua_account *account = lua_heap ? lua_heap_account(lua_heap_core(lua_heap)) : NULL;
  lua_closing *c = account ? account->closing : NULL;
  if (c == NULL || lua_topointer(L, 1) != account->sentinel) return 0;
  word_t distance = (word_t)(c->frame - (uintptr_t)__builtin_frame_address(0));
  if (word_load_relaxed(&gc_distance) == 0) word_store_relaxed(&gc_distance, distance);
  if (word_load_relaxed(&gc_distance) != distance) return 0;
  c->allocate = lua_getallocf(L, &c->ud);
  lua_setallocf(L, leave, c);
  return 0;
}

static int make_sentinel(lua_State *L) {
  scalloc_lua_heap *lua_heap = lua_touserdata(L, 1);
#if LUA_VERSION_NUM < 502
  static char key;
  lua_pushlightuserdata(L, &key);
  lua_newuserdata(L, 0);
  lua_createtable(L, 0, 1);
  lua_pushvalue(L, -2);
  lua_insert(L, 2);
  lua_pushcfunction(L, finalize_sentinel);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_rawset(L, LUA_REGISTRYINDEX);
#else
  lua_pushvalue(L, LUA_REGISTRYINDEX);
  lua_pushcfunction(L, finalize_sentinel);
  lua_setfield(L, 2, "__gc");
  lua_pushvalue(L, 2);
  lua_setmetatable(L, 2);
#endif
  lua_heap_account(lua_heap_core(lua_heap))->sentinel = lua_topointer(L, 2);
  return 0;
}

bool lua_close_mark(lua_State *L, scalloc_lua_heap *lua_heap) {
  if (IS_LUAJIT) return true;
  int status = compat_cpcall(L, make_sentinel, lua_heap);
  if (status != LUA_OK) lua_pop(L, 1);
  return status == LUA_OK;
}

static void close_and_leave(lua_State *L, lua_account *account) {
  lua_closing c = {.frame = (uintptr_t)__builtin_frame_address(0)};
  account->closing = &c;
  if (setjmp(c.leave) == 0) lua_close(L);
  account->closing = NULL;
}

/* On a state that has nothing but the sentinel. */
static void measure_distance(void) {
  scalloc_lua_heap *lua_heap = scalloc_lua_heap_new(NULL);
  lua_State *L = lua_heap ? compat_newstate(scalloc_lua_alloc, lua_heap) : NULL;
  if (L && lua_close_mark(L, lua_heap)) close_and_leave(L, lua_heap_account(lua_heap_core(lua_heap)));
  scalloc_lua_heap_destroy(lua_heap);
}

void lua_close_fast(lua_State *L, scalloc_lua_heap *lua_heap) {
  lua_account *account = lua_heap_account(lua_heap_core(lua_heap));
  if (account->sentinel != NULL && word_load_relaxed(&gc_distance) == 0) measure_distance();
  if (account->sentinel != NULL && word_load_relaxed(&gc_distance) != 0)
    close_and_leave(L, account);
  else
    lua_close(L);
}
