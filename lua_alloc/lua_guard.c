/*
 * lua_guard.c - what heaps with GUARD verify (lua_guard.h).
 *
 * The bytes behind a block hold a pattern of its address, never 0: all of them for short gaps, the first NEAR for long ones.
 */
#include "lua_guard.h"

#include "os.h"

enum { NEAR = 64 };

static unsigned char pattern(const char *at) { return (unsigned char)(((uintptr_t)at * 0x9d + ((uintptr_t)at >> 12)) | 0x81); }

static const char *near_end(const char *start, const char *end) { return end - start > NEAR ? start + NEAR : end; }

void lua_guard_write(char *start, char *end) {
  for (char *at = start; at < near_end(start, end); at++) *at = (char)pattern(at);
}

static bool is_written(const char *start, const char *end) {
  for (const char *at = start; at < near_end(start, end); at++)
    if ((unsigned char)*at != pattern(at)) return true;
  return false;
}

static bool is_filled(const lua_kit *kit, const unsigned char *block, size_t size) {
  unsigned char value = kit->flags & SCALLOC_LUA_ZERO_ON_FREE ? 0 : LUA_GUARD_FREED;
  for (size_t i = 0; i < size; i++)
    if (block[i] != value) return false;
  return true;
}

static bool is_ours(const lua_kit *kit, const void *block) {
  if (kit->pool && lua_pool_has(kit->pool, block)) return (uintptr_t)block % 16 == 0;
  const heap *owner = heap_of_address(block);
  for (unsigned i = 0; i < LUA_PARTS; i++)
    if (owner != NULL && owner == kit->parts[i]) return (uintptr_t)block % 8 == 0;
  return false;
}

void lua_guard_verify(lua_kit *kit, const void *block, size_t size) {
  if (!is_ours(kit, block)) os_panic("invalid pointer", block, "not a block of this Lua heap");
  size_t room = kit->pool && lua_pool_has(kit->pool, block) ? lua_pool_room(block) : scalloc_usable_size(block);
  lua_record r = record_get(block, room);
  const char *end = record_start((void *)(uintptr_t)block, room);
  if (r.type == RECORD_FREED) os_panic("double free of", block, "it was freed before");
  bool harmed = (const char *)block + r.size > end || is_written((const char *)block + r.size, end);
  if (harmed) os_panic("overflow behind", block, "bytes that are not the program's were written");
  if (r.size != size) os_panic("wrong size of", block, "it is not what was asked for last");
}

void lua_guard_hold(lua_kit *kit, void *block, size_t room) {
  lua_record r = record_get(block, room);
  r.type = RECORD_FREED;
  record_put(block, room, r);
  kit->held[(kit->held_first + kit->held_count++) % LUA_HELD_MOST] = block;
}

void *lua_guard_release(lua_kit *kit) {
  void *block = kit->held[kit->held_first];
  size_t room = kit->pool && lua_pool_has(kit->pool, block) ? lua_pool_room(block) : scalloc_usable_size(block);
  kit->held_first = (kit->held_first + 1) % LUA_HELD_MOST;
  kit->held_count--;
  if (!is_filled(kit, block, record_get(block, room).size)) os_panic("write after free to", block, "it is not as it was left");
  return block;
}

const char *lua_guard_fault(const lua_kit *kit, const void *block, size_t room) {
  lua_record r = record_get(block, room);
  const char *start = (const char *)block + r.size, *end = record_start((void *)(uintptr_t)block, room);
  if (start > end) return "record of a block was written";
  if (r.type == RECORD_FREED) return is_filled(kit, block, r.size) ? NULL : "freed block that was written";
  if (r.type >= SCALLOC_LUA_TAGS) return "record of a block was written";
  return is_written(start, end) ? "bytes behind a block were written" : NULL;
}
