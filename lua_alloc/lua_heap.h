/*
 * lua_heap.h - what a heap for Lua states keeps beside its spans: one word that is limit and use at once.
 */
#ifndef SCALLOC_LUA_HEAP_H
#define SCALLOC_LUA_HEAP_H

#include "fast.h"
#include "scalloc/lua_alloc.h"

typedef struct {
  ptrdiff_t left;  /* limit - used: a growth subtracts and compares, nothing else */
  ptrdiff_t least; /* the smallest `left` has been, brought up to date before it rises */
  ptrdiff_t limit;
} lua_account;

_Static_assert(sizeof(lua_account) <= HEAP_CLIENT_BYTES, "the account lies inside the heap structure");

always_inline heap *lua_heap_core(const scalloc_lua_heap *h) { return (heap *)h; }
always_inline lua_account *lua_heap_account(heap *h) { return (lua_account *)(void *)h->client; }

#endif
