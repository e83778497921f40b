/*
 * lua_rows.c - a hash table of sizes and tags.
 */
#include "lua_rows.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* The row of a size and tag, or the free one where it belongs. */
static lua_row *find(const lua_rows *rows, size_t size, int tag) {
  uint64_t hash = (size * 16 + (size_t)(tag + 1)) * 0x9E3779B97F4A7C15u;
  for (size_t i = (size_t)(hash >> 20);; i++) {
    lua_row *row = &rows->rows[i & (rows->room - 1)];
    if (row->blocks == 0 || (row->size == size && row->tag == tag)) return row;
  }
}

static bool make_room(lua_rows *rows) {
  size_t room = rows->room ? 2 * rows->room : 256;
  lua_rows larger = {calloc(room, sizeof(lua_row)), rows->count, room, false};
  if (!larger.rows) return false;
  for (size_t i = 0; i < rows->room; i++) {
    lua_row row = rows->rows[i];
    if (row.blocks) *find(&larger, row.size, row.tag) = row;
  }
  free(rows->rows);
  *rows = larger;
  return true;
}

void scalloc_lua_rows_count(void *userdata, const scalloc_lua_block *block) {
  lua_rows *rows = userdata;
  if (rows->short_of_memory || (2 * rows->count >= rows->room && !make_room(rows))) {
    rows->short_of_memory = true;
    return;
  }
  lua_row *row = find(rows, block->size, block->tag);
  if (row->blocks++ != 0) return;
  row->size = block->size;
  row->tag = block->tag;
  rows->count++;
}

static int by_key(const void *a, const void *b) {
  const lua_row *left = a, *right = b;
  if (left->size != right->size) return left->size < right->size ? 1 : -1;
  return (left->tag > right->tag) - (left->tag < right->tag);
}

static int by_bytes(const void *a, const void *b) {
  const lua_row *left = a, *right = b;
  long long left_bytes = lua_row_bytes(*left), right_bytes = lua_row_bytes(*right);
  if (left_bytes != right_bytes) return left_bytes < right_bytes ? 1 : -1;
  return by_key(a, b);
}

static size_t sorted(lua_row *out, size_t count) {
  if (count) qsort(out, count, sizeof *out, by_bytes);
  return count;
}

size_t scalloc_lua_rows_sorted(const lua_rows *rows, lua_row *out) {
  size_t count = 0;
  for (size_t i = 0; i < rows->room; i++)
    if (rows->rows[i].blocks) out[count++] = rows->rows[i];
  return sorted(out, count);
}

size_t scalloc_lua_rows_difference(const lua_row *newer, size_t newer_count, const lua_row *older, size_t older_count,
                                   lua_row *out) {
  size_t all = newer_count + older_count, count = 0;
  if (newer_count) memcpy(out, newer, newer_count * sizeof *out);
  for (size_t i = 0; i < older_count; i++) out[newer_count + i] = (lua_row){older[i].size, older[i].tag, -older[i].blocks};
  if (all) qsort(out, all, sizeof *out, by_key);
  for (size_t i = 0; i < all; i++) { /* two rows of a key stand side by side */
    lua_row row = out[i];
    if (i + 1 < all && by_key(&out[i], &out[i + 1]) == 0) row.blocks += out[++i].blocks;
    if (row.blocks != 0) out[count++] = row;
  }
  return sorted(out, count);
}

void scalloc_lua_rows_clear(lua_rows *rows) {
  free(rows->rows);
  *rows = (lua_rows){NULL, 0, 0, false};
}
