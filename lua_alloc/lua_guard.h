/*
 * lua_guard.h - heaps with GUARD: bytes behind each block that nobody may write, and freed blocks that wait.
 *
 * A freed block is filled and held back, so that a late write into it is seen when its turn comes; its record says that it is
 * freed, also after that, until the memory is used again. A fault ends the process with one line, as in the checked build.
 */
#ifndef SCALLOC_LUA_GUARD_H
#define SCALLOC_LUA_GUARD_H

#include "lua_kit.h"

#define lua_guard_fault scalloc_private_lua_guard_fault
#define lua_guard_hold scalloc_private_lua_guard_hold
#define lua_guard_release scalloc_private_lua_guard_release
#define lua_guard_verify scalloc_private_lua_guard_verify
#define lua_guard_write scalloc_private_lua_guard_write

enum {
  LUA_GUARD_FREED = 0xdb,      /* what freed blocks are filled with, without ZERO_ON_FREE */
  LUA_GUARD_HELD_SIZE = 65536, /* larger ones are not held back */
};

/* Fills the bytes behind a block. */
void lua_guard_write(char *start, char *end);

/* A block that is about to be freed or resized, `size` bytes long as the program has it; does not return if it is none. */
void lua_guard_verify(lua_kit *kit, const void *block, size_t size);

/* Holds a filled block back. There must be a place. */
void lua_guard_hold(lua_kit *kit, void *block, size_t room);

/* The oldest block held back, no longer so; does not return if it was written. */
void *lua_guard_release(lua_kit *kit);

/* What is wrong with a block that lives, or is held back; NULL: nothing. */
const char *lua_guard_fault(const lua_kit *kit, const void *block, size_t room);

#endif
