/*
 * lua_rows.h - live blocks counted by size and type: what a snapshot keeps, and what the heap map shows.
 *
 * While they are counted they lie in memory of the C library, since the heap is being walked then.
 */
#ifndef SCALLOC_LUA_ROWS_H
#define SCALLOC_LUA_ROWS_H

#include <scalloc/lua_alloc.h>
#include <stdbool.h>
#include <stddef.h>

/* The blocks of one size and tag. In a difference the number may be negative. */
typedef struct {
  size_t size;
  int tag;
  long long blocks;
} lua_row;

/* A hash table, linear probing; rows without blocks are free. Begins as zeros. */
typedef struct {
  lua_row *rows;
  size_t count, room; /* room: 0, or a power of two and more than count */
  bool short_of_memory;
} lua_rows;

/* A scalloc_lua_visit: counts a block in the lua_rows that `userdata` is, or notes there that memory is short. */
void scalloc_lua_rows_count(void *userdata, const scalloc_lua_block *block);

/* Copies the rows to `out`, which has room for rows->count, most bytes first. Returns their number. */
size_t scalloc_lua_rows_sorted(const lua_rows *rows, lua_row *out);

/* What `newer` has more of than `older`, and less of (negative), most bytes first; `out` has room for the rows of both. */
size_t scalloc_lua_rows_difference(const lua_row *newer, size_t newer_count, const lua_row *older, size_t older_count,
                                   lua_row *out);

/* Gives the memory back; the rows are as at the beginning. */
void scalloc_lua_rows_clear(lua_rows *rows);

static inline long long lua_row_bytes(lua_row row) { return row.blocks * (long long)row.size; }

#endif
