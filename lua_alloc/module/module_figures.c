/*
 * module_figures.c - figures of the heap: count, peak, stats, histogram, tags.
 *
 * Tables to be filled may be given, so that measuring allocates nothing once their keys are there.
 */
#include "module.h"

/* count([unit]) -> bytes in use, in units of "b", "k" or "m" */
static int figures_count(lua_State *L) {
  static const char *const units[] = {"b", "k", "m", NULL};
  int unit = luaL_checkoption(L, 1, "b", units);
  scalloc_lua_heap *heap = scalloc_module_heap(L);
  if (!heap) return scalloc_module_no_heap(L);
  size_t used = scalloc_module_data(L)->f->used(heap);
  if (unit == 0)
    scalloc_module_push_size(L, used);
  else
    lua_pushnumber(L, (lua_Number)used / (unit == 1 ? 1024 : 1024 * 1024));
  return 1;
}

/* peak([reset]) -> bytes */
static int figures_peak(lua_State *L) {
  scalloc_lua_heap *heap = scalloc_module_heap(L);
  bool reset = lua_toboolean(L, 1);
  if (!heap) return scalloc_module_no_heap(L);
  if (reset && scalloc_module_is_sealed(L)) return scalloc_module_sealed(L); /* it is the host's figure, too */
  scalloc_module_push_size(L, scalloc_module_data(L)->f->peak(heap, reset));
  return 1;
}

static void set_figure(lua_State *L, const char *name, unsigned long long value) {
  scalloc_module_push_size(L, (size_t)value);
  lua_setfield(L, -2, name);
}

/* stats([t]) -> t */
static int figures_stats(lua_State *L) {
  scalloc_lua_stats s = {.size = sizeof s};
  scalloc_lua_heap *heap = scalloc_module_heap(L);
  scalloc_module_push_table(L, 1);
  if (!heap) return scalloc_module_no_heap(L);
  scalloc_module_data(L)->f->stats_read(heap, &s);
  set_figure(L, "used", s.used);
  set_figure(L, "peak", s.peak);
  set_figure(L, "committed", s.committed);
  set_figure(L, "blocks", s.blocks);
  set_figure(L, "soft_limit", s.soft_limit);
  set_figure(L, "hard_limit", s.hard_limit);
  set_figure(L, "max_block", s.max_block);
  set_figure(L, "armed", s.armed);
  set_figure(L, "spans_hot", s.hot);
  set_figure(L, "spans_floating", s.floating);
  set_figure(L, "spans_reusable", s.reusable);
  set_figure(L, "spans_large", s.large);
  set_figure(L, "refusals", s.refusals);
  set_figure(L, "emergencies", s.emergencies);
  set_figure(L, "failures", s.failures);
  set_figure(L, "pressures", s.pressures);
  return 1;
}

/* Sets t[key] to a count, t at -2 and the key on top; 0 is nothing, so that a key that is not there need not be made. */
static void set_count(lua_State *L, size_t count) {
  if (count)
    scalloc_module_push_size(L, count);
  else
    lua_pushnil(L);
  lua_rawset(L, -3);
}

/* histogram([t]) -> t: live blocks by the size of their class; t.large those above the largest */
static int figures_histogram(lua_State *L) {
  scalloc_lua_stats s = {.size = sizeof s};
  scalloc_lua_heap *heap = scalloc_module_heap(L);
  scalloc_module_push_table(L, 1);
  if (!heap) return scalloc_module_no_heap(L);
  scalloc_module_data(L)->f->stats_read(heap, &s);
  for (size_t i = 0; i < SCALLOC_LUA_CLASSES; i++) {
    if (i == SCALLOC_LUA_CLASSES - 1)
      lua_pushliteral(L, "large");
    else
      scalloc_module_push_size(L, s.classes[i].size);
    set_count(L, s.classes[i].live);
  }
  return 1;
}

typedef struct {
  size_t blocks[MODULE_TAGS], bytes[MODULE_TAGS]; /* by tag + 1 */
} tag_sums;

static void add_block(void *userdata, const scalloc_lua_block *block) {
  tag_sums *sums = userdata;
  int i = block->tag + 1 < MODULE_TAGS ? block->tag + 1 : 0;
  sums->blocks[i]++;
  sums->bytes[i] += block->size;
}

/* Sets t[name of the tag] for the table t on top, to what was counted for the tags of that name. */
static void set_tags(lua_State *L, const size_t *counts) {
  for (int tag = -1; tag < MODULE_TAGS - 1; tag++) {
    const char *name = scalloc_module_tag_name(tag);
    if (tag > -1 && strcmp(name, "unknown") == 0) continue;
    lua_pushstring(L, name);
    set_count(L, counts[tag + 1]);
  }
}

/* tags([bytes[, blocks]]) -> bytes, blocks: of live blocks by what they were made for. O(blocks). */
static int figures_tags(lua_State *L) {
  tag_sums sums = {{0}, {0}};
  scalloc_lua_heap *heap = scalloc_module_heap(L);
  lua_settop(L, 2);
  scalloc_module_push_table(L, 1);
  scalloc_module_push_table(L, 2);
  if (!heap) return scalloc_module_no_heap(L);
  scalloc_module_data(L)->f->walk(heap, add_block, &sums);
  set_tags(L, sums.blocks);
  lua_pushvalue(L, -2);
  set_tags(L, sums.bytes);
  lua_pop(L, 1);
  return 2;
}

void scalloc_module_add_figures(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"count", figures_count},         {"peak", figures_peak}, {"stats", figures_stats},
      {"histogram", figures_histogram}, {"tags", figures_tags}, {NULL, NULL},
  };
  luaL_setfuncs(L, functions, 1);
}
