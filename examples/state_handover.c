/*
 * state_handover.c - one Lua state that goes from thread to thread and is closed on a thread that did not make it.
 *
 * A state's heap belongs to the state, not to a thread. Whoever holds the state may allocate and free in it; all that is
 * needed is the synchronisation that any hand-over needs, here a queue with a lock. Servers do this: whichever worker is free
 * takes the next state that has something to do.
 *
 * Worker i takes the state out of queue i, makes a step with it and puts it into queue i + 1. Every step adds a record to a
 * list that lives in the state and drops an old one that, most likely, another thread has made. The worker that makes the
 * last step reads the result and closes the state.
 */
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <scalloc/lua_alloc.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { WORKERS = 4, STEPS = 4001, KEPT = 100 };

static const char program[] =
    "local records, by = {}, { 0, 0, 0, 0 }\n"
    "function step(number, worker, kept)\n"
    "  by[worker + 1] = by[worker + 1] + 1\n"
    "  records[number] = { worker = worker, text = ('step %d'):format(number), numbers = { number } }\n"
    "  records[number - kept] = nil\n"
    "end\n"
    "function result()\n"
    "  local count = 0\n"
    "  for _, record in pairs(records) do count = count + #record.numbers end\n"
    "  return count, table.unpack(by)\n"
    "end\n";

/* What travels. state NULL: the work is done, go home. */
typedef struct message {
  lua_State *state;
  int step;
} message;

/* A queue with room for one message. */
typedef struct queue {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  message content;
  bool full;
} queue;

typedef struct outcome {
  int closed_by, records, steps[WORKERS];
} outcome;

static queue queues[WORKERS];
static outcome result; /* written by the worker that closes, read after all are joined */

static void put(queue *q, message m) {
  pthread_mutex_lock(&q->lock);
  while (q->full) pthread_cond_wait(&q->changed, &q->lock);
  q->content = m;
  q->full = true;
  pthread_cond_broadcast(&q->changed);
  pthread_mutex_unlock(&q->lock);
}

static message take(queue *q) {
  pthread_mutex_lock(&q->lock);
  while (!q->full) pthread_cond_wait(&q->changed, &q->lock);
  message m = q->content;
  q->full = false;
  pthread_cond_broadcast(&q->changed);
  pthread_mutex_unlock(&q->lock);
  return m;
}

static bool make_step(lua_State *L, int step, int worker) {
  lua_getglobal(L, "step");
  lua_pushinteger(L, step);
  lua_pushinteger(L, worker);
  lua_pushinteger(L, KEPT);
  return lua_pcall(L, 3, 0, 0) == LUA_OK;
}

/* Reads what the state has become, and closes it. */
static void finish(lua_State *L, int worker) {
  lua_getglobal(L, "result");
  if (lua_pcall(L, 0, 1 + WORKERS, 0) == LUA_OK) {
    result.records = (int)lua_tointeger(L, -1 - WORKERS);
    for (int i = 0; i < WORKERS; i++) result.steps[i] = (int)lua_tointeger(L, i - WORKERS);
    result.closed_by = worker;
  }
  scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FULL);
}

static void *work(void *argument) {
  int worker = (int)((queue *)argument - queues);
  queue *mine = &queues[worker], *next = &queues[(worker + 1) % WORKERS];
  for (;;) {
    message m = take(mine);
    if (m.state == NULL) return NULL;
    bool good = make_step(m.state, m.step, worker);
    if (good && m.step < STEPS) {
      put(next, (message){m.state, m.step + 1});
    } else {
      finish(m.state, worker);
      for (int i = 0; i < WORKERS; i++) put(&queues[i], (message){NULL, 0}); /* the state was the only message there was */
    }
  }
}

static bool as_claimed(void) {
  bool good = result.closed_by == (STEPS - 1) % WORKERS && result.records == KEPT;
  for (int i = 0; i < WORKERS; i++) good = good && result.steps[i] == STEPS / WORKERS + (i < STEPS % WORKERS);
  return good;
}

int main(void) {
  pthread_t threads[WORKERS];
  result.closed_by = -1;
  lua_State *L = scalloc_lua_newstate(NULL); /* made here, on the main thread */
  if (L == NULL) return EXIT_FAILURE;
  luaL_openlibs(L);
  if (luaL_dostring(L, program) != LUA_OK) return EXIT_FAILURE;
  for (int i = 0; i < WORKERS; i++) {
    pthread_mutex_init(&queues[i].lock, NULL);
    pthread_cond_init(&queues[i].changed, NULL);
    if (pthread_create(&threads[i], NULL, work, &queues[i]) != 0) return EXIT_FAILURE;
  }
  put(&queues[0], (message){L, 1});
  for (int i = 0; i < WORKERS; i++) pthread_join(threads[i], NULL);

  char why[256] = "";
  bool sound = scalloc_check(why, sizeof why);
  for (int i = 0; i < WORKERS; i++) printf("worker %d made %d steps\n", i, result.steps[i]);
  printf("worker %d closed the state of the main thread, with %d records in it; the allocator is %s%s\n", result.closed_by,
         result.records, sound ? "sound" : "broken: ", why);
  return as_claimed() && sound ? EXIT_SUCCESS : EXIT_FAILURE;
}
