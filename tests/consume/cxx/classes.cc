// Classes that own what the C headers give: a collected heap with its mutator, a Lua state.
#include <scalloc/runtime_glue.h>

#include <memory>

#include "check.h"
#ifdef WITH_LUA
#include <scalloc/lua_alloc.h>

#include <lua.hpp>
#endif

struct pair {
  pair *first, *second;
};

class collected {
public:
  collected() : heap_(scalloc_rt_heap_create(nullptr)) {
    scalloc_rt_kind_conf conf{};
    conf.size = sizeof conf;
    conf.flags = SCALLOC_RT_ZERO;
    conf.name = "pair";
    CHECK(heap_ != nullptr);
    const int kind = scalloc_rt_kind_new(heap_, &conf);
    CHECK(kind >= 0);
    slot_ = scalloc_rt_slot(heap_, kind, sizeof(pair), &bytes_);
    mutator_ = scalloc_rt_attach(heap_, nullptr);
    CHECK(slot_ != SCALLOC_RT_NO_SLOT && mutator_ != nullptr);
  }
  collected(const collected &) = delete;
  collected &operator=(const collected &) = delete;
  ~collected() {
    scalloc_rt_detach(mutator_);
    scalloc_rt_heap_destroy(heap_);
  }

  pair *make(pair *first, pair *second) {
    auto *made = static_cast<pair *>(scalloc_rt_alloc(mutator_, slot_, bytes_));
    CHECK(made != nullptr && made->first == nullptr);
    *made = {first, second};
    return made;
  }

  void collect(pair *root) {
    scalloc_rt_cycle_begin(heap_);
    mark(root);
    scalloc_rt_cycle_end(heap_);
  }

  bool lives(pair *p) {
    scalloc_rt_ref ref;
    return scalloc_rt_resolve(heap_, p, false, &ref) && scalloc_rt_is_marked(ref);
  }

private:
  void mark(pair *p) {
    scalloc_rt_ref ref;
    if (p == nullptr || !scalloc_rt_mark_block(p, &ref)) return;
    mark(p->first);
    mark(p->second);
  }

  scalloc_rt_heap *heap_;
  scalloc_rt_mutator *mutator_ = nullptr;
  unsigned slot_ = 0;
  std::size_t bytes_ = 0;
};

#ifdef WITH_LUA
struct close_state {
  void operator()(lua_State *L) const { scalloc_lua_close(L, SCALLOC_LUA_CLOSE_FULL); }
};

static void a_lua_state_ends_with_its_owner() {
  std::unique_ptr<lua_State, close_state> state(scalloc_lua_newstate(nullptr));
  CHECK(state != nullptr);
  luaL_openlibs(state.get());
  CHECK(luaL_dostring(state.get(), "local t = {} for i = 1, 1000 do t[i] = {i} end return #t") == LUA_OK);
  CHECK(lua_tointeger(state.get(), -1) == 1000 && scalloc_lua_used(scalloc_lua_heap_of(state.get())) > 1000);
}
#else
static void a_lua_state_ends_with_its_owner() {}
#endif

int main() {
  collected heap;
  pair *root = heap.make(heap.make(nullptr, nullptr), nullptr), *lost = heap.make(nullptr, nullptr);
  heap.collect(root);
  CHECK(heap.lives(root) && heap.lives(root->first) && !heap.lives(lost));
  a_lua_state_ends_with_its_owner();
  std::puts("classes work");
}
