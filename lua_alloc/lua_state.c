/*
 * lua_state.c - heaps for Lua states, and states on such heaps: made, called, closed.
 */
#include "lua_close.h"
#include "lua_compat.h"
#include "lua_functions.h"
#include "lua_preload.h"

#include <errno.h>

#include "lua_extra.h"
#include "lua_kit.h"

/* ---- heaps ------------------------------------------------------------------------------------------------------------ */

/* The members that the caller's version of the structure has, the others as 0. */
static scalloc_lua_config complete(const scalloc_lua_config *config) {
  scalloc_lua_config all = {.size = sizeof all};
  if (config) memcpy(&all, config, config->size < sizeof all ? config->size : sizeof all);
  return all;
}

lua_extra *lua_extra_make(heap *h) {
  lua_account *account = lua_heap_account(h);
  if (account->extra == NULL) account->extra = scalloc_calloc(1, sizeof(lua_extra));
  return account->extra;
}

static bool enter_group(heap *h, scalloc_lua_group *group) {
  if (group == NULL) return true;
  if (lua_extra_make(h) == NULL) return false;
  lua_group_join(h, group);
  lua_limit_place(h);
  return true;
}

scalloc_lua_heap *scalloc_lua_heap_new(const scalloc_lua_config *given) {
  scalloc_lua_config config = complete(given);
  heap *h = lua_kit_is_needed(&config) || ABLATED(YOUNG) || ABLATED(EIGHTS) ? heap_create(HEAP_EXCLUSIVE) : heap_create_young();
  if (h == NULL) return NULL;
  lua_limit_init(h, &config);
  if (lua_kit_make(h, &config) && enter_group(h, config.group)) return lua_heap_handle(h);
  int why = errno;
  scalloc_lua_heap_destroy(lua_heap_handle(h));
  errno = why;
  return NULL;
}

void scalloc_lua_heap_destroy(scalloc_lua_heap *lua_heap) {
  if (lua_heap == NULL) return;
  heap *h = lua_heap_core(lua_heap);
  lua_extra *e = lua_heap_account(h)->extra;
  if (e) {
    lua_group_leave(h);
    scalloc_free(e);
  }
  lua_kit_end(h);
  heap_end(h);
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

lua_State *scalloc_lua_newstate_in(scalloc_lua_heap *lua_heap) {
  if (scalloc_lua_used(lua_heap) != 0) {
    errno = EBUSY;
    return NULL;
  }
  lua_State *L = compat_newstate(scalloc_lua_alloc, lua_heap);
  if (L == NULL || !lua_close_mark(L, lua_heap) || !scalloc_lua_functions_publish(L)) { /* nothing yet that needs a close */
    scalloc_lua_heap_reset(lua_heap);
    errno = ENOMEM;
    return NULL;
  }
  lua_atpanic(L, panic);
  lua_setwarnf(L, warn_off, L);
  return L;
}

lua_State *scalloc_lua_newstate(const scalloc_lua_config *config) {
  scalloc_lua_heap *lua_heap = scalloc_lua_heap_new(config);
  lua_State *L = lua_heap ? scalloc_lua_newstate_in(lua_heap) : NULL;
  if (L == NULL) scalloc_lua_heap_destroy(lua_heap);
  return L;
}

static int open_libraries(lua_State *L) {
  luaL_openlibs(L);
  return 0;
}

int scalloc_lua_openlibs(lua_State *L) { return compat_cpcall(L, open_libraries, NULL); }

scalloc_lua_heap *scalloc_lua_heap_of(lua_State *L) {
  void *ud;
  lua_Alloc f = lua_getallocf(L, &ud);
  return f == scalloc_lua_alloc || f == lua_adopted_alloc || f == scalloc_lua_alloc_shared ? ud : NULL;
}

/* Closes the state, but for DISCARD; its heap, if it has one, is still there, perhaps with blocks. */
static void end_state(lua_State *L, scalloc_lua_heap *lua_heap, scalloc_lua_close_mode mode) {
  lua_extra *e = lua_heap ? lua_heap_account(lua_heap_core(lua_heap))->extra : NULL;
  if (e) e->last = NULL; /* the heap does not end with the state: the caller sees to it */
  if (lua_heap != NULL && mode == SCALLOC_LUA_CLOSE_FAST)
    lua_close_fast(L, lua_heap);
  else if (lua_heap == NULL || mode == SCALLOC_LUA_CLOSE_FULL)
    lua_close(L);
  if (lua_heap != NULL && mode == SCALLOC_LUA_CLOSE_FULL) lua_stats_report_leaks(lua_heap_core(lua_heap));
}

void scalloc_lua_close(lua_State *L, scalloc_lua_close_mode mode) {
  scalloc_lua_heap *lua_heap = scalloc_lua_heap_of(L); /* before the state is gone */
  const lua_extra *e = lua_heap ? lua_heap_account(lua_heap_core(lua_heap))->extra : NULL;
  lua_allocator *allocate_before = e ? e->allocate : NULL;
  void *ud_before = e ? e->ud : NULL;
  end_state(L, lua_heap, mode);
  scalloc_lua_heap_destroy(lua_heap);
  if (allocate_before) lua_adopted_end(allocate_before, ud_before);
}

scalloc_lua_heap *scalloc_lua_close_keep(lua_State *L, scalloc_lua_close_mode mode) {
  scalloc_lua_heap *lua_heap = scalloc_lua_heap_of(L);
  const lua_extra *e = lua_heap ? lua_heap_account(lua_heap_core(lua_heap))->extra : NULL;
  if (lua_heap == NULL || (e && e->allocate)) { /* adopted: part of it is not in the heap */
    scalloc_lua_close(L, mode);
    return NULL;
  }
  end_state(L, lua_heap, mode);
  if (scalloc_lua_heap_reset(lua_heap)) return lua_heap;
  scalloc_lua_heap_destroy(lua_heap);
  return NULL;
}

/* ---- for hosts that know nothing of scalloc: libscalloc_lua_preload.so ------------------------------------------------- */

static lua_State *newstate_until_close(void) {
  lua_State *L = scalloc_lua_newstate(NULL);
  lua_extra *e = L ? lua_extra_make(lua_heap_core(scalloc_lua_heap_of(L))) : NULL;
  if (e == NULL && L != NULL) {
    scalloc_lua_close(L, SCALLOC_LUA_CLOSE_DISCARD);
    return NULL;
  }
  if (e) e->last = L;
  return L;
}

/* A heap that ends with the call of lua_close: none that an adoption has put on it, nor one whose state we are closing. */
static scalloc_lua_heap *ends_with_close(lua_State *L) {
  scalloc_lua_heap *lua_heap = scalloc_lua_heap_of(L);
  const lua_extra *e = lua_heap ? lua_heap_account(lua_heap_core(lua_heap))->extra : NULL;
  return e && e->last && !e->allocate ? lua_heap : NULL;
}

const lua_preloaded lua_preloaded_kit = {newstate_until_close, ends_with_close, scalloc_lua_heap_destroy};

/* ---- calls ------------------------------------------------------------------------------------------------------------ */

/* What a call changes in the heap for its time. The heap lives until it ends: scalloc_lua_release refuses meanwhile. */
typedef struct {
  heap *h;
  size_t ceiling;        /* before */
  long growths, granted; /* before; during the call */
} call;

static call begin_call(heap *h) {
  lua_account *account = lua_heap_account(h);
  lua_heap_enter(h);
  call c = {h, account->ceiling, account->growths, account->growths};
  if (account->extra) account->extra->calls++;
  return c;
}

static void begun(call c) {
  lua_limit_place(c.h);
  lua_heap_leave(c.h);
}

static void end_call(call c, bool failing) {
  lua_account *account = lua_heap_account(c.h);
  lua_heap_enter(c.h);
  account->ceiling = c.ceiling;
  if (failing) { /* what it used up is gone for the call around it, too */
    bool counted = c.growths >= 0 && account->growths >= 0 && account->growths < c.granted;
    account->growths = counted ? c.growths - (c.granted - account->growths) : c.growths;
  }
  if (account->extra) account->extra->calls--;
  lua_limit_place(c.h);
  lua_heap_leave(c.h);
}

int scalloc_lua_pcall(lua_State *L, int nargs, int nresults, int msgh, size_t budget) {
  scalloc_lua_heap *lua_heap = scalloc_lua_heap_of(L);
  if (lua_heap == NULL) return lua_pcall(L, nargs, nresults, msgh);
  call c = begin_call(lua_heap_core(lua_heap));
  lua_account *account = lua_heap_account(c.h);
  size_t used = lua_account_used(account), ceiling = budget < SIZE_MAX - used ? used + budget : SIZE_MAX;
  account->ceiling = ceiling < c.ceiling ? ceiling : c.ceiling;
  begun(c);
  int status = lua_pcall(L, nargs, nresults, msgh);
  end_call(c, false);
  return status;
}

int lua_pcall_failing(lua_State *L, int nargs, int nresults, long growths) {
  scalloc_lua_heap *lua_heap = scalloc_lua_heap_of(L);
  if (lua_heap == NULL) return lua_pcall(L, nargs, nresults, 0);
  call c = begin_call(lua_heap_core(lua_heap));
  if (growths >= 0 && (c.growths < 0 || growths < c.growths)) c.granted = growths;
  lua_heap_account(c.h)->growths = c.granted;
  begun(c);
  int status = lua_pcall(L, nargs, nresults, 0);
  end_call(c, true);
  return status;
}
