/*
 * sandbox.c - the sandbox itself: a state on a heap with limits, a hook that counts instructions.
 *
 * Memory: the heap's hard limit ends growth in "not enough memory", wherever it comes from, and `max_block` keeps any one operation
 * short. Whether memory ran out is asked of the heap: a script can raise the same message. The host's set-up is not limited;
 * `scalloc_lua_arm` puts the limits into force just before the script begins.
 *
 * Time: a script that catches the error of the hook is stopped at its next instruction again, and so leaves every pcall.
 *
 * Closing: FAST, as nothing of the script has to be visited; a sandboxed state has no finalizers of the script's.
 */
#include "sandbox.h"

#include <lauxlib.h>
#include <lualib.h>
#include <scalloc/lua_alloc.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "sandbox_library.h"

enum {
  STEP = 100, /* instructions between two looks at the clock: one may compare long strings, which takes milliseconds */
  WORK_BETWEEN = 100000, /* units of work, likewise */
};

typedef struct {
  const sandbox_limits *limits;
  const char *script;
  size_t length;
  double began, looked;   /* CPU seconds; wall seconds */
  double work, work_then; /* units, now and at the last look */
  long instructions;
  bool stopped;
} session;

static double seconds_of(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static double cpu_seconds(void) { return seconds_of(CLOCK_THREAD_CPUTIME_ID); }

/* Lua keeps a pointer beside each state, and copies it for every coroutine. */
static session *session_of(lua_State *L) { return *(session **)lua_getextraspace(L); }

/* The CPU clock takes a system call, and gets no further than the other one, which takes none. */
static bool is_too_late(session *s) {
  double now = seconds_of(CLOCK_MONOTONIC);
  s->work_then = s->work;
  if (now - s->looked < 0.002) return false;
  s->looked = now;
  return cpu_seconds() - s->began > s->limits->seconds;
}

static void hook(lua_State *L, lua_Debug *where);

static void stop(lua_State *L) {
  session_of(L)->stopped = true;
  lua_sethook(L, hook, LUA_MASKCOUNT, 1);
  luaL_error(L, "out of time");
}

static bool is_too_much(const session *s) { return (double)s->instructions + s->work / 64 > (double)s->limits->instructions; }

static void hook(lua_State *L, lua_Debug *where) {
  (void)where;
  session *s = session_of(L);
  s->instructions += s->stopped ? 1 : STEP;
  if (s->stopped || is_too_much(s) || is_too_late(s)) stop(L);
}

/* 64 units of a library's work are about as long as one instruction. */
static void charge(lua_State *L, double work) {
  session *s = session_of(L);
  s->work += work;
  if (is_too_much(s) || (s->work - s->work_then > WORK_BETWEEN && is_too_late(s))) stop(L);
}

/* Everything that can raise an error, in protected mode. Returns what the script returns. */
static int run(lua_State *L) {
  session *s = lua_touserdata(L, 1);
  luaL_openlibs(L);
  sandbox_restrict(L, charge);
  lua_gc(L, LUA_GCCOLLECT);
  lua_settop(L, 0);
  scalloc_lua_arm(scalloc_lua_heap_of(L));
  lua_sethook(L, hook, LUA_MASKCOUNT, STEP);
  s->began = cpu_seconds();
  if (luaL_loadbufferx(L, s->script, s->length, "=script", "t") != LUA_OK) return lua_error(L);
  lua_call(L, 0, 1);
  return 1;
}

/* No __tostring: that would be the script's code again. */
static void describe(lua_State *L, sandbox_result *result) {
  const char *text = lua_type(L, -1) == LUA_TSTRING || lua_type(L, -1) == LUA_TNUMBER ? lua_tostring(L, -1) : NULL;
  if (text)
    snprintf(result->text, sizeof result->text, "%s", text);
  else
    snprintf(result->text, sizeof result->text, "(a %s)", luaL_typename(L, -1));
}

static sandbox_end end_of(int status, const session *s, scalloc_lua_heap *heap) {
  scalloc_lua_stats stats = {.size = sizeof stats};
  if (status == LUA_OK) return SANDBOX_DONE;
  if (s->stopped) return SANDBOX_NO_TIME;
  scalloc_lua_stats_read(heap, &stats);
  return status == LUA_ERRMEM && stats.failures > 0 ? SANDBOX_NO_MEMORY : SANDBOX_ERROR;
}

sandbox_result sandbox_run(const char *script, size_t length, const sandbox_limits *limits) {
  sandbox_result result = {.end = SANDBOX_NO_MEMORY, .text = "no memory for a state"};
  session s = {.limits = limits, .script = script, .length = length};
  scalloc_lua_config config = {
      .size = sizeof config, .hard_limit = limits->memory, .max_block = limits->block, .name = "sandbox"};
  lua_State *L = scalloc_lua_newstate(&config);
  if (L == NULL) return result;
  scalloc_lua_heap *heap = scalloc_lua_heap_of(L);
  *(session **)lua_getextraspace(L) = &s;
  lua_pushcfunction(L, run);
  lua_pushlightuserdata(L, &s);
  int status = lua_pcall(L, 1, 1, 0);
  scalloc_lua_disarm(heap);
  lua_sethook(L, NULL, 0, 0);
  result.end = end_of(status, &s, heap);
  describe(L, &result);
  result.peak = scalloc_lua_peak(heap, false);
  result.instructions = s.instructions;
  result.seconds = cpu_seconds() - s.began;
  scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FAST);
  return result;
}
