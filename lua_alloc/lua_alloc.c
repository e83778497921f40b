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

/* More memory of the account is about to be given back: remember how much was in use. */
always_inline void give_back(lua_account *account, size_t bytes) {
  ptrdiff_t left = account->left;
  if (likely(left < account->least))
    account->least = left; /* seldom so: the hint keeps the store in line, behind a short jump */
  account->left = left + (ptrdiff_t)bytes;
}

#if TRACKED
/* The same account, and every block by way of track.h. */
void *scalloc_lua_alloc(void *ud, void *block, size_t osize, size_t nsize) {
  heap *h = ud;
  lua_account *account = h ? lua_heap_account(h) : NULL;
  size_t alignment = h && nsize % 16 != 0 ? 8 : 16;
  void *result = NULL;
  if (block == NULL) osize = 0;
  if (account && nsize > osize && nsize - osize > (size_t)account->left) {
    errno = ENOMEM;
    return NULL;
  }
  if (nsize == 0)
    track_free(h, block, osize);
  else if (block == NULL)
    result = track_allocate(h, alignment, nsize);
  else
    result = track_resize(h, block, osize, nsize, alignment);
  if (account && (result != NULL || nsize == 0)) {
    give_back(account, 0);
    account->left += (ptrdiff_t)(osize - nsize);
  }
  return result;
}

#else
/* The slot of a block, by the heap's own copy of where the table lies. */
always_inline span *slot_of(heap *h, const void *block) {
  return (span *)(h->slots + ((uintptr_t)block >> SPAN_SHIFT << SLOT_SHIFT));
}

static void *new_slow(heap *h, size_t size) {
  lua_account *account = lua_heap_account(h);
  bool zeroed;
  if (size > (size_t)account->left) {
    errno = ENOMEM;
    return NULL;
  }
  void *block = size > LARGE_MIN ? heap_allocate_large(h, size, 1, false, &zeroed) : heap_allocate_class(h, class_of(size));
  if (block) account->left -= (ptrdiff_t)size;
  return block;
}

/* Moves a block; a shrink that finds no memory stays where it is. The account is the caller's. */
static void *move(heap *h, span *s, void *block, size_t osize, size_t nsize) {
  bool large = span_state_now(s) == SPAN_LARGE;
  void *moved;
  if (large || nsize > GROWING_MIN) return heap_reallocate(h, block, nsize);
  if (class_of(nsize) == s->class_index) return block;
  moved = heap_allocate_class(h, class_of(nsize));
  if (moved == NULL) return nsize <= osize ? block : NULL;
  memcpy(moved, block, osize < nsize ? osize : nsize);
  if (!fast_free(s, block)) heap_notified(h, s, block);
  return moved;
}

static __attribute__((noinline)) void *resize(heap *h, void *block, size_t osize, size_t nsize) {
  lua_account *account = lua_heap_account(h);
  if (nsize > osize && nsize - osize > (size_t)account->left) {
    errno = ENOMEM;
    return NULL;
  }
  void *moved = move(h, slot_of(h, block), block, osize, nsize);
  if (moved == NULL) return NULL;
  give_back(account, 0);
  account->left += (ptrdiff_t)(osize - nsize);
  return moved;
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
  if (block == NULL) return new_slow(h, nsize);
  give_back(lua_heap_account(h), osize);
  heap_notified(h, slot_of(h, block), block);
  return NULL;
}

void *scalloc_lua_alloc(void *ud, void *block, size_t osize, size_t nsize) {
  heap *h = ud;
  if (unlikely(h == NULL)) return uncommon(ud, block, osize, nsize);
  lua_account *account = lua_heap_account(h);
  if (block == NULL) { /* osize is a type tag */
    if (nsize == 0) return NULL;
    if (unlikely(nsize > DIRECT_MAX)) return uncommon(ud, block, osize, nsize);
    ptrdiff_t left = account->left - (ptrdiff_t)nsize;
    if (unlikely(left < 0)) return uncommon(ud, block, osize, nsize);
    void *fresh = fast_alloc(h, (nsize + 7) & ~(size_t)7);
    if (unlikely(fresh == NULL)) return uncommon(ud, block, osize, nsize);
    account->left = left;
    return fresh;
  }
  if (nsize != 0) return resize(h, block, osize, nsize);
  if (unlikely(!fast_free(slot_of(h, block), block))) return uncommon(ud, block, osize, nsize);
  give_back(account, osize);
  return NULL;
}
#endif
