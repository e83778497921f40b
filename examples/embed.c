/*
 * embed.c - Lua in a C program, on a heap of its own: what changes is the call that makes the state and the one that closes it.
 *
 * Build: cc embed.c $(pkg-config --cflags --libs scalloc-lua lua5.4)
 */
#include <lauxlib.h>
#include <lualib.h>
#include <scalloc/lua_alloc.h>
#include <stdio.h>
#include <stdlib.h>

static const char program[] = "local words = {}\n"
                              "for i = 1, 50000 do words[i] = ('word %d'):format(i) end\n"
                              "return #table.concat(words, ' ')\n";

int main(void) {
  lua_State *L = scalloc_lua_newstate(NULL); /* instead of luaL_newstate() */
  if (L == NULL) return EXIT_FAILURE;
  luaL_openlibs(L);
  scalloc_lua_heap *heap = scalloc_lua_heap_of(L); /* counts what this state uses, in O(1) */
  size_t before = scalloc_lua_used(heap);

  if (luaL_dostring(L, program) != LUA_OK) {
    fprintf(stderr, "embed: %s\n", lua_tostring(L, -1));
    scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FULL);
    return EXIT_FAILURE;
  }
  long long length = (long long)lua_tointeger(L, -1);
  lua_settop(L, 0);
  lua_gc(L, LUA_GCCOLLECT);
  size_t after = scalloc_lua_used(heap), peak = scalloc_lua_peak(heap, false);
  size_t counted = (size_t)lua_gc(L, LUA_GCCOUNT) * 1024 + (size_t)lua_gc(L, LUA_GCCOUNTB);
  scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FULL); /* instead of lua_close(L); the heap ends with the state */

  printf("the script returned %lld; bytes used: %zu before, %zu at the peak, %zu after a collection\n", length, before, peak,
         after);
  printf("Lua itself counts %zu bytes after the collection\n", counted);
  return length == 538893 && peak > 4 * before && after < peak / 4 && after >= counted ? EXIT_SUCCESS : EXIT_FAILURE;
}
