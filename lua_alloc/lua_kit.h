/*
 * lua_kit.h - equipped heaps: what the flags of their configuration ask for at each call.
 *
 *   STATS, PROFILE    each block carries a record (lua_record.h), calls and types are counted, ages too
 *   GUARD             bytes behind each block that nobody may write, freed blocks held back and filled
 *   ZERO_ON_FREE      no byte of a freed block is left to read
 *   TAG_SEGREGATE     blocks of different types lie in different spans: a core heap for each group of types
 *   LOCKED, prealloc  blocks come from a fixed piece of memory (lua_pool.h)
 *   SHARED            a lock around each call
 *
 * The functions are called with the lock held, and leave the account to the caller.
 */
#ifndef SCALLOC_LUA_KIT_H
#define SCALLOC_LUA_KIT_H

#include "lua_heap.h"
#include "lua_pool.h"
#include "lua_record.h"

#define lua_kit_check scalloc_private_lua_kit_check
#define lua_kit_count scalloc_private_lua_kit_count
#define lua_kit_each scalloc_private_lua_kit_each
#define lua_kit_end scalloc_private_lua_kit_end
#define lua_kit_flush scalloc_private_lua_kit_flush
#define lua_kit_free scalloc_private_lua_kit_free
#define lua_kit_handle scalloc_private_lua_kit_handle
#define lua_kit_heap scalloc_private_lua_kit_heap
#define lua_kit_make scalloc_private_lua_kit_make
#define lua_kit_new scalloc_private_lua_kit_new
#define lua_kit_resize scalloc_private_lua_kit_resize
#define lua_shared_add scalloc_private_lua_shared_add
#define lua_shared_fork_waits scalloc_private_lua_shared_fork_waits
#define lua_shared_remove scalloc_private_lua_shared_remove

enum {
  LUA_PARTS = 5,      /* groups of types that lie apart: the rest, strings, tables, functions, userdata and threads */
  LUA_HELD_MOST = 64, /* freed blocks that a guard holds back */
};

typedef struct lua_kit {
  spin_lock lock; /* SHARED */
  unsigned flags;
  heap *parts[LUA_PARTS]; /* the first is the heap itself; others NULL but for TAG_SEGREGATE */
  lua_pool *pool;         /* NULL: none */
  void *pool_memory;
  size_t pool_bytes;
  unsigned long long handed_out; /* bytes */
  scalloc_lua_calls calls;
  scalloc_lua_tag tags[SCALLOC_LUA_TAGS];
  unsigned long long lifetimes[SCALLOC_LUA_LIFETIMES];
  void *held[LUA_HELD_MOST]; /* GUARD: freed blocks, oldest first */
  unsigned held_first, held_count;
  struct lua_kit *next, **place; /* SHARED: lua_shared.c; place NULL: not there */
  bool held_for_fork;
} lua_kit;

always_inline lua_kit *lua_heap_kit(heap *h) { return lua_heap_account(h)->kit; }

always_inline bool lua_heap_is_shared(const void *handle) {
  return lua_heap_is_equipped(handle) && lua_heap_kit(lua_heap_core(handle))->flags & SCALLOC_LUA_SHARED;
}

extern volatile word_t lua_shared_fork_waits; /* for the locks of SHARED heaps, lua_shared.c */

/* Around every use of a heap. */
always_inline void lua_heap_enter(heap *h) {
  lua_kit *kit = lua_heap_kit(h);
  if (!kit || !(kit->flags & SCALLOC_LUA_SHARED)) return;
  while (unlikely(word_load_relaxed(&lua_shared_fork_waits) != 0)) os_yield();
  lock_take(&kit->lock);
}
always_inline void lua_heap_leave(heap *h) {
  lua_kit *kit = lua_heap_kit(h);
  if (kit && kit->flags & SCALLOC_LUA_SHARED) lock_give(&kit->lock);
}

/* lua_shared.c: forks see to the lock of this kit, and no longer. */
void lua_shared_add(lua_kit *kit);
void lua_shared_remove(lua_kit *kit);

/* Equips a new heap as its configuration says; nothing to do is no failure. False: errno says why, and nothing is left. */
bool lua_kit_make(heap *h, const scalloc_lua_config *config);

/* Is there anything to equip it with? */
always_inline bool lua_kit_is_needed(const scalloc_lua_config *config) { return config->flags != 0 || config->prealloc != 0; }

/* Before the heap ends. */
void lua_kit_end(heap *h);

void *lua_kit_new(heap *h, size_t type, size_t size);
void lua_kit_free(heap *h, void *block, size_t size);
void *lua_kit_resize(heap *h, void *block, size_t osize, size_t nsize); /* a shrink never fails */

/* Blocks that are held back are given back. */
void lua_kit_flush(heap *h);

/* A call is about to be served. */
void lua_kit_count(heap *h, lua_request r);

/* The core heap of a number, from 0; NULL behind the last. */
heap *lua_kit_heap(heap *h, unsigned number);

/* Every live block, with what is known of it. */
void lua_kit_each(heap *h, scalloc_lua_visit *visit, void *userdata);

#endif
