/*
 * lua_alloc.c - the lua_Alloc function.
 *
 * Sizes of up to 64 bytes have classes in steps of 8, since Lua needs 8-byte alignment and 24, 40 and 56 are its most frequent
 * sizes. A block's span, not osize, says what is done with it: a block that could not be moved when it shrank stays in a
 * class larger than its size, and is still freed rightly. osize is believed for the accounting alone.
 *
 * The order of the tests follows the calls that Lua makes: new blocks, frees, no-ops, resizes.
 */
#include <errno.h>
#include <string.h>

#include "large.h"
#include "lua_heap.h"
#include "track.h"

/* Bytes of the account come back. */
always_inline void give_back(lua_account *account, size_t bytes) {
  ptrdiff_t left = account->left;
  if (likely(left < account->least))
    account->least = left; /* seldom so: the hint keeps the store in line, behind a short jump */
  account->left = left + (ptrdiff_t)bytes;
}

/* ---- memory: what is under the account ----------------------------------------------------------------------------------- */

#if TRACKED
static void *allocate(heap *h, size_t size) { return track_allocate(h, size % 16 ? 8 : 16, size); }
static void release(heap *h, void *block, size_t size) { track_free(h, block, size); }
static void *move(heap *h, void *block, size_t osize, size_t nsize) {
  return track_resize(h, block, osize, nsize, nsize % 16 ? 8 : 16);
}
#else
/* The slot of a block, by the heap's own copy of where the table lies. */
always_inline span *slot_of(heap *h, const void *block) {
  return (span *)(h->slots + ((uintptr_t)block >> SPAN_SHIFT << SLOT_SHIFT));
}

static void *allocate(heap *h, size_t size) {
  bool zeroed;
  return size > LARGE_MIN ? heap_allocate_large(h, size, 1, false, &zeroed) : heap_allocate_class(h, class_of(size));
}

static void release(heap *h, void *block, size_t size) {
  span *s = slot_of(h, block);
  (void)size;
  if (!fast_free(s, block)) heap_notified(h, s, block);
}

/* A shrink that finds no memory stays where it is. */
static void *move(heap *h, void *block, size_t osize, size_t nsize) {
  span *s = slot_of(h, block);
  bool large = span_state_now(s) == SPAN_LARGE;
  void *moved;
  if (large || nsize > GROWING_MIN) return heap_reallocate(h, block, nsize);
  if (class_of(nsize) == s->class_index) return block;
  moved = heap_allocate_class(h, class_of(nsize));
  if (moved == NULL) return nsize <= osize ? block : NULL;
  memcpy(moved, block, osize < nsize ? osize : nsize);
  release(h, block, osize);
  return moved;
}
#endif

/* ---- the account above it ------------------------------------------------------------------------------------------------- */

static void *new_slow(heap *h, lua_request r) {
  lua_account *account = lua_heap_account(h);
  bool far = lua_account_is_far(account, r, r.nsize);
  if (!far && !lua_limit_admit(h, r)) return NULL;
  void *block = allocate(h, r.nsize);
  if (block == NULL) {
    lua_limit_refuse(h, r);
    return NULL;
  }
  account->left -= (ptrdiff_t)r.nsize;
  if (!far) lua_limit_admitted(h, r, r.nsize);
  return block;
}

/* A shrink is nobody's event and never fails. */
static void *shrink(heap *h, lua_request r) {
  void *moved = move(h, r.block, r.osize, r.nsize);
  give_back(lua_heap_account(h), r.osize - r.nsize);
  return moved;
}

static void *grow(heap *h, lua_request r) {
  lua_account *account = lua_heap_account(h);
  size_t growth = r.nsize - r.osize;
  bool far = lua_account_is_far(account, r, growth);
  if (!far && !lua_limit_admit(h, r)) return NULL;
  void *moved = move(h, r.block, r.osize, r.nsize);
  if (moved == NULL) {
    lua_limit_refuse(h, r);
    return NULL;
  }
  account->left -= (ptrdiff_t)growth;
  if (!far) lua_limit_admitted(h, r, growth);
  return moved;
}

static __attribute__((noinline)) void *resize(heap *h, void *block, size_t osize, size_t nsize) {
  lua_request r = {block, osize, nsize};
  return nsize > osize ? grow(h, r) : shrink(h, r);
}

/* On the calling thread's heap, where any thread may free. */
static void *on_thread_heap(void *block, size_t nsize) {
  if (block == NULL) return nsize ? scalloc_malloc(nsize) : NULL;
  return scalloc_realloc(block, nsize);
}

/*
 * Whatever the fast paths leave, with the arguments of the call as they came and nothing done yet. One function for all of it,
 * so that they can go on here by a jump: no register is set up for it, and none is saved on their way.
 */
static never_inline void *uncommon(void *ud, void *block, size_t osize, size_t nsize) {
  heap *h = ud;
  if (h == NULL) return on_thread_heap(block, nsize);
  if (block == NULL) return new_slow(h, (lua_request){NULL, osize, nsize});
  give_back(lua_heap_account(h), osize);
  release(h, block, osize);
  return NULL;
}

void *scalloc_lua_alloc(void *ud, void *block, size_t osize, size_t nsize) {
  heap *h = ud;
  if (unlikely(h == NULL)) return uncommon(ud, block, osize, nsize);
  if (block == NULL) { /* osize is a type tag */
    if (nsize == 0) return NULL;
#if !TRACKED
    lua_account *account = lua_heap_account(h);
    if (unlikely(nsize > DIRECT_MAX)) return uncommon(ud, block, osize, nsize);
    ptrdiff_t left = account->left - (ptrdiff_t)nsize;
    if (unlikely(left < 0)) return uncommon(ud, block, osize, nsize);
    void *fresh = fast_alloc(h, (nsize + 7) & ~(size_t)7);
    if (unlikely(fresh == NULL)) return uncommon(ud, block, osize, nsize);
    account->left = left;
    return fresh;
#else
    return uncommon(ud, block, osize, nsize);
#endif
  }
  if (nsize != 0) return resize(h, block, osize, nsize);
#if TRACKED
  return uncommon(ud, block, osize, nsize);
#else
  if (unlikely(!fast_free(slot_of(h, block), block))) return uncommon(ud, block, osize, nsize);
  give_back(lua_heap_account(h), osize);
  return NULL;
#endif
}
