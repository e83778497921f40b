/*
 * module_profile.c - which line of a script allocated how much, and how much of it is still live.
 *
 * A heap with records counts the bytes that it hands out, and each block knows that count at its birth. So the profile need not be
 * told of any block: a debug hook, called every so many instructions, notes from which count on which line ran. What is handed out
 * between two calls belongs to the line of the first; with every = 1 that is exact, and C functions count for who calls them.
 *
 * The notes lie in memory of the C library. They grow with the changes from line to line; when they are many, those go of which no
 * block is live any more.
 */
#include "module.h"

#include <stdint.h>
#include <stdlib.h>

typedef unsigned long long serial; /* bytes handed out before */

typedef struct {
  char source[LUA_IDSIZE];
  int line;
  serial bytes; /* handed out in all */
  serial live, live_blocks;
} site;

typedef struct {
  serial from;
  uint32_t site;
  uint32_t blocks; /* live ones, while the notes are thinned out */
} note;

typedef struct {
  module_data *module;
  const scalloc_lua_heap *heap; /* that its counts are of */
  bool short_of_memory;
  serial last;   /* count at the last call of the hook */
  uint32_t here; /* site then */
  site *sites;
  size_t site_count, site_room;
  uint32_t *table; /* hash table of sites, index + 1; twice as long as there is room for sites */
  note *notes;
  size_t note_count, note_room;
} profile;

static const char profile_name[] = "scalloc.profile " MODULE_VERSION;
static const char active_key = 0; /* its address leads to the active profile in the registry */

enum { NOTES_LEAST = 1 << 16, SITES_LEAST = 1 << 8, BIRTH_UNIT = 16 };

/* ---- sites --------------------------------------------------------------------------------------------------------------------- */

static uint32_t *find_site(profile *p, const char *source, int line) {
  uint32_t hash = (uint32_t)line * 2654435761u;
  for (const char *c = source; *c; c++) hash = (hash ^ (unsigned char)*c) * 16777619u;
  for (size_t i = hash >> 3;; i++) {
    uint32_t *entry = &p->table[i & (2 * p->site_room - 1)];
    if (*entry == 0) return entry;
    const site *s = &p->sites[*entry - 1];
    if (s->line == line && strcmp(s->source, source) == 0) return entry;
  }
}

static bool grow_sites(profile *p) {
  size_t room = p->site_room ? 2 * p->site_room : SITES_LEAST;
  site *sites = realloc(p->sites, room * sizeof *sites);
  if (sites) p->sites = sites;
  uint32_t *table = sites ? calloc(2 * room, sizeof *table) : NULL;
  if (!table) return false;
  free(p->table);
  p->table = table;
  p->site_room = room;
  for (uint32_t i = 0; i < p->site_count; i++) *find_site(p, sites[i].source, sites[i].line) = i + 1;
  return true;
}

/* The number of the site; the last one's if there is no memory for a new one. */
static uint32_t site_number(profile *p, const char *source, int line) {
  if (p->site_count == p->site_room && !grow_sites(p)) {
    p->short_of_memory = true;
    return p->here;
  }
  uint32_t *entry = find_site(p, source, line);
  if (*entry == 0) {
    site *s = &p->sites[p->site_count];
    *s = (site){.line = line};
    snprintf(s->source, sizeof s->source, "%s", source);
    *entry = (uint32_t)++p->site_count;
  }
  return *entry - 1;
}

/* ---- notes --------------------------------------------------------------------------------------------------------------------- */

/* The note that a birth falls under; births are known to BIRTH_UNIT bytes. NULL: before the profile began. */
static note *find_note(const profile *p, serial birth) {
  size_t low = 0, high = p->note_count; /* notes below `low` begin at or before it */
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (p->notes[middle].from / BIRTH_UNIT <= birth / BIRTH_UNIT)
      low = middle + 1;
    else
      high = middle;
  }
  return low ? &p->notes[low - 1] : NULL;
}

static void count_for_note(void *userdata, const scalloc_lua_block *block) {
  note *n = find_note(userdata, block->serial);
  if (n && n->blocks < UINT32_MAX) n->blocks++;
}

/* Drops the notes of blocks that are all dead, but for the last. */
static void thin_out(profile *p, scalloc_lua_heap *heap) {
  size_t kept = 0;
  for (size_t i = 0; i < p->note_count; i++) p->notes[i].blocks = 0;
  p->module->f->walk(heap, count_for_note, p);
  for (size_t i = 0; i < p->note_count; i++)
    if (p->notes[i].blocks || i + 1 == p->note_count) p->notes[kept++] = p->notes[i];
  p->note_count = kept;
}

static void add_note(profile *p, scalloc_lua_heap *heap) {
  if (p->note_count && p->notes[p->note_count - 1].site == p->here) return;
  if (p->note_count == p->note_room && p->note_count) thin_out(p, heap);
  if (2 * p->note_count >= p->note_room) {
    size_t room = p->note_room ? 2 * p->note_room : NOTES_LEAST;
    note *notes = realloc(p->notes, room * sizeof *notes);
    if (!notes) {
      p->short_of_memory = true;
      return;
    }
    p->notes = notes;
    p->note_room = room;
  }
  p->notes[p->note_count++] = (note){.from = p->last, .site = p->here};
}

/* ---- the hook ------------------------------------------------------------------------------------------------------------------ */

static profile *active_profile(lua_State *L) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)&active_key);
  lua_rawget(L, LUA_REGISTRYINDEX);
  profile *p = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return p;
}

/* What has been handed out since the last call is charged to the site then. */
static void charge(profile *p, scalloc_lua_heap *heap) {
  serial now = p->module->f->handed_out(heap);
  if (now <= p->last) return;
  p->sites[p->here].bytes += now - p->last;
  add_note(p, heap);
  p->last = now;
}

/* The heap of a profile, if the state is still on it. */
static scalloc_lua_heap *heap_of(lua_State *L, const profile *p) {
  scalloc_lua_heap *heap = p->module->f->heap_of(L);
  return heap == p->heap ? heap : NULL;
}

static void hook(lua_State *L, lua_Debug *event) {
  profile *p = active_profile(L);
  scalloc_lua_heap *heap = p ? heap_of(L, p) : NULL;
  if (!heap) { /* this coroutine has it from the time when there was one */
    lua_sethook(L, NULL, 0, 0);
    return;
  }
  charge(p, heap);
  if (lua_getinfo(L, "Sl", event)) p->here = site_number(p, event->short_src, event->currentline);
}

/* Takes a hook that is none of ours, which the script has set meanwhile, for what it is. */
static void set_hook_of(lua_State *L, int every) {
  if (every)
    lua_sethook(L, hook, LUA_MASKCOUNT, every);
  else if (lua_gethook(L) == hook)
    lua_sethook(L, NULL, 0, 0);
}

/* every = 0: none. */
static void set_hook(lua_State *L, int every) {
  set_hook_of(L, every);
#if LUA_VERSION_NUM >= 502
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD); /* later coroutines have it from their maker */
  set_hook_of(lua_tothread(L, -1), every);
  lua_pop(L, 1);
#endif
}

/* ---- what scripts call ----------------------------------------------------------------------------------------------------------- */

static void set_active(lua_State *L, int index) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)&active_key);
  if (index)
    lua_pushvalue(L, index);
  else
    lua_pushnil(L);
  lua_rawset(L, LUA_REGISTRYINDEX);
}

static void end_profile(lua_State *L) {
  set_hook(L, 0);
  set_active(L, 0);
}

void scalloc_module_end_profile(lua_State *L) {
  if (active_profile(L)) end_profile(L);
}

/* A profile that is never stopped ends with the state, where finalizers that come later may still run under its hook. */
static int profile_gc(lua_State *L) {
  profile *p = luaL_checkudata(L, 1, profile_name);
  if (active_profile(L) == p) end_profile(L);
  free(p->sites);
  free(p->table);
  free(p->notes);
  p->sites = NULL;
  p->table = NULL;
  p->notes = NULL;
  p->site_count = p->site_room = p->note_count = p->note_room = 0;
  return 0;
}

/* The `every` of the table at index 1. */
static int check_every(lua_State *L) {
  int every = 1;
  if (lua_isnoneornil(L, 1)) return every;
  luaL_checktype(L, 1, LUA_TTABLE);
  for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
    lua_Number n = lua_tonumber(L, -1);
    if (lua_type(L, -2) != LUA_TSTRING || strcmp(lua_tostring(L, -2), "every") != 0) luaL_argerror(L, 1, "'every' expected");
    if (!(n >= 1 && n <= 1000000)) luaL_argerror(L, 1, "every: from 1 to 1000000 instructions");
    every = (int)n;
  }
  return every;
}

/* Does this Lua call hooks wherever it runs? LuaJIT does not in code that it has compiled. */
static bool is_jitting(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
  if (lua_istable(L, -1)) lua_getfield(L, -1, "jit");
  bool jitting = false;
  if (lua_istable(L, -1) && compat_getfield(L, -1, "status") == LUA_TFUNCTION) {
    lua_call(L, 0, 1);
    jitting = lua_toboolean(L, -1);
  }
  lua_settop(L, 1);
  return jitting;
}

/* profile{every = n} -> profile */
static int profile_start(lua_State *L) {
  module_data *m = scalloc_module_data(L);
  scalloc_lua_heap *heap = scalloc_module_attached(L);
  int every = check_every(L);
  lua_settop(L, 1);
  if (!heap) return scalloc_module_no_heap(L);
  if (scalloc_module_is_sealed(L)) return scalloc_module_sealed(L);
  if (!m->f->births(heap))
    return scalloc_module_fail(L, "this heap notes nothing of its blocks: attach{stats = true}, or scalloc-lua --mem-types");
  if (is_jitting(L)) return scalloc_module_fail(L, "compiled code calls no hooks: jit.off() first");
  if (lua_gethook(L)) return scalloc_module_fail(L, "there is a debug hook");
  profile *p = lua_newuserdatauv(L, sizeof *p, 0);
  *p = (profile){.module = m, .heap = heap};
  luaL_setmetatable(L, profile_name);
  p->here = site_number(p, "?", 0);
  if (p->short_of_memory) return scalloc_module_fail(L, "not enough memory");
  set_active(L, 2);
  p->last = m->f->handed_out(heap);
  set_hook(L, every);
  return 1;
}

static void count_for_site(void *userdata, const scalloc_lua_block *block) {
  profile *p = userdata;
  const note *n = find_note(p, block->serial);
  if (!n) return;
  p->sites[n->site].live += block->size;
  p->sites[n->site].live_blocks++;
}

static int by_bytes(const void *a, const void *b) {
  const site *left = a, *right = b;
  return left->bytes == right->bytes ? 0 : left->bytes < right->bytes ? 1 : -1;
}

static int by_live(const void *a, const void *b) {
  const site *left = a, *right = b;
  return left->live == right->live ? by_bytes(a, b) : left->live < right->live ? 1 : -1;
}

static void push_sites(lua_State *L, const profile *p) {
  lua_createtable(L, (int)p->site_count, 0);
  int n = 0;
  for (size_t i = 0; i < p->site_count; i++) {
    const site *s = &p->sites[i];
    if (s->bytes == 0) continue;
    lua_createtable(L, 0, 4);
    lua_pushfstring(L, "%s:%d", s->source, s->line);
    lua_setfield(L, -2, "source");
    scalloc_module_push_size(L, (size_t)s->bytes);
    lua_setfield(L, -2, "bytes");
    scalloc_module_push_size(L, (size_t)s->live);
    lua_setfield(L, -2, "live");
    scalloc_module_push_size(L, (size_t)s->live_blocks);
    lua_setfield(L, -2, "live_blocks");
    lua_rawseti(L, -2, ++n);
  }
}

/* profile:stop([order]) -> { {source=, bytes=, live=, live_blocks=}, ... }; most "bytes" first, or most "live" */
static int profile_stop(lua_State *L) {
  static const char *const orders[] = {"bytes", "live", NULL};
  profile *p = luaL_checkudata(L, 1, profile_name);
  int order = luaL_checkoption(L, 2, "bytes", orders);
  scalloc_lua_heap *heap = heap_of(L, p);
  if (active_profile(L) != p) return scalloc_module_fail(L, "stopped already");
  end_profile(L);
  if (!heap) return scalloc_module_fail(L, "this state has left the heap that the profile is of");
  charge(p, heap);
  p->module->f->walk(heap, count_for_site, p);
  if (p->short_of_memory) return scalloc_module_fail(L, "there was not enough memory for the profile");
  qsort(p->sites, p->site_count, sizeof *p->sites, order == 0 ? by_bytes : by_live);
  push_sites(L, p);
  return 1;
}

void scalloc_module_add_profile(lua_State *L) {
  static const luaL_Reg methods[] = {{"stop", profile_stop}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"profile", profile_start}, {NULL, NULL}};
  luaL_setfuncs(L, functions, 1);
  scalloc_module_new_type(L, profile_name, methods, profile_gc);
}
