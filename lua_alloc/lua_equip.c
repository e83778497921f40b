/*
 * lua_equip.c - equipped heaps: made as their configuration says, checked, ended.
 */
#include <errno.h>
#include <stdio.h>

#include "blocks.h"
#include "lua_extra.h"
#include "lua_guard.h"
#include "lua_memory.h"
#include "os.h"
#include "walk.h"

enum {
  ALL_FLAGS = SCALLOC_LUA_SHARED | SCALLOC_LUA_LOCKED | SCALLOC_LUA_GUARD | SCALLOC_LUA_ZERO_ON_FREE | SCALLOC_LUA_STATS |
              SCALLOC_LUA_PROFILE | SCALLOC_LUA_TAG_SEGREGATE,
};

heap *lua_kit_heap(heap *h, unsigned number) {
  lua_kit *kit = lua_heap_kit(h);
  if (kit == NULL) return number == 0 ? h : NULL;
  return number < LUA_PARTS ? kit->parts[number] : NULL;
}

/* ---- making ------------------------------------------------------------------------------------------------------------------ */

static bool make_parts(lua_kit *kit) {
  for (unsigned i = 1; i < LUA_PARTS && kit->flags & SCALLOC_LUA_TAG_SEGREGATE; i++)
    if ((kit->parts[i] = heap_create(HEAP_EXCLUSIVE)) == NULL) return false;
  return true;
}

/* A run of its own, so that no page of it is anybody else's. */
static void *pool_memory(heap *h, size_t bytes) {
  bool zeroed;
  return TRACKED ? lua_memory_new(h, bytes) : heap_allocate_large(h, bytes, 1, false, &zeroed);
}

static bool make_pool(heap *h, lua_kit *kit, size_t prealloc) {
  if (prealloc == 0) return true;
  if (prealloc > PTRDIFF_MAX - (size_t)LARGE_MIN) {
    errno = ENOMEM;
    return false;
  }
  size_t bytes = (prealloc > LUA_POOL_LEAST ? prealloc : LUA_POOL_LEAST) + lua_pool_overhead();
  char *memory = pool_memory(h, bytes);
  if (memory == NULL) return false;
  for (size_t i = 0; i < bytes; i += PAGE) memory[i] = 0;
  if (kit->flags & SCALLOC_LUA_LOCKED && !os_lock(memory, bytes)) return false;
  kit->pool_memory = memory;
  kit->pool_bytes = bytes;
  kit->pool = lua_pool_make(memory, bytes);
  return true;
}

static bool fill_in(heap *h, const scalloc_lua_config *config) {
  lua_kit *kit = lua_heap_kit(h);
  kit->flags = config->flags;
  kit->parts[0] = h;
  if (kit->flags & SCALLOC_LUA_PROFILE) kit->flags |= SCALLOC_LUA_STATS;
  return make_parts(kit) && make_pool(h, kit, config->prealloc);
}

static bool is_possible(const scalloc_lua_config *config) {
  if (config->flags & ~(unsigned)ALL_FLAGS) return false;
  if (config->prealloc != 0 && config->flags & SCALLOC_LUA_TAG_SEGREGATE) return false; /* one piece of memory for all */
  return !(config->flags & SCALLOC_LUA_LOCKED) || config->prealloc > 0;
}

static bool verify(heap *h, char *why, size_t size);

bool lua_kit_make(heap *h, const scalloc_lua_config *config) {
  if (!is_possible(config)) {
    errno = EINVAL;
    return false;
  }
  if (!lua_kit_is_needed(config)) return true;
  lua_heap_account(h)->kit = scalloc_calloc(1, sizeof(lua_kit));
  if (lua_heap_kit(h) == NULL) return false;
  if (fill_in(h, config)) {
    h->verify = verify;
    if (config->flags & SCALLOC_LUA_SHARED) lua_shared_add(lua_heap_kit(h));
    return true;
  }
  int why = errno;
  lua_kit_end(h);
  errno = why;
  return false;
}

/* ---- ending ------------------------------------------------------------------------------------------------------------------ */

/* The address of a span, by where the heap has the table. */
static char *address_of(const heap *h, const span *s) {
  return (char *)(((uintptr_t)s - h->slots) >> SLOT_SHIFT << SPAN_SHIFT);
}

static void wipe_span(span *s, void *context) {
  bool large = span_state_now(s) == SPAN_LARGE;
  memset(address_of(context, s), 0, large ? s->large_bytes : s->bump);
}

static void each_span(heap *h, void (*visit)(span *s, void *context)) {
  heap *part = h;
  for (unsigned i = 1; part != NULL; part = lua_kit_heap(h, i++)) heap_each_span(part, visit, h);
}

void lua_kit_end(heap *h) {
  lua_kit *kit = lua_heap_kit(h);
  if (kit == NULL) return;
  lua_shared_remove(kit);
  if (!TRACKED && kit->flags & SCALLOC_LUA_ZERO_ON_FREE) each_span(h, wipe_span); /* tracked builds always do */
  if (kit->pool_memory && kit->flags & SCALLOC_LUA_LOCKED) os_unlock(kit->pool_memory, kit->pool_bytes);
  for (unsigned i = 1; i < LUA_PARTS; i++)
    if (kit->parts[i]) heap_end(kit->parts[i]);
  h->verify = NULL;
  lua_heap_account(h)->kit = NULL;
  scalloc_free(kit);
}

/* ---- trimming ---------------------------------------------------------------------------------------------------------------- */

size_t scalloc_lua_trim(scalloc_lua_heap *lua_heap, size_t keep) {
  heap *h = lua_heap_core(lua_heap), *part = h;
  lua_heap_enter(h);
  lua_kit_flush(h);
  for (unsigned i = 1; part != NULL; part = lua_kit_heap(h, i++)) heap_cool(part);
  lua_group_give(h, 0);
  lua_heap_leave(h);
  return walk_all().empty <= keep ? 0 : scalloc_purge();
}

/* ---- scalloc_check ----------------------------------------------------------------------------------------------------------- */

typedef struct {
  const lua_kit *kit;
  const char *what;
  const void *where;
} finding;

static void verify_block(void *context, void *block, size_t size, size_t room) {
  finding *f = context;
  (void)room;
  if (f->what || block == f->kit->pool_memory) return;
  f->what = lua_guard_fault(f->kit, block, size);
  f->where = block;
}

static void verify_in_pool(void *context, void *block, size_t room) { verify_block(context, block, room, room); }

static bool verify(heap *h, char *why, size_t size) {
  finding f = {.kit = lua_heap_kit(h)};
  if (f.kit == NULL) return true; /* was being ended when a fork came */
  if (f.kit->pool) f.what = lua_pool_check(f.kit->pool), f.where = f.kit->pool_memory;
  if (f.kit->flags & SCALLOC_LUA_GUARD) {
    heap *part = h;
    for (unsigned i = 1; part != NULL; part = lua_kit_heap(h, i++)) blocks_each(part, verify_block, &f);
    if (f.kit->pool && !f.what) lua_pool_each(f.kit->pool, verify_in_pool, &f);
  }
  if (f.what) snprintf(why, size, "Lua heap: %p: %s", f.where, f.what);
  return f.what == NULL;
}
