/*
 * boehm_lua.c - Lua in a program whose own objects are collected by libgc. A userdata holds a node of the host's graph; the node,
 * and what it leads to, lives exactly as long as some userdata needs it. What changes in the host is the allocator of the state.
 *
 * Build: cc boehm_lua.c $(pkg-config --cflags --libs scalloc-boehm lua5.4)
 */
#include <gc/gc.h>
#include <lauxlib.h>
#include <lualib.h>
#include <scalloc/boehm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Part of the host's graph, which has cycles: GC_malloc'ed, never freed by hand. */
typedef struct node {
  struct node *parent, *first, *next; /* the first child, the next child of the same parent */
  char text[40];
} node;

static long nodes; /* alive, as libgc tells */

static void GC_CALLBACK node_died(void *object, void *unused) {
  (void)object;
  (void)unused;
  nodes--;
}

/* A pointer in a userdata is all that is needed: no registry, no reference count, no __gc. */
static int push(lua_State *L, node *n) {
  node **held = lua_newuserdatauv(L, sizeof *held, 0);
  *held = n;
  luaL_setmetatable(L, "node");
  return 1;
}

static node *node_at(lua_State *L, int index) { return *(node **)luaL_checkudata(L, index, "node"); }

/* graph.node(text [, parent]) */
static int graph_node(lua_State *L) {
  const char *text = luaL_checkstring(L, 1);
  node *n = GC_MALLOC(sizeof *n);
  if (n == NULL) return luaL_error(L, "out of memory");
  GC_register_finalizer_no_order(n, node_died, NULL, NULL, NULL);
  nodes++;
  strncpy(n->text, text, sizeof n->text - 1);
  if (!lua_isnoneornil(L, 2)) {
    n->parent = node_at(L, 2);
    n->next = n->parent->first;
    n->parent->first = n;
  }
  return push(L, n);
}

static int node_text(lua_State *L) {
  lua_pushstring(L, node_at(L, 1)->text);
  return 1;
}

static int node_first(lua_State *L) {
  node *first = node_at(L, 1)->first;
  return first ? push(L, first) : 0;
}

static int node_next(lua_State *L) {
  node *next = node_at(L, 1)->next;
  return next ? push(L, next) : 0;
}

/* Counts what is alive after both collectors have done their work. */
static int graph_count(lua_State *L) {
  lua_gc(L, LUA_GCCOLLECT);
  for (int i = 0; i < 4; i++) GC_gcollect();
  lua_pushinteger(L, nodes);
  return 1;
}

static const char script[] = "local function tree(depth, parent)\n"
                             "  local n = graph.node('node at depth ' .. depth, parent)\n"
                             "  if depth < 8 then for _ = 1, 3 do tree(depth + 1, n) end end\n"
                             "  return n\n"
                             "end\n"
                             "local a, b = tree(0), tree(0)\n"
                             "print(('two trees: %d nodes, held by two userdata'):format(graph.count()))\n"
                             "b = nil\n"
                             "local one = graph.count()\n"
                             "print(('one forgotten: %d nodes'):format(one))\n"
                             "local n, depth = a, 0\n"
                             "while n:first() do n, depth = n:first(), depth + 1 end\n"
                             "assert(n:text() == 'node at depth 8' and depth == 8)\n"
                             "a = nil\n"
                             "print(('only a leaf is held; it leads to the whole tree: %d nodes'):format(graph.count()))\n"
                             "n = nil\n"
                             "local none = graph.count()\n"
                             "print(('the leaf forgotten: %d nodes'):format(none))\n"
                             "return one, none\n";

static void open_graph(lua_State *L) {
  static const luaL_Reg functions[] = {{"node", graph_node}, {"count", graph_count}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{"text", node_text}, {"first", node_first}, {"next", node_next}, {NULL, NULL}};
  luaL_newmetatable(L, "node");
  luaL_newlib(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  luaL_newlib(L, functions);
  lua_setglobal(L, "graph");
}

int main(void) {
  GC_INIT();
  scalloc_boehm_heap *heap = scalloc_boehm_heap_new();
  lua_State *L = heap ? lua_newstate(scalloc_boehm_lua_alloc, heap) : NULL; /* instead of luaL_newstate() */
  if (L == NULL) return EXIT_FAILURE;
  luaL_openlibs(L);
  open_graph(L);
  if (luaL_dostring(L, script) != LUA_OK) {
    fprintf(stderr, "boehm_lua: %s\n", lua_tostring(L, -1));
    return EXIT_FAILURE;
  }
  /* What is held is there. libgc is conservative: a word somewhere may hold one of the trees by accident, hardly both. */
  bool right = lua_tointeger(L, -2) >= 9841 && lua_tointeger(L, -1) <= 9841;
  lua_close(L);
  scalloc_boehm_heap_destroy(heap);
  return right ? EXIT_SUCCESS : EXIT_FAILURE;
}
