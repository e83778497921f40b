/*
 * lua_state.c - heaps for Lua states, states on such heaps, and what can be asked of them.
 */
#include "lua_compat.h"
#include "lua_heap.h"
#include "walk.h"

/* ---- heaps ------------------------------------------------------------------------------------------------------------ */

scalloc_lua_heap *scalloc_lua_heap_new(const scalloc_lua_config *config) {
  (void)config;
  heap *h = heap_create(HEAP_EXCLUSIVE);
  if (h == NULL) return NULL;
  *lua_heap_account(h) = (lua_account){.left = PTRDIFF_MAX, .least = PTRDIFF_MAX, .limit = PTRDIFF_MAX};
  return (scalloc_lua_heap *)h;
}

void scalloc_lua_heap_destroy(scalloc_lua_heap *lua_heap) {
  if (lua_heap) heap_end(lua_heap_core(lua_heap));
}

size_t scalloc_lua_used(const scalloc_lua_heap *lua_heap) {
  const lua_account *account = lua_heap_account(lua_heap_core(lua_heap));
  return (size_t)(account->limit - account->left);
}

size_t scalloc_lua_peak(scalloc_lua_heap *lua_heap, bool reset) {
  lua_account *account = lua_heap_account(lua_heap_core(lua_heap));
  if (account->left < account->least) account->least = account->left;
  size_t peak = (size_t)(account->limit - account->least);
  if (reset) account->least = account->left;
  return peak;
}

static void add_span(span *s, void *totals) { walk_add(s, totals); }

size_t scalloc_lua_stats_json(scalloc_lua_heap *lua_heap, char *buffer, size_t size) {
  walk_totals t = {0};
  heap_each_span(lua_heap_core(lua_heap), add_span, &t);
  int n = snprintf(buffer, size,
                   "{\"bytes\":{\"used\":%zu,\"peak\":%zu,\"committed\":%zu},"
                   "\"spans\":{\"hot\":%zu,\"floating\":%zu,\"reusable\":%zu,\"large\":%zu}}",
                   scalloc_lua_used(lua_heap), scalloc_lua_peak(lua_heap, false), t.committed, t.hot, t.floating, t.reusable,
                   t.large);
  return n < 0 ? 0 : (size_t)n;
}

/* ---- states ----------------------------------------------------------------------------------------------------------- */

static int panic(lua_State *L) {
  const char *message = lua_tostring(L, -1);
  lua_writestringerror("PANIC: unprotected error in call to Lua API (%s)\n",
                       message ? message : "error object is not a string");
  return 0; /* Lua aborts */
}

#if LUA_VERSION_NUM >= 504
/* Warnings are off until "@on". A message may come in pieces; the function set last tells what the next piece is. */
static void warn_off(void *ud, const char *message, int to_be_continued);
static void warn_on(void *ud, const char *message, int to_be_continued);
static void warn_continued(void *ud, const char *message, int to_be_continued);

static bool warn_control(lua_State *L, const char *message, int to_be_continued) {
  if (to_be_continued || message[0] != '@') return false;
  if (strcmp(message, "@on") == 0) lua_setwarnf(L, warn_on, L);
  if (strcmp(message, "@off") == 0) lua_setwarnf(L, warn_off, L);
  return true;
}

static void warn_off(void *ud, const char *message, int to_be_continued) { warn_control(ud, message, to_be_continued); }

static void warn_continued(void *ud, const char *message, int to_be_continued) {
  lua_writestringerror("%s", message);
  if (!to_be_continued) lua_writestringerror("%s", "\n");
  lua_setwarnf(ud, to_be_continued ? warn_continued : warn_on, ud);
}

static void warn_on(void *ud, const char *message, int to_be_continued) {
  if (warn_control(ud, message, to_be_continued)) return;
  lua_writestringerror("%s", "Lua warning: ");
  warn_continued(ud, message, to_be_continued);
}

#else
#define lua_setwarnf(L, function, ud) ((void)0)
#endif

lua_State *scalloc_lua_newstate(const scalloc_lua_config *config) {
  scalloc_lua_heap *lua_heap = scalloc_lua_heap_new(config);
  if (lua_heap == NULL) return NULL;
  lua_State *L = compat_newstate(scalloc_lua_alloc, lua_heap);
  if (L == NULL) {
    scalloc_lua_heap_destroy(lua_heap);
    return NULL;
  }
  lua_atpanic(L, panic);
  lua_setwarnf(L, warn_off, L);
  return L;
}

scalloc_lua_heap *scalloc_lua_heap_of(lua_State *L) {
  void *ud;
  return lua_getallocf(L, &ud) == scalloc_lua_alloc ? ud : NULL;
}

void scalloc_lua_close(lua_State *L, scalloc_lua_close_mode mode) {
  scalloc_lua_heap *lua_heap = scalloc_lua_heap_of(L); /* before the state is gone */
  if (mode != SCALLOC_LUA_CLOSE_DISCARD || lua_heap == NULL) lua_close(L);
  scalloc_lua_heap_destroy(lua_heap);
}
