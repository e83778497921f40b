/*
 * lua_alloc.c - the lua_Alloc function.
 *
 * Sizes of up to 64 bytes have classes in steps of 8, since Lua needs 8-byte alignment and 24, 40 and 56 are its most frequent
 * sizes. A block's span, not osize, says what is done with it: a block that could not be moved when it shrank stays in a
 * class larger than its size, and is still freed rightly. osize is believed for the accounting alone.
 *
 * The order of the tests follows the calls that Lua makes: new blocks, frees, no-ops, resizes.
 */
#include "lua_extra.h"
#include "lua_kit.h"
#include "lua_memory.h"
#include "os.h"

/* Bytes of the account come back. */
always_inline void give_back(lua_account *account, size_t bytes) {
  ptrdiff_t left = account->left;
  if (likely(left < account->least))
    account->least = left; /* seldom so: the hint keeps the store in line, behind a short jump */
  account_set_left(account, left + (ptrdiff_t)bytes);
}

/* ---- past the fast paths -------------------------------------------------------------------------------------------------- */

/* `equipped` is a constant in each use: a heap without equipment pays nothing for it. */
always_inline void *new_slow(heap *h, lua_request r, bool equipped) {
  lua_account *account = lua_heap_account(h);
  if (unlikely(account->extra != NULL)) lua_group_look(h);
  bool far = lua_account_is_far(account, r, r.nsize);
  if (!far && !lua_limit_admit(h, r)) return NULL;
  void *block = equipped ? lua_kit_new(h, r.osize, r.nsize) : lua_memory_new(h, r.nsize);
  if (block == NULL) {
    lua_limit_refuse(h, r);
    return NULL;
  }
  account_set_left(account, account->left - (ptrdiff_t)r.nsize);
  if (!far) lua_limit_admitted(h, r, r.nsize);
  return block;
}

always_inline void *move(heap *h, lua_request r, bool equipped) {
  return equipped ? lua_kit_resize(h, r.block, r.osize, r.nsize) : lua_memory_resize(h, r.block, r.osize, r.nsize);
}

/* A shrink is nobody's event and never fails. */
always_inline void *shrink(heap *h, lua_request r, bool equipped) {
  void *moved = move(h, r, equipped);
  give_back(lua_heap_account(h), r.osize - r.nsize);
  return moved;
}

always_inline void *grow(heap *h, lua_request r, bool equipped) {
  lua_account *account = lua_heap_account(h);
  size_t growth = r.nsize - r.osize;
  bool far = lua_account_is_far(account, r, growth);
  if (!far && !lua_limit_admit(h, r)) return NULL;
  void *moved = move(h, r, equipped);
  if (moved == NULL) {
    lua_limit_refuse(h, r);
    return NULL;
  }
  account_set_left(account, account->left - (ptrdiff_t)growth);
  if (!far) lua_limit_admitted(h, r, growth);
  return moved;
}

static __attribute__((noinline)) void *resize(heap *h, void *block, size_t osize, size_t nsize) {
  lua_request r = {block, osize, nsize};
  return nsize > osize ? grow(h, r, false) : shrink(h, r, false);
}

static void *equipped_call(heap *h, lua_request r) {
  lua_kit_count(h, r);
  if (r.block == NULL) return r.nsize ? new_slow(h, r, true) : NULL;
  if (r.nsize != 0) return r.nsize > r.osize ? grow(h, r, true) : shrink(h, r, true);
  lua_kit_free(h, r.block, r.osize);
  give_back(lua_heap_account(h), r.osize);
  if (lua_heap_account(h)->extra != NULL) lua_group_look(h);
  return NULL;
}

static void *on_equipped_heap(heap *h, lua_request r) {
  lua_heap_enter(h);
  void *block = equipped_call(h, r);
  lua_heap_leave(h);
  return block;
}

/* On the calling thread's heap, where any thread may free. */
static void *on_thread_heap(lua_request r) {
#if TRACKED
  if (r.block != NULL) { /* osize is held to what was asked for */
    if (r.nsize != 0) return track_resize(NULL, r.block, r.osize, r.nsize, 16);
    track_free(NULL, r.block, r.osize);
    return NULL;
  }
#endif
  if (r.block == NULL) return r.nsize ? scalloc_malloc(r.nsize) : NULL;
  return scalloc_realloc(r.block, r.nsize);
}

/*
 * Whatever the fast paths leave, with the arguments of the call as they came and nothing done yet. One function for all of it,
 * so that they can go on here by a jump: no register is set up for it, and none is saved on their way.
 */
static never_inline void *uncommon(void *ud, void *block, size_t osize, size_t nsize) {
  heap *h = lua_heap_core(ud);
  lua_request r = {block, osize, nsize};
  if (ud == NULL) return on_thread_heap(r);
  if (lua_heap_is_equipped(ud)) return on_equipped_heap(h, r);
  if (block == NULL) return new_slow(h, r, false);
  give_back(lua_heap_account(h), osize);
  lua_memory_free(h, block, osize);
  if (lua_heap_account(h)->extra != NULL) lua_group_look(h);
  return NULL;
}

#if !TRACKED
/* A free that is not plain: as a rule into a cell, whose span sends every free here. The arguments as for `uncommon`. */
static never_inline void *free_in_cell(void *ud, void *block, size_t osize, size_t nsize) {
  heap *h = ud;
  if (unlikely(!span_is_nursery(lua_memory_slot(h, block)))) return uncommon(ud, block, osize, nsize);
  give_back(lua_heap_account(h), osize);
  nursery_free(h, block, osize);
  return NULL;
}
#endif

void *scalloc_lua_alloc(void *ud, void *block, size_t osize, size_t nsize) {
  heap *h = ud;
  if (unlikely((intptr_t)ud <= 0)) return uncommon(ud, block, osize, nsize); /* none, or an equipped one */
  if (block == NULL) {                                                       /* osize is a type tag */
    if (nsize == 0) return NULL;
#if !TRACKED
    lua_account *account = lua_heap_account(h);
    if (unlikely(nsize > DIRECT_MAX)) return uncommon(ud, block, osize, nsize);
    ptrdiff_t left = account->left - (ptrdiff_t)nsize;
    if (unlikely(left < 0)) return uncommon(ud, block, osize, nsize);
    void *fresh = fast_alloc(h, (nsize + SMALL_STEP - 1) & ~(size_t)(SMALL_STEP - 1));
    if (unlikely(fresh == NULL)) return uncommon(ud, block, osize, nsize);
    account_set_left(account, left);
    return fresh;
#else
    return uncommon(ud, block, osize, nsize);
#endif
  }
  if (nsize != 0) return resize(h, block, osize, nsize);
#if TRACKED
  return uncommon(ud, block, osize, nsize);
#else
  if (unlikely(!fast_free(lua_memory_slot(h, block), block))) return free_in_cell(ud, block, osize, nsize);
  give_back(lua_heap_account(h), osize);
  return NULL;
#endif
}

void *scalloc_lua_alloc_shared(void *ud, void *block, size_t osize, size_t nsize) {
  if (ud != NULL && !lua_heap_is_shared(ud)) os_panic("heap", ud, "is used by alloc_shared, but was made without SHARED");
  return scalloc_lua_alloc(ud, block, osize, nsize);
}
