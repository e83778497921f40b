/*
 * lua_adopt.c - a running state changes over to a heap, and back.
 *
 * The blocks it has already stay with the allocator they came from: whether one lies in our heap is told by its address. What
 * grows comes over. So `used` begins with what Lua counts then, and loses it as these blocks go.
 *
 * Data: the adopted part of the heap's extra.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "lua_compat.h"
#include "lua_extra.h"
#include "lua_kit.h"

static bool is_ours(heap *h, const void *block) {
  const lua_kit *kit = lua_heap_kit(h);
  const heap *owner = heap_of_address(block), *part = h;
  if (kit && kit->pool && lua_pool_has(kit->pool, block)) return true;
  if (owner == NULL) return false;
  for (unsigned i = 1; part != NULL && part != owner; i++) part = lua_kit_heap(h, i);
  return part != NULL;
}

/* So many bytes of blocks that lie elsewhere are gone. What Lua did not count then is no loss now. */
static size_t forget_old(heap *h, size_t bytes) {
  lua_account *account = lua_heap_account(h);
  lua_heap_enter(h);
  size_t known = bytes < account->extra->old ? bytes : account->extra->old;
  lua_account_peak(account);
  account_set_left(account, account->left + (ptrdiff_t)known);
  account->extra->old -= known;
  lua_heap_leave(h);
  return known;
}

/* So many bytes lie elsewhere, and count, though they take use above a limit. */
static void count_old(heap *h, size_t bytes) {
  lua_account *account = lua_heap_account(h);
  lua_heap_enter(h);
  account_set_left(account, account->left - (ptrdiff_t)bytes);
  account->extra->old += bytes;
  size_t used = lua_account_used(account);
  if (account->extra->group && used > account->extra->quota) lua_group_more(h, used, true);
  lua_heap_leave(h);
}

/* A block that lies elsewhere grows: it comes over, and only the difference counts against a limit. */
static void *fetch(void *ud, void *block, size_t osize, size_t nsize) {
  heap *h = lua_heap_core(ud);
  const lua_extra *e = lua_heap_account(h)->extra;
  size_t known = forget_old(h, osize);
  void *moved = scalloc_lua_alloc(ud, NULL, 0, nsize);
  if (moved == NULL) {
    count_old(h, known);
    return NULL;
  }
  memcpy(moved, block, osize);
  e->allocate(e->ud, block, osize, 0);
  return moved;
}

/* The block of the state itself is gone, and with it the last use of the heap. */
static void end_with_state(void *ud) {
  const lua_extra *e = lua_heap_account(lua_heap_core(ud))->extra;
  lua_allocator *allocate_before = e->allocate;
  void *ud_before = e->ud;
  scalloc_lua_heap_destroy(ud);
  lua_adopted_end(allocate_before, ud_before);
}

void lua_adopted_ends_with(scalloc_lua_heap *lua_heap, const lua_State *L) {
  lua_heap_account(lua_heap_core(lua_heap))->extra->last = L;
}

/* A block that lies elsewhere. */
static void *elsewhere(void *ud, void *block, size_t osize, size_t nsize) {
  heap *h = lua_heap_core(ud);
  const lua_extra *e = lua_heap_account(h)->extra;
  if (nsize > osize && !e->released) return fetch(ud, block, osize, nsize);
  bool is_last = nsize == 0 && (uintptr_t)e->last - (uintptr_t)block < osize;
  void *result = e->allocate(e->ud, block, osize, nsize);
  if (nsize < osize && (result || nsize == 0)) forget_old(h, osize - nsize);
  if (is_last) end_with_state(ud);
  return result;
}

/* A block of ours in a state that has been released: it goes back when its size changes. */
static void *send_back(void *ud, void *block, size_t osize, size_t nsize) {
  const lua_extra *e = lua_heap_account(lua_heap_core(ud))->extra;
  void *moved = e->allocate(e->ud, NULL, 0, nsize);
  if (moved == NULL) return nsize <= osize ? scalloc_lua_alloc(ud, block, osize, nsize) : NULL;
  memcpy(moved, block, nsize < osize ? nsize : osize);
  scalloc_lua_alloc(ud, block, osize, 0);
  return moved;
}

void *lua_adopted_alloc(void *ud, void *block, size_t osize, size_t nsize) {
  heap *h = lua_heap_core(ud);
  const lua_extra *e = lua_heap_account(h)->extra;
  if (block == NULL) return e->released ? e->allocate(e->ud, NULL, osize, nsize) : scalloc_lua_alloc(ud, NULL, osize, nsize);
  if (!is_ours(h, block)) return elsewhere(ud, block, osize, nsize);
  return e->released && nsize != 0 ? send_back(ud, block, osize, nsize) : scalloc_lua_alloc(ud, block, osize, nsize);
}

/* ---- changing over ----------------------------------------------------------------------------------------------------------- */

scalloc_lua_heap *scalloc_lua_adopt(lua_State *L, const scalloc_lua_config *config) {
  void *ud;
  lua_Alloc allocate = lua_getallocf(L, &ud);
  if (allocate == lua_adopted_alloc) {
    errno = EINVAL;
    return NULL;
  }
  scalloc_lua_heap *lua_heap = scalloc_lua_heap_new(config);
  if (lua_heap == NULL) return NULL;
  heap *h = lua_heap_core(lua_heap);
  if (lua_extra_make(h) == NULL) {
    scalloc_lua_heap_destroy(lua_heap);
    return NULL;
  }
  lua_extra *e = lua_heap_account(h)->extra;
  e->allocate = allocate;
  e->ud = ud;
  count_old(h, (size_t)lua_gc(L, LUA_GCCOUNT, 0) * 1024 + (size_t)lua_gc(L, LUA_GCCOUNTB, 0));
  lua_setallocf(L, lua_adopted_alloc, lua_heap);
  return lua_heap;
}

bool scalloc_lua_release(lua_State *L) {
  void *ud;
  if (lua_getallocf(L, &ud) != lua_adopted_alloc) return false;
  heap *h = lua_heap_core(ud);
  lua_extra *e = lua_heap_account(h)->extra;
  if (e->calls != 0) return false;
  e->released = true;
  forget_old(h, e->old);
  if (scalloc_lua_leaks(ud) != 0) return false;
  lua_setallocf(L, e->allocate, e->ud);
  scalloc_lua_heap_destroy(ud);
  return true;
}

void lua_adopted_end(lua_allocator *allocate, void *ud) {
  if (allocate == scalloc_lua_alloc || allocate == scalloc_lua_alloc_shared) scalloc_lua_heap_destroy(ud);
}
