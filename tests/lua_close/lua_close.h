/*
 * lua_close.h - what the tests of closing share: a state on any allocator with the host's functions for cases.lua, the ways to
 * close it, and what it noted.
 */
#ifndef SCALLOC_TESTS_LUA_CLOSE_H
#define SCALLOC_TESTS_LUA_CLOSE_H

#include "../test.h"

#include <lauxlib.h>
#include <lualib.h>
#include <scalloc/lua_alloc.h>

typedef enum { PLAIN, FULL, FAST, HOSTED, WAYS } way; /* HOSTED: the host called lua_newstate itself; its close is FAST */
static const char *const way_names[] = {"lua_close", "FULL", "FAST", "FAST of a state made by the host"};

/* ---- notes: text in the order of things, a line each ------------------------------------------------------------------ */

static char notes[1 << 20];
static size_t notes_length;

static inline void note_text(const char *text) {
  size_t length = strlen(text);
  CHECK(notes_length + length < sizeof notes);
  memcpy(notes + notes_length, text, length + 1);
  notes_length += length;
}

static inline int note(lua_State *L) {
  int count = lua_gettop(L);
  for (int i = 1; i <= count; i++) {
    note_text(luaL_tolstring(L, i, NULL));
    note_text(i < count ? " " : "\n");
    lua_pop(L, 1);
  }
  return 0;
}

static inline void note_warning(void *ud, const char *message, int to_be_continued) {
  (void)ud;
  note_text(message);
  if (!to_be_continued) note_text("\n");
}

/* ---- states ------------------------------------------------------------------------------------------------------------ */

static inline int object_gc(lua_State *L) {
  char text[64];
  snprintf(text, sizeof text, "userdata %d\n", *(int *)lua_touserdata(L, 1));
  note_text(text);
  if (*(int *)lua_touserdata(L, 1) % 5 == 0) return luaL_error(L, "C finalizer");
  return 0;
}

static inline int object(lua_State *L) {
  *(int *)lua_newuserdatauv(L, sizeof(int), 1) = (int)luaL_checkinteger(L, 1);
  if (luaL_newmetatable(L, "object")) {
    lua_pushcfunction(L, object_gc);
    lua_setfield(L, -2, "__gc");
  }
  lua_setmetatable(L, -2);
  return 1;
}

static inline lua_State *new_state(way how) {
  lua_State *L = how == PLAIN    ? luaL_newstate()
                 : how == HOSTED ? lua_newstate(scalloc_lua_alloc, scalloc_lua_heap_new(NULL))
                                 : scalloc_lua_newstate(NULL);
  CHECK(L != NULL);
  luaL_openlibs(L);
  lua_setwarnf(L, note_warning, NULL);
  lua_register(L, "note", note);
  lua_register(L, "object", object);
  return L;
}

static inline void close_state(lua_State *L, way how) {
  if (how == PLAIN)
    lua_close(L);
  else
    scalloc_lua_close(L, how == FULL ? SCALLOC_LUA_CLOSE_FULL : SCALLOC_LUA_CLOSE_FAST);
}

static inline void run(lua_State *L, const char *script) {
  if (luaL_dostring(L, script) != LUA_OK) test_fail(__FILE__, __LINE__, "script failed: %s", lua_tostring(L, -1));
}

#endif
