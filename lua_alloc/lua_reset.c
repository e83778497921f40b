/*
 * lua_reset.c - heaps that are emptied and used again.
 *
 * A heap without flags gives up its spans at once, without a look at the blocks. One with flags has more to do at each block: to
 * wipe it, to look at its guard, to merge it with its neighbours. There every live block is freed, from a list that is made first,
 * as nothing may be freed during a walk.
 */
#include <errno.h>

#include "lua_extra.h"
#include "lua_kit.h"

typedef struct {
  void *start;
  size_t size;
} listed;

typedef struct {
  listed *blocks;
  size_t count, room;
} list;

static void count_block(void *userdata, const scalloc_lua_block *block) {
  (void)block;
  ((list *)userdata)->room++;
}

static void list_block(void *userdata, const scalloc_lua_block *block) {
  list *l = userdata;
  l->blocks[l->count++] = (listed){block->start, block->size};
}

static bool free_each(heap *h) {
  list l = {0};
  lua_kit_flush(h);
  lua_kit_each(h, count_block, &l);
  l.blocks = scalloc_malloc(l.room * sizeof *l.blocks);
  if (l.blocks == NULL) return false;
  lua_kit_each(h, list_block, &l);
  for (size_t i = 0; i < l.count; i++) lua_kit_free(h, l.blocks[i].start, l.blocks[i].size);
  lua_kit_flush(h);
  scalloc_free(l.blocks);
  return true;
}

static bool empty(heap *h) {
  lua_account *account = lua_heap_account(h);
  if (account->extra && account->extra->allocate) {
    errno = EBUSY;
    return false;
  }
  if (account->kit == NULL)
    heap_empty(h);
  else if (!free_each(h))
    return false;
  lua_account_peak(account);
  account_set_left(account, account->mark);
  account->armed = 0;
  account->growths = -1;
  account->failures += account->refused; /* nobody will ask again */
  account->above = account->refused = false;
  account->sentinel = NULL;
  lua_limit_place(h);
  if (account->extra) lua_group_give(h, 0);
  return true;
}

bool scalloc_lua_heap_reset(scalloc_lua_heap *lua_heap) {
  heap *h = lua_heap_core(lua_heap);
  lua_heap_enter(h);
  bool done = empty(h);
  lua_heap_leave(h);
  return done;
}
