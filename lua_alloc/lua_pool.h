/*
 * lua_pool.h - blocks from one fixed piece of memory, in bounded time: no system call, no loop over blocks.
 *
 * Two-level segregated fit: a list for each sixteenth of each power of two, found by two bitmaps; neighbours that are free are
 * merged at once. A block has a word in front, so that sizes of 8 mod 16 waste nothing.
 */
#ifndef SCALLOC_LUA_POOL_H
#define SCALLOC_LUA_POOL_H

#include "platform.h"

#define lua_pool_check scalloc_private_lua_pool_check
#define lua_pool_each scalloc_private_lua_pool_each
#define lua_pool_free scalloc_private_lua_pool_free
#define lua_pool_has scalloc_private_lua_pool_has
#define lua_pool_live scalloc_private_lua_pool_live
#define lua_pool_make scalloc_private_lua_pool_make
#define lua_pool_new scalloc_private_lua_pool_new
#define lua_pool_overhead scalloc_private_lua_pool_overhead
#define lua_pool_resize scalloc_private_lua_pool_resize
#define lua_pool_room scalloc_private_lua_pool_room

typedef struct lua_pool lua_pool;

enum { LUA_POOL_LEAST = 32 }; /* bytes of blocks that a pool must have room for */

/* What a pool needs beside the bytes of its blocks. */
size_t lua_pool_overhead(void);

/* A pool in memory of its own, 16-aligned. */
lua_pool *lua_pool_make(void *memory, size_t bytes);

void *lua_pool_new(lua_pool *pool, size_t size); /* 16-aligned; NULL: no free piece is long enough */
void lua_pool_free(lua_pool *pool, void *block);
bool lua_pool_resize(lua_pool *pool, void *block, size_t size); /* in place; false: the block is as it was */
size_t lua_pool_room(const void *block);                        /* bytes that it has */
bool lua_pool_has(const lua_pool *pool, const void *address);
size_t lua_pool_live(const lua_pool *pool); /* blocks */

/* Every block that is not free, by address. */
void lua_pool_each(const lua_pool *pool, void (*visit)(void *context, void *block, size_t room), void *context);

/* What is wrong with it, or NULL. */
const char *lua_pool_check(const lua_pool *pool);

#endif
