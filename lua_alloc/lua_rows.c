/*
 * lua_rows.c - a hash table of sizes and tags.
 */
#include "lua_rows.h"

#include <stdint.h>
#include <stdlib.h>

/* The row of a size and tag, or the free one where it belongs. */
static lua_row *find(const lua_rows *rows, size_t size, int tag) {
  uint64_t hash = (size * 16 + (size_t)(tag + 1)) * 0x9E3779B97F4A7C15u;
  for (size_t i = (size_t)(hash >> 20);; i++) {
    lua_row *row = &rows->rows[i & (rows->room - 1)];
    if (row->blocks == 0 || (row->size == size && row->tag == tag)) return row;
  }
}

static long long blocks_of(const lua_rows *rows, size_t size, int tag) {
  return rows->room ? find(rows, size, tag)->blocks : 0;
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

static int by_bytes(const void *a, const void *b) {
  const lua_row *left = a, *right = b;
  long long left_bytes = lua_row_bytes(*left), right_bytes = lua_row_bytes(*right);
  if (left_bytes != right_bytes) return left_bytes < right_bytes ? 1 : -1;
  if (left->size != right->size) return left->size < right->size ? 1 : -1;
  return (left->tag > right->tag) - (left->tag < right->tag);
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

size_t scalloc_lua_rows_difference(const lua_rows *newer, const lua_rows *older, lua_row *out) {
  size_t count = 0;
  for (size_t i = 0; i < newer->room; i++) {
    lua_row row = newer->rows[i];
    if (row.blocks) row.blocks -= blocks_of(older, row.size, row.tag);
    if (row.blocks) out[count++] = row;
  }
  for (size_t i = 0; i < older->room; i++) {
    lua_row row = older->rows[i];
    if (!row.blocks || blocks_of(newer, row.size, row.tag)) continue;
    row.blocks = -row.blocks;
    out[count++] = row;
  }
  return sorted(out, count);
}

void scalloc_lua_rows_clear(lua_rows *rows) {
  free(rows->rows);
  *rows = (lua_rows){NULL, 0, 0, false};
}
