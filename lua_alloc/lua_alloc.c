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

/* The slot of a block, with the heap's own copies of where arena and table lie. */
always_inline span *slot_of(heap *h, const void *block) {
  return (span *)(void *)(h->table + (((uintptr_t)block - h->arena_base) >> SPAN_SHIFT << SLOT_SHIFT));
}

/* More memory of the account is about to be given back: remember how much was in use. */
always_inline void give_back(lua_account *account, size_t bytes) {
  if (account->left < account->least) account->least = account->left;
  account->left += (ptrdiff_t)bytes;
}

static never_inline void *new_slow(heap *h, size_t size) {
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

always_inline void *new_block(heap *h, size_t size) {
  lua_account *account = lua_heap_account(h);
  if (likely(size <= DIRECT_MAX)) {
    ptrdiff_t left = account->left - (ptrdiff_t)size;
    if (likely(left >= 0)) {
      void *block = fast_alloc(h, (size + 7) & ~(size_t)7);
      if (likely(block != NULL)) {
        account->left = left;
        return block;
      }
    }
  }
  return new_slow(h, size);
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

static never_inline void *free_slow(heap *h, span *s, void *block) {
  heap_notified(h, s, block);
  return NULL;
}

/* On the calling thread's heap, where any thread may free. */
static never_inline void *on_thread_heap(void *block, size_t nsize) {
  if (block == NULL) return nsize ? scalloc_malloc(nsize) : NULL;
  return scalloc_realloc(block, nsize);
}

void *scalloc_lua_alloc(void *ud, void *block, size_t osize, size_t nsize) {
  heap *h = ud;
  if (unlikely(h == NULL)) return on_thread_heap(block, nsize);
  if (block == NULL) return nsize == 0 ? NULL : new_block(h, nsize); /* osize is a type tag */
  if (nsize != 0) return resize(h, block, osize, nsize);
  give_back(lua_heap_account(h), osize);
  span *s = slot_of(h, block);
  return likely(fast_free(s, block)) ? NULL : free_slow(h, s, block);
}
