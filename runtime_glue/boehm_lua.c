/* boehm_lua.c - the lua_Alloc of the Boehm bridge: userdata are scanned blocks, everything else is pointer-free for libgc. */
#include "boehm_parts.h"

#include <string.h>

enum { TAG_USERDATA = 7 }; /* LUA_TUSERDATA; the number is part of Lua's ABI since 5.0 */

/* A resize. A block may have more room than Lua knows of: after a shrink in place. */
static void *resize(scalloc_boehm_heap *heap, void *block, size_t osize, size_t nsize) {
  scalloc_rt_ref ref;
  size_t room = 0;
  bool known = scalloc_rt_resolve(heap->rt, block, false, &ref);
  if (known) scalloc_rt_block(ref, &room);
  if (nsize <= room && nsize > room / 2) return block;
  int sort = known && scalloc_rt_kind(ref) == heap->kind[BOEHM_SCANNED] ? BOEHM_SCANNED : BOEHM_ATOMIC;
  void *moved = boehm_allocate(heap, sort, nsize);
  if (moved == NULL) return nsize <= osize ? block : NULL;
  memcpy(moved, block, osize < nsize ? osize : nsize);
  scalloc_boehm_free(heap, block);
  return moved;
}

void *scalloc_boehm_lua_alloc(void *ud, void *ptr, size_t osize, size_t nsize) {
  scalloc_boehm_heap *heap = ud;
  if (nsize == 0) {
    scalloc_boehm_free(heap, ptr);
    return NULL;
  }
  if (ptr == NULL) return boehm_allocate(heap, osize == TAG_USERDATA ? BOEHM_SCANNED : BOEHM_ATOMIC, nsize);
  return resize(heap, ptr, osize, nsize);
}
