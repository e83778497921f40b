/*
 * lua_kit.c - the calls of equipped heaps (lua_kit.h), below the account and above the memory.
 *
 * Data: the kit of a heap, a block of the process's heap, touched by the heap's user, under its lock if the heap is SHARED.
 *
 * Memory comes from the pool, if there is one; unless the heap is LOCKED to it, then from a core heap. Which one is told by the
 * address, and which core heap by the owner of the span, so a free needs to be told neither.
 */
#include "lua_kit.h"

#include <errno.h>

#include "blocks.h"
#include "lua_guard.h"
#include "lua_memory.h"

enum { RECORDS = SCALLOC_LUA_STATS | SCALLOC_LUA_PROFILE | SCALLOC_LUA_GUARD };
enum { WIPED = SCALLOC_LUA_ZERO_ON_FREE | SCALLOC_LUA_GUARD }; /* blocks that are freed must not keep what they held */

/* ---- memory: pool and core heaps ----------------------------------------------------------------------------------------- */

/* Which part the blocks of a type lie in. */
static unsigned part_of(size_t type) {
  static const unsigned char parts[SCALLOC_LUA_TAGS] = {[4] = 1, [5] = 2, [6] = 3, [7] = 4, [8] = 4, [9] = 3, [10] = 3};
  return type < SCALLOC_LUA_TAGS ? parts[type] : 0;
}

static bool in_pool(const lua_kit *kit, const void *block) { return kit->pool && lua_pool_has(kit->pool, block); }

static heap *owner_of(const lua_kit *kit, const void *block) {
  if (!(kit->flags & SCALLOC_LUA_TAG_SEGREGATE)) return kit->parts[0];
  return owner_heap(word_load_relaxed(&lua_memory_slot(kit->parts[0], block)->owner));
}

/* Bytes of memory that a block of `size` takes. */
static size_t memory_for(const lua_kit *kit, size_t size) {
  return kit->flags & RECORDS ? record_room(size, kit->flags & SCALLOC_LUA_GUARD) : size;
}

static size_t room_of(const lua_kit *kit, const void *block) {
  return in_pool(kit, block) ? lua_pool_room(block) : scalloc_usable_size(block);
}

static void *memory_new(lua_kit *kit, unsigned part, size_t bytes) {
  void *block = kit->pool ? lua_pool_new(kit->pool, bytes) : NULL;
  if (block || kit->flags & SCALLOC_LUA_LOCKED) return block;
  return lua_memory_new(kit->parts[part] ? kit->parts[part] : kit->parts[0], bytes);
}

static void memory_free(lua_kit *kit, void *block, size_t bytes) {
  if (in_pool(kit, block))
    lua_pool_free(kit->pool, block);
  else
    lua_memory_free(owner_of(kit, block), block, bytes);
}

static void free_oldest(lua_kit *kit) {
  void *oldest = lua_guard_release(kit);
  memory_free(kit, oldest, memory_for(kit, record_get(oldest, room_of(kit, oldest)).size));
}

void lua_kit_flush(heap *h) {
  lua_kit *kit = lua_heap_kit(h);
  while (kit && kit->held_count > 0) free_oldest(kit);
}

/* A new block; when there is none, those that are held back are given up. */
static void *take(lua_kit *kit, unsigned part, size_t bytes) {
  void *block = memory_new(kit, part, bytes);
  while (block == NULL && kit->held_count > 0) {
    free_oldest(kit);
    block = memory_new(kit, part, bytes);
  }
  return block;
}

/* ---- records --------------------------------------------------------------------------------------------------------------- */

static void add_tag(lua_kit *kit, unsigned type, size_t size) {
  scalloc_lua_tag *tag = &kit->tags[type < SCALLOC_LUA_TAGS ? type : 0];
  tag->live++;
  tag->bytes += size;
}

static void set_record(lua_kit *kit, void *block, lua_record r) {
  size_t room = room_of(kit, block);
  record_put(block, room, r);
  if (kit->flags & SCALLOC_LUA_GUARD) lua_guard_write((char *)block + r.size, record_start(block, room));
  add_tag(kit, r.type, r.size);
}

/* What is known of a block, which from now on counts as gone. */
static lua_record forget(lua_kit *kit, void *block, size_t size) {
  if (!(kit->flags & RECORDS)) return (lua_record){.size = size};
  if (kit->flags & SCALLOC_LUA_GUARD) lua_guard_verify(kit, block, size);
  lua_record r = record_get(block, room_of(kit, block));
  scalloc_lua_tag *tag = &kit->tags[r.type < SCALLOC_LUA_TAGS ? r.type : 0];
  tag->live--;
  tag->bytes -= r.size;
  return r;
}

/* ---- calls ------------------------------------------------------------------------------------------------------------------ */

void lua_kit_count(heap *h, lua_request r) {
  scalloc_lua_calls *calls = &lua_heap_kit(h)->calls;
  if (r.block == NULL)
    ++*(r.nsize ? &calls->made : &calls->nothing);
  else
    ++*(r.nsize == 0 ? &calls->freed : r.nsize > r.osize ? &calls->grown : r.nsize < r.osize ? &calls->shrunk : &calls->same);
}

void *lua_kit_new(heap *h, size_t type, size_t size) {
  lua_kit *kit = lua_heap_kit(h);
  if (size > PTRDIFF_MAX - 4 * (size_t)PAGE) return NULL;
  void *block = take(kit, part_of(type), memory_for(kit, size));
  if (block == NULL) return NULL;
  if (type >= SCALLOC_LUA_TAGS) type = 0;
  if (kit->flags & RECORDS) set_record(kit, block, (lua_record){size, (unsigned)type, kit->handed_out});
  kit->tags[type].made++;
  kit->tags[type].made_bytes += size;
  kit->handed_out += size;
  return block;
}

/* Not to be optimised away though nobody reads it. */
static void wipe(const lua_kit *kit, void *block, size_t size) {
  int value = kit->flags & SCALLOC_LUA_ZERO_ON_FREE ? 0 : LUA_GUARD_FREED;
  memset(block, value, size);
  __asm__ volatile("" ::"r"(block) : "memory");
}

static void count_lifetime(lua_kit *kit, lua_record r) {
  unsigned long long age = kit->handed_out - r.birth;
  kit->lifetimes[age ? log2_floor(age) % SCALLOC_LUA_LIFETIMES : 0]++;
}

/* Gives the memory of a block back that is forgotten already. */
static void give(lua_kit *kit, void *block, lua_record r) {
  if (kit->flags & WIPED) wipe(kit, block, r.size);
  if (kit->flags & SCALLOC_LUA_GUARD && r.size <= LUA_GUARD_HELD_SIZE) {
    if (kit->held_count == LUA_HELD_MOST) free_oldest(kit);
    lua_guard_hold(kit, block, room_of(kit, block));
    return;
  }
  memory_free(kit, block, memory_for(kit, r.size));
}

void lua_kit_free(heap *h, void *block, size_t size) {
  lua_kit *kit = lua_heap_kit(h);
  lua_record r = forget(kit, block, size);
  if (kit->flags & SCALLOC_LUA_PROFILE) count_lifetime(kit, r);
  give(kit, block, r);
}

/* A block that shrinks and has nowhere to go. */
static void *stay(lua_kit *kit, void *block, lua_record r, size_t nsize) {
  if (kit->flags & WIPED) wipe(kit, (char *)block + nsize, r.size - nsize);
  if (TRACKED && !in_pool(kit, block)) /* which remembers sizes */
    return lua_memory_resize(owner_of(kit, block), block, memory_for(kit, r.size), memory_for(kit, nsize));
  return block;
}

/* By a copy, so that the old place can be wiped. */
static void *move(lua_kit *kit, void *block, lua_record r, size_t nsize) {
  void *moved = take(kit, part_of(r.type), memory_for(kit, nsize));
  if (moved == NULL) return nsize <= r.size ? stay(kit, block, r, nsize) : NULL;
  memcpy(moved, block, r.size < nsize ? r.size : nsize);
  give(kit, block, r);
  return moved;
}

static void *resize_memory(lua_kit *kit, void *block, lua_record r, size_t nsize) {
  if (kit->flags & WIPED) return move(kit, block, r, nsize);
  if (in_pool(kit, block))
    return lua_pool_resize(kit->pool, block, memory_for(kit, nsize)) ? block : move(kit, block, r, nsize);
  return lua_memory_resize(owner_of(kit, block), block, memory_for(kit, r.size), memory_for(kit, nsize));
}

void *lua_kit_resize(heap *h, void *block, size_t osize, size_t nsize) {
  lua_kit *kit = lua_heap_kit(h);
  if (nsize > PTRDIFF_MAX - 4 * (size_t)PAGE) return NULL;
  lua_record r = forget(kit, block, osize);
  void *moved = nsize == r.size ? block : resize_memory(kit, block, r, nsize);
  if (kit->flags & RECORDS) set_record(kit, moved ? moved : block, (lua_record){moved ? nsize : r.size, r.type, r.birth});
  if (moved && nsize > osize) kit->handed_out += nsize - osize;
  return moved;
}

/* ---- block by block ---------------------------------------------------------------------------------------------------------- */

typedef struct {
  const lua_kit *kit; /* NULL: a heap without one */
  scalloc_lua_visit *visit;
  void *userdata;
} visitor;

static void visit_block(void *context, void *start, size_t size, size_t room) {
  const visitor *v = context;
  scalloc_lua_block block = {.start = start, .size = size, .room = room, .tag = -1};
  if (v->kit && start == v->kit->pool_memory) return;
  if (v->kit && v->kit->flags & RECORDS) {
    lua_record r = record_get(start, size);
    if (r.type == RECORD_FREED) return;
    block.size = r.size;
    block.tag = (int)r.type;
    block.serial = r.birth;
  }
  v->visit(v->userdata, &block);
}

static void visit_in_pool(void *context, void *start, size_t room) { visit_block(context, start, room, room); }

void lua_kit_each(heap *h, scalloc_lua_visit *visit, void *userdata) {
  visitor v = {lua_heap_kit(h), visit, userdata};
  heap *part = h;
  for (unsigned i = 1; part != NULL; part = lua_kit_heap(h, i++)) blocks_each(part, visit_block, &v);
  if (v.kit && v.kit->pool) lua_pool_each(v.kit->pool, visit_in_pool, &v);
}
