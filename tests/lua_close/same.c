/*
 * same.c - every way to close a state does the same: the cases of cases.lua leave the same notes, warnings and files behind.
 *
 *   same CASES_LUA
 */
#include "lua_close.h"

enum { RANDOM_SEEDS = 30 };

static const char *cases_file;
static char folder[] = "/tmp/scalloc-test-XXXXXX";
static way outer; /* of the state that makes others */

/* A state within a finalizer: made, filled and closed. */
static int other_state(lua_State *L) {
  char script[128];
  snprintf(script, sizeof script, "t = setmetatable({}, {__gc = function() note('inner %d') end}) return #('x'):rep(9)",
           (int)luaL_checkinteger(L, 1));
  lua_State *other = new_state(outer);
  run(other, script);
  lua_pushinteger(L, lua_tointeger(other, -1));
  close_state(other, outer);
  return 1;
}

/* The functions of one kind in cases.lua, on top of the stack. */
static void load_cases(lua_State *L, const char *kind, int seed) {
  lua_register(L, "other_state", other_state);
  lua_pushfstring(L, "%s/", folder);
  lua_setglobal(L, "path");
  lua_pushinteger(L, seed);
  lua_setglobal(L, "seed");
  if (luaL_dofile(L, cases_file) != LUA_OK) test_fail(__FILE__, __LINE__, "%s", lua_tostring(L, -1));
  lua_getfield(L, -1, kind);
}

/* Appends what the files of the case contain to the notes, and removes them. */
static void note_files(void) {
  static const char *const names[] = {"1", "2", "3", "4", "5", "6", "7", "8", "pipe", "default"};
  for (size_t i = 0; i < LENGTH(names); i++) {
    char path[64], text[4096];
    snprintf(path, sizeof path, "%s/%s", folder, names[i]);
    FILE *file = fopen(path, "r");
    if (file == NULL) continue;
    note_text(path);
    for (size_t length; (length = fread(text, 1, sizeof text - 1, file)) > 0;) {
      text[length] = 0;
      note_text(text);
    }
    fclose(file);
    unlink(path);
  }
}

/* Runs a case and closes its state; the notes hold what happened. */
static void run_case(const char *name, int seed, way how) {
  lua_State *L = new_state(outer = how);
  notes_length = 0;
  load_cases(L, "cases", seed);
  if (lua_getfield(L, -1, name) != LUA_TFUNCTION) test_fail(__FILE__, __LINE__, "no case %s", name);
  lua_insert(L, 1);
  lua_settop(L, 1);
  if (lua_pcall(L, 0, LUA_MULTRET, 0) != LUA_OK) test_fail(__FILE__, __LINE__, "%s: %s", name, lua_tostring(L, -1));
  int results = lua_gettop(L);
  for (int i = 1; i <= results; i++) lua_toclose(L, i);
  note_text("closing\n");
  close_state(L, how);
  note_files();
  if (how != PLAIN) check_heap();
}

static void all_ways_are_the_same(const char *name, int seed) {
  static char plain[sizeof notes];
  run_case(name, seed, PLAIN);
  memcpy(plain, notes, notes_length + 1);
  for (way how = FULL; how < WAYS; how++) {
    run_case(name, seed, how);
    if (strcmp(plain, notes) != 0) {
      size_t at = 0;
      while (plain[at] == notes[at]) at++;
      test_fail(__FILE__, __LINE__, "%s %d: %s differs from lua_close at %.60s\nwhere lua_close has %.60s", name, seed,
                way_names[how], notes + at, plain + at);
    }
  }
}

int main(int argc, char **argv) {
  CHECK(argc == 2 && mkdtemp(folder) != NULL);
  cases_file = argv[1];
  lua_State *L = new_state(PLAIN);
  size_t noted = 0;
  int count = 0;
  close_state(new_state(FAST), FAST); /* whose first one measures */
  stats before = stats_now();
  load_cases(L, "cases", 0);
  for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
    const char *name = lua_tostring(L, -2);
    int seeds = strcmp(name, "random") == 0 ? RANDOM_SEEDS : 1;
    for (int seed = 1; seed <= seeds; seed++) {
      all_ways_are_the_same(name, seed);
      noted += notes_length;
      count++;
    }
  }
  lua_close(L);
  CHECK_INT(count, >=, 20 + RANDOM_SEEDS);
  CHECK_INT(noted, >, 30000); /* they do happen */
  check_all_returned(before);
  printf("%d closes of each kind alike, %zu bytes of notes\n", count, noted);
  return rmdir(folder) != 0;
}
