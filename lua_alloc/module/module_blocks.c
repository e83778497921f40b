/*
 * module_blocks.c - the live blocks of the heap: heapdump, snapshots and their differences.
 *
 * While the heap is walked nothing may be allocated from it. So a walk fills memory of its own, from the C library; only then Lua
 * values are made of it. A dump's hangs on a userdata that exists before, a snapshot's is copied and gone when the call returns.
 */
#include "lua_rows.h"
#include "module.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

/* ---- heapdump ------------------------------------------------------------------------------------------------------------- */

typedef struct {
  scalloc_lua_block *blocks;
  size_t count, room;
  bool short_of_memory;
} block_list;

static void list_block(void *userdata, const scalloc_lua_block *block) {
  block_list *list = userdata;
  if (list->count == list->room) {
    size_t room = list->room ? 2 * list->room : 1024;
    scalloc_lua_block *blocks = realloc(list->blocks, room * sizeof *blocks);
    if (!blocks) {
      list->short_of_memory = true;
      return;
    }
    list->blocks = blocks;
    list->room = room;
  }
  list->blocks[list->count++] = *block;
}

static const char list_name[] = "scalloc.blocks " MODULE_VERSION;

static int free_list(lua_State *L) {
  block_list *list = luaL_checkudata(L, 1, list_name);
  free(list->blocks);
  *list = (block_list){NULL, 0, 0, false};
  return 0;
}

static int by_address(const void *a, const void *b) {
  const scalloc_lua_block *left = a, *right = b;
  return (left->start > right->start) - (left->start < right->start);
}

/* Pushes an empty list; it is freed with the userdata. */
static block_list *push_list(lua_State *L) {
  block_list *list = lua_newuserdatauv(L, sizeof *list, 0);
  *list = (block_list){NULL, 0, 0, false};
  luaL_setmetatable(L, list_name);
  return list;
}

enum { LINE_BYTES = 160 };

static size_t write_line(char *line, const scalloc_lua_block *block) {
  int length = snprintf(line, LINE_BYTES, "{\"address\":\"0x%" PRIxPTR "\",\"size\":%zu,\"room\":%zu,\"tag\":\"%s\"}\n",
                        (uintptr_t)block->start, block->size, block->room, scalloc_module_tag_name(block->tag));
  return length > 0 ? (size_t)length : 0;
}

static bool dump_to_file(const block_list *list, const char *path) {
  char line[LINE_BYTES] = "";
  FILE *file = fopen(path, "w");
  if (!file) return false;
  for (size_t i = 0; i < list->count; i++) fwrite(line, 1, write_line(line, &list->blocks[i]), file);
  bool written = ferror(file) == 0;
  return fclose(file) == 0 && written;
}

static void dump_to_function(lua_State *L, const block_list *list, int function) {
  char line[LINE_BYTES];
  for (size_t i = 0; i < list->count; i++) {
    lua_pushvalue(L, function);
    lua_pushlstring(L, line, write_line(line, &list->blocks[i]));
    lua_call(L, 1, 0);
  }
}

/* heapdump(path | function) -> number of blocks; a line of JSON for each */
static int blocks_heapdump(lua_State *L) {
  bool to_function = lua_isfunction(L, 1);
  const char *path = to_function ? NULL : luaL_checkstring(L, 1);
  scalloc_lua_heap *heap = scalloc_module_heap(L);
  if (!heap) return scalloc_module_no_heap(L);
  if (scalloc_module_is_sealed(L)) return scalloc_module_sealed(L);
  block_list *list = push_list(L);
  scalloc_module_data(L)->f->walk(heap, list_block, list);
  if (list->short_of_memory) return scalloc_module_fail(L, "not enough memory for the dump");
  if (list->count) qsort(list->blocks, list->count, sizeof *list->blocks, by_address);
  if (to_function)
    dump_to_function(L, list, 1);
  else if (!dump_to_file(list, path))
    return scalloc_module_fail(L, lua_pushfstring(L, "%s: %s", path, strerror(errno)));
  scalloc_module_push_size(L, list->count);
  return 1;
}

/* ---- snapshots -------------------------------------------------------------------------------------------------------------- */

static const char snapshot_name[] = "scalloc.snapshot " MODULE_VERSION;

/* Lies in the heap that it tells of, so that limits hold for snapshots, too. */
typedef struct {
  size_t count; /* 0 once it is closed */
  lua_row rows[];
} snapshot;

static snapshot *check_snapshot(lua_State *L, int argument) { return luaL_checkudata(L, argument, snapshot_name); }

static int snapshot_close(lua_State *L) {
  check_snapshot(L, 1)->count = 0;
  return 0;
}

static void set_number(lua_State *L, const char *name, long long value) {
#if LUA_VERSION_NUM >= 503
  lua_pushinteger(L, (lua_Integer)value);
#else
  lua_pushnumber(L, (lua_Number)value);
#endif
  lua_setfield(L, -2, name);
}

/* Pushes { {size=, tag=, blocks=, bytes=}, ... }, most bytes first. */
static int push_rows(lua_State *L, const lua_row *rows, size_t count) {
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    lua_createtable(L, 0, 4);
    set_number(L, "size", (long long)rows[i].size);
    set_number(L, "blocks", rows[i].blocks);
    set_number(L, "bytes", lua_row_bytes(rows[i]));
    lua_pushstring(L, scalloc_module_tag_name(rows[i].tag));
    lua_setfield(L, -2, "tag");
    lua_rawseti(L, -2, (int)i + 1);
  }
  return 1;
}

/* snapshot:rows() -> rows */
static int snapshot_rows(lua_State *L) {
  const snapshot *s = check_snapshot(L, 1);
  return push_rows(L, s->rows, s->count);
}

/* newer:diff(older) -> rows: what there is more of, and less (negative), in the newer one. They lie in a userdata, which an error frees. */
static int snapshot_diff(lua_State *L) {
  const snapshot *newer = check_snapshot(L, 1), *older = check_snapshot(L, 2);
  lua_row *rows = lua_newuserdatauv(L, (newer->count + older->count + 1) * sizeof *rows, 0);
  return push_rows(L, rows, scalloc_lua_rows_difference(newer->rows, newer->count, older->rows, older->count, rows));
}

/* Makes a snapshot of the rows at index 1, which the caller keeps. */
static int copy_rows(lua_State *L) {
  const lua_rows *rows = lua_touserdata(L, 1);
  snapshot *s = lua_newuserdatauv(L, sizeof *s + rows->count * sizeof s->rows[0], 0);
  s->count = scalloc_lua_rows_sorted(rows, s->rows);
  luaL_setmetatable(L, snapshot_name);
  return 1;
}

/* snapshot() -> snapshot: the live blocks by size and tag. O(blocks). Between the walk and the end nothing raises an error. */
static int blocks_snapshot(lua_State *L) {
  scalloc_lua_heap *heap = scalloc_module_heap(L);
  if (!heap) return scalloc_module_no_heap(L);
  lua_rows rows = {NULL, 0, 0, false};
  lua_pushcfunction(L, copy_rows);
  scalloc_module_data(L)->f->walk(heap, scalloc_lua_rows_count, &rows);
  bool complete = !rows.short_of_memory;
  lua_pushlightuserdata(L, &rows);
  int status = complete ? lua_pcall(L, 1, 1, 0) : LUA_OK;
  scalloc_lua_rows_clear(&rows);
  if (!complete) return scalloc_module_fail(L, "not enough memory for the snapshot");
  return status == LUA_OK ? 1 : lua_error(L);
}

void scalloc_module_add_blocks(lua_State *L) {
  static const luaL_Reg methods[] = {{"rows", snapshot_rows}, {"diff", snapshot_diff}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"heapdump", blocks_heapdump}, {"snapshot", blocks_snapshot}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 1);
  scalloc_module_new_type(L, list_name, NULL, free_list);
  scalloc_module_new_type(L, snapshot_name, methods, snapshot_close);
}
