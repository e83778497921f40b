/*
 * exits.c - a program that ends from within Lua ends as it would without scalloc: the ways out of cases.lua, each in a process
 * of its own, print the same and return the same status whoever closes the state.
 *
 *   exits CASES_LUA
 */
#include "lua_close.h"

static const char *cases_file;

/* os.exit of a host that wants a fast close there too. */
static int fast_exit(lua_State *L) {
  int status = lua_isboolean(L, 1) ? !lua_toboolean(L, 1) : (int)luaL_optinteger(L, 1, 0);
  if (lua_toboolean(L, 2)) scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FAST);
  exit(status);
}

static void print_warning(void *ud, const char *message, int to_be_continued) {
  (void)ud;
  printf("%s%s", message, to_be_continued ? "" : "\n");
}

/* The child: runs the case and comes back here only if the script does. */
static void leave(const char *name, way how, bool replaced) {
  lua_State *L = new_state(how);
  lua_setwarnf(L, print_warning, NULL);
  if (luaL_dofile(L, cases_file) != LUA_OK) test_fail(__FILE__, __LINE__, "%s", lua_tostring(L, -1));
  if (replaced) {
    lua_getglobal(L, "os");
    lua_pushcfunction(L, fast_exit);
    lua_setfield(L, -2, "exit");
    lua_pop(L, 1);
  }
  lua_getfield(L, -1, "exits");
  if (lua_getfield(L, -1, name) != LUA_TFUNCTION) test_fail(__FILE__, __LINE__, "no case %s", name);
  int status = lua_pcall(L, 0, 0, 0);
  if (status != LUA_OK) printf("an error of type %s\n", luaL_typename(L, -1));
  close_state(L, how);
  exit(status != LUA_OK);
}

typedef struct outcome {
  int status; /* of waitpid */
  char out[4096];
} outcome;

static outcome run_child(const char *name, way how, bool replaced) {
  outcome result = {0, ""};
  size_t length = 0;
  int ends[2];
  CHECK(pipe(ends) == 0);
  fflush(NULL);
  pid_t pid = fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    dup2(ends[1], STDOUT_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
    leave(name, how, replaced);
  }
  close(ends[1]);
  for (ssize_t got; (got = read(ends[0], result.out + length, sizeof result.out - 1 - length)) > 0;) length += (size_t)got;
  close(ends[0]);
  CHECK(waitpid(pid, &result.status, 0) == pid);
  return result;
}

static void all_ways_are_the_same(const char *name) {
  outcome plain = run_child(name, PLAIN, false);
  CHECK(WIFEXITED(plain.status) && plain.out[0] != 0);
  for (way how = FULL; how < WAYS; how++)
    for (int replaced = 0; replaced < 2; replaced++) {
      outcome other = run_child(name, how, replaced);
      if (other.status != plain.status || strcmp(other.out, plain.out) != 0)
        test_fail(__FILE__, __LINE__, "%s: status %d, lua_close; %d, %s%s\n-- lua_close:\n%s-- %s:\n%s", name, plain.status,
                  other.status, way_names[how], replaced ? " and in os.exit" : "", plain.out, way_names[how], other.out);
    }
}

int main(int argc, char **argv) {
  CHECK(argc == 2);
  cases_file = argv[1];
  close_state(new_state(FAST), FAST);
  lua_State *L = new_state(PLAIN);
  if (luaL_dofile(L, cases_file) != LUA_OK) test_fail(__FILE__, __LINE__, "%s", lua_tostring(L, -1));
  int count = 0;
  lua_getfield(L, -1, "exits");
  for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1), count++) all_ways_are_the_same(lua_tostring(L, -2));
  lua_close(L);
  CHECK_INT(count, >=, 10);
  return 0;
}
