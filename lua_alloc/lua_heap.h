/*
 * lua_heap.h - what a heap for Lua states keeps beside its spans, and what the files of the packaging share.
 *
 *   lua_alloc.c   the lua_Alloc function and its two fast paths      lua_stats.c   figures, JSON, walk, leaks
 *   lua_limit.c   limits, pressure, budgets, refusals                lua_state.c   heaps and states: made, called, closed
 *   lua_kit.c     equipped heaps: flags of the configuration         lua_close.c   closing a state without a visit to its objects
 *   lua_group.c   one limit over many heaps                          lua_adopt.c   running states that change over to a heap
 *   lua_record.h  what is kept at the end of their blocks            lua_pool.c    a fixed piece of memory for one heap
 *   lua_shared.c  forks beside heaps that threads share              lua_reset.c   heaps that are emptied and used again
 *
 * One word decides whether a growth may be fast: `left`, the distance from the bytes in use to the nearest event. An event is
 * whatever has to be looked at: a limit, the soft limit, the end of a budget, or (at 0) something that concerns every growth.
 * Beyond it lua_limit.c sorts out which it is. `used` is always `mark - left`, exact.
 *
 * A heap with flags that every call has to look at is *equipped*. Its handle has the highest bit set, so that the one test which
 * finds a NULL handle finds it too: the fast paths of the other heaps pay nothing.
 */
#ifndef SCALLOC_LUA_HEAP_H
#define SCALLOC_LUA_HEAP_H

#include "fast.h"
#include "scalloc/lua_alloc.h"

/* What these files share gets names of its own in the object code, as in names.h. */
#define lua_limit_admit scalloc_private_lua_limit_admit
#define lua_limit_admitted scalloc_private_lua_limit_admitted
#define lua_limit_init scalloc_private_lua_limit_init
#define lua_limit_peak scalloc_private_lua_limit_peak
#define lua_limit_place scalloc_private_lua_limit_place
#define lua_limit_refuse scalloc_private_lua_limit_refuse
#define lua_stats_report_leaks scalloc_private_lua_stats_report_leaks
#define lua_limit_set scalloc_private_lua_limit_set

/* The arguments of a call. */
typedef struct {
  void *block;
  size_t osize, nsize;
} lua_request;

/* All of it belongs to the heap's user. */
typedef struct {
  /* ---- the fast paths ---- */
  ptrdiff_t left;  /* mark - used: a growth subtracts and compares, nothing else */
  ptrdiff_t least; /* the smallest `left` has been, brought up to date before it rises */
  ptrdiff_t mark;  /* where the nearest event lies */
  size_t most;     /* the largest block that may be had now */
  /* ---- limits: bytes, SIZE_MAX = none ---- */
  size_t soft, hard, max_block;
  size_t ceiling; /* of the innermost budget */
  long growths;   /* that still succeed; < 0 = all */
  unsigned armed; /* arms less disarms */
  bool above;     /* use was above the soft limit after the last growth that was looked at */
  bool calling;   /* on_pressure runs */
  bool refused;   /* `request` was refused, and no growth came since */
  lua_request request;
  struct lua_kit *kit;     /* NULL: no flags */
  struct lua_extra *extra; /* NULL: neither in a group nor adopted */
  uint64_t refusals, emergencies, failures, pressures;
  void (*on_pressure)(void *userdata, scalloc_lua_heap *heap, size_t used, size_t limit);
  void *userdata;
  const char *name;
  /* ---- the state that scalloc_lua_newstate made here (lua_close.c) ---- */
  const void *sentinel; /* NULL: none */
  struct lua_closing *closing;
} lua_account;

_Static_assert(sizeof(lua_account) <= HEAP_CLIENT_BYTES, "the account lies inside the heap structure");

#define LUA_EQUIPPED ((uintptr_t)1 << 63)

always_inline bool lua_heap_is_equipped(const void *handle) { return ((uintptr_t)handle & LUA_EQUIPPED) != 0; }
always_inline heap *lua_heap_core(const scalloc_lua_heap *handle) { return (heap *)((uintptr_t)handle & ~LUA_EQUIPPED); }
always_inline lua_account *lua_heap_account(heap *h) { return (lua_account *)(void *)h->client; }

/* What programs have of a heap. */
always_inline scalloc_lua_heap *lua_heap_handle(heap *h) {
  return (scalloc_lua_heap *)((uintptr_t)h | (lua_heap_account(h)->kit ? LUA_EQUIPPED : 0));
}

/* `left` and `mark` have one writer, but the sum over a group reads them: under TSan they are atomics. */
always_inline void account_set_left(lua_account *account, ptrdiff_t left) {
#if UNDER_TSAN
  word_store_relaxed((volatile word_t *)&account->left, (word_t)left);
#else
  account->left = left;
#endif
}

always_inline void account_set_mark(lua_account *account, ptrdiff_t mark) {
  word_store_release((volatile word_t *)&account->mark, (word_t)mark);
}

always_inline size_t lua_account_used(const lua_account *account) { return (size_t)(account->mark - account->left); }

/* More memory of the account is about to be given back: remember how much was in use. */
always_inline void lua_account_peak(lua_account *account) {
  if (account->left < account->least) account->least = account->left;
}

/* By how much a request grows what is in use; SIZE_MAX and near it for what cannot be met. No growth: 0. */
always_inline size_t lua_request_growth(lua_request r) {
  size_t osize = r.block ? r.osize : 0; /* else it is a type tag */
  return r.nsize > osize ? r.nsize - osize : 0;
}

/* No event lies between the bytes in use and those after the growth. */
always_inline bool lua_account_is_far(const lua_account *account, lua_request r, size_t growth) {
  return r.nsize <= account->most && growth <= PTRDIFF_MAX && (ptrdiff_t)growth <= account->left;
}

/* ---- lua_limit.c: growths that an event concerns, and shrinks none ---- */

/* May the growth be tried? False: refused, counted, errno is ENOMEM. */
bool lua_limit_admit(heap *h, lua_request r);

/* A growth that was admitted has been met, and charged. May call on_pressure. */
void lua_limit_admitted(heap *h, lua_request r, size_t growth);

/* A growth that was not met, for whatever reason. */
void lua_limit_refuse(heap *h, lua_request r);

/* Begins with nothing in use. */
void lua_limit_init(heap *h, const scalloc_lua_config *config);

/* Soft and hard limit: bytes, 0 = none. */
void lua_limit_set(heap *h, size_t soft, size_t hard);

/* The largest use there has been, which reset makes the present one. */
size_t lua_limit_peak(heap *h, bool reset);

/* lua_stats.c: a line on stderr if blocks live in a heap with STATS whose state has been closed. */
void lua_stats_report_leaks(heap *h);

/* Puts the mark to the nearest event, after a change of what they are. */
void lua_limit_place(heap *h);

#endif
