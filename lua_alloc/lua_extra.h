/*
 * lua_extra.h - what few heaps have beside their account: a group, or a state that they were adopted by.
 */
#ifndef SCALLOC_LUA_EXTRA_H
#define SCALLOC_LUA_EXTRA_H

#include "lua_heap.h"

#define lua_adopted_alloc scalloc_private_lua_adopted_alloc
#define lua_adopted_end scalloc_private_lua_adopted_end
#define lua_extra_make scalloc_private_lua_extra_make
#define lua_group_give scalloc_private_lua_group_give
#define lua_group_join scalloc_private_lua_group_join
#define lua_group_leave scalloc_private_lua_group_leave
#define lua_group_look scalloc_private_lua_group_look
#define lua_group_more scalloc_private_lua_group_more
#define lua_pcall_failing scalloc_private_lua_pcall_failing

typedef void *lua_allocator(void *ud, void *block, size_t osize, size_t nsize);

typedef struct lua_extra {
  /* ---- lua_group.c ---- */
  scalloc_lua_group *group;        /* NULL: none */
  size_t quota;                    /* bytes of the group that this heap may use without asking */
  word_t refusals;                 /* of the group, that this heap has taken note of */
  volatile word_t moves;           /* of the mark; odd while it moves, and with it `left` */
  heap *self;                      /* for the sum over a group */
  struct lua_extra *volatile next; /* in the group's list: the truth, one store a change */
  struct lua_extra **place;        /* what `next` of the one before is, unless a fork came between */
  /* ---- lua_adopt.c ---- */
  lua_allocator *allocate; /* of the state before; NULL: not adopted */
  void *ud;
  size_t old;     /* bytes that lie there still, and count as used */
  bool released;  /* new blocks come from there again */
  unsigned calls; /* with a budget or with failures, that are open: until they end the heap stays */
  const void
      *last; /* the state: lies in the block that Lua frees last, with which the heap ends; NULL: who closes it ends it */
} lua_extra;

/* The extra of a heap, made if it has none; NULL and ENOMEM. */
lua_extra *lua_extra_make(heap *h);

/* The heap becomes one of the group, with no quota yet; O(1). And none any more: its quota goes back. */
void lua_group_join(heap *h, scalloc_lua_group *group);
void lua_group_leave(heap *h);

/* Quota up to `used` bytes of use. False: the group has not so much, and `forced` was not asked for. */
bool lua_group_more(heap *h, size_t used, bool forced);

/* Gives back the quota beyond what is used and `keep` bytes. */
void lua_group_give(heap *h, size_t keep);

/* Now and then, where it costs little: gives back what others need, or what is a lot. */
void lua_group_look(heap *h);

/* The allocator of a state that a heap was adopted by; ud is the heap. */
lua_allocator lua_adopted_alloc;

/* The heap ends with the state, for hosts that know nothing of it and call lua_close. L: its main thread. */
#define lua_adopted_ends_with scalloc_private_lua_adopted_ends_with
void lua_adopted_ends_with(scalloc_lua_heap *lua_heap, const lua_State *L);

/* lua_state.c: lua_pcall in which so many growths succeed, or as many as those around it leave. */
int lua_pcall_failing(lua_State *L, int nargs, int nresults, long growths);

/* After the state is gone: ends the heap that it had before, if it was one of ours. */
void lua_adopted_end(lua_allocator *allocate, void *ud);

#endif
