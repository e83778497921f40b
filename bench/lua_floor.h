/*
 * lua_floor.h - a lua_Alloc that does as little as one can: what an allocator for these programs could hardly be faster than.
 *
 * Free lists by size, last in first out, and memory cut off page by page; larger blocks are libc's. It keeps no account, knows no
 * limit, gives nothing back and serves one state of one thread in the process. For measuring beside the others only.
 */
#ifndef SCALLOC_BENCH_LUA_FLOOR_H
#define SCALLOC_BENCH_LUA_FLOOR_H

#include <stddef.h>

void *lua_floor(void *ud, void *block, size_t osize, size_t nsize);

#endif
