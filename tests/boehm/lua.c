/*
 * Lua in a program whose own objects are libgc's: a userdata holds an object, which lives exactly as long as it does.
 *
 *   --script FILE   --states N, each in a thread of its own, all on one heap   --work N   --incremental
 */
#include "objects.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

static long made, let_go, died;
static scalloc_boehm_heap *heap;
static const char *script;
static long work;
static bool incremental;

typedef struct {
  uint64_t id;
  uint32_t word;
  object *volatile words[]; /* one of them holds the object */
} box;

static void box_fill(box *b) {
  __atomic_add_fetch(&made, 1, __ATOMIC_ACQ_REL);
  b->id = object_new(&b->words[b->word], object_ids(1), &died);
}

static void box_empty(box *b) {
  object_let_go(b->words[b->word]);
  __atomic_add_fetch(&let_go, 1, __ATOMIC_ACQ_REL);
}

static box *box_at(lua_State *L, int index) { return luaL_checkudata(L, index, "box"); }

static int box_new(lua_State *L) {
  static uint32_t turn;
  uint32_t word = __atomic_fetch_add(&turn, 1, __ATOMIC_RELAXED) % 30;
  box *b = lua_newuserdatauv(L, sizeof *b + (word + 1) * sizeof b->words[0], (int)word % 3);
  b->word = word;
  for (uint32_t i = 0; i <= word; i++) b->words[i] = NULL;
  box_fill(b);
  luaL_setmetatable(L, "box");
  return 1;
}

static int box_gc(lua_State *L) {
  box_empty(box_at(L, 1));
  return 0;
}

static int box_check(lua_State *L) {
  const box *b = box_at(L, 1);
  if (!object_is_sound(b->words[b->word], b->id)) luaL_error(L, "an object was lost");
  return 0;
}

/* In between, only the C stack holds the objects. */
static int box_swap(lua_State *L) {
  box *a = box_at(L, 1), *b = box_at(L, 2);
  object *of_a = a->words[a->word];
  uint64_t id = a->id;
  a->words[a->word] = b->words[b->word];
  b->words[b->word] = of_a;
  a->id = b->id;
  b->id = id;
  return 0;
}

static int box_replace(lua_State *L) {
  box *b = box_at(L, 1);
  box_empty(b);
  box_fill(b);
  return 0;
}

static int collect(lua_State *L) {
  (void)L;
  if (incremental) {
    GC_start_incremental_collection();
    while (GC_collect_a_little()) continue;
  } else {
    GC_gcollect();
  }
  return 0;
}

static lua_State *state_new(void) {
  static const luaL_Reg functions[] = {{"new", box_new},         {"check", box_check}, {"swap", box_swap},
                                       {"replace", box_replace}, {"collect", collect}, {NULL, NULL}};
  lua_State *L = lua_newstate(scalloc_boehm_lua_alloc, heap);
  CHECK(L != NULL);
  luaL_openlibs(L);
  luaL_newmetatable(L, "box");
  lua_pushcfunction(L, box_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  luaL_newlib(L, functions);
  lua_setglobal(L, "boxes");
  return L;
}

static void *run_script(void *seed) {
  lua_State *L = state_new();
  if (luaL_loadfile(L, script) != LUA_OK) test_fail(__FILE__, __LINE__, "%s", lua_tostring(L, -1));
  lua_pushinteger(L, (lua_Integer)(intptr_t)seed);
  lua_pushinteger(L, work);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) test_fail(__FILE__, __LINE__, "%s", lua_tostring(L, -1));
  lua_close(L);
  return NULL;
}

static void run_states(long states) {
  pthread_t threads[16];
  CHECK(states > 0 && states <= (long)LENGTH(threads));
  for (long i = 0; i < states; i++) CHECK(pthread_create(&threads[i], NULL, run_script, (void *)(i + 1)) == 0);
  for (long i = 0; i < states; i++) CHECK(pthread_join(threads[i], NULL) == 0);
}

/* ---- step by step -------------------------------------------------------------------------------------------------------- */

static lua_State *shared;

static void *run_text(void *text) {
  if (luaL_dostring(shared, text)) test_fail(__FILE__, __LINE__, "%s", lua_tostring(shared, -1));
  return NULL;
}

/* What Lua frees is what dies, neither earlier nor later. */
static void exactly_as_long(void) {
  static char fill[] = "held = {} for i = 1, 1000 do held[i] = boxes.new() end",
              half[] = "for i = 1, 1000, 2 do held[i] = nil end", full[] = "collectgarbage() collectgarbage()",
              check[] = "for _, b in pairs(held) do boxes.check(b) end";
  long before = died;
  shared = state_new();
  elsewhere(run_text, fill);
  GC_gcollect();
  elsewhere(run_text, half);
  GC_gcollect();
  CHECK_INT(died, ==, before); /* garbage for Lua, which has not found it yet */
  elsewhere(run_text, full);
  CHECK(collect_until(&died, before + 500));
  elsewhere(run_text, check);
  lua_close(shared);
  CHECK(collect_until(&died, before + 1000));
}

/* Nothing but userdata is scanned. */
static void *light_userdata(void *unused) {
  object *volatile held;
  lua_createtable(shared, 1000, 0);
  for (int i = 1; i <= 1000; i++) {
    object_new(&held, object_ids(1), &died);
    object_let_go(held);
    lua_pushlightuserdata(shared, held);
    lua_rawseti(shared, -2, i);
  }
  lua_setglobal(shared, "light");
  return unused;
}

static void other_values(void) {
  long before = died;
  shared = state_new();
  elsewhere(light_userdata, NULL);
  CHECK(collect_until(&died, before + 1000));
  lua_close(shared);
}

int main(int argc, char **argv) {
  long states = option_number(argc, argv, "--states", 1);
  work = option_number(argc, argv, "--work", 100);
  for (int i = 1; i < argc; i++) {
    incremental |= strcmp(argv[i], "--incremental") == 0;
    if (i + 1 < argc && strcmp(argv[i], "--script") == 0) script = argv[i + 1];
  }
  CHECK(script != NULL);
  GC_INIT();
  if (incremental) GC_enable_incremental();
  heap = scalloc_boehm_heap_new();
  CHECK(heap != NULL);
  run_states(states);
  CHECK_INT(made, ==, let_go);
  CHECK(collect_until(&died, made));
  exactly_as_long();
  other_values();
  CHECK_INT(objects_wrong, ==, 0);
  printf("%ld objects in userdata, %lu collections\n", made, (unsigned long)GC_get_gc_no());
  scalloc_boehm_heap_destroy(heap);
  check_heap();
  return 0;
}
