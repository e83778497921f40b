-- The Lua module with all of the allocator in it, for any Lua from 5.1 on. From the root of a source tree:
--   luarocks make lua_alloc/module/scalloc-0.1.0-1.rockspec
rockspec_format = "3.0"
package = "scalloc"
version = "0.1.0-1"

source = { url = "." } -- built from the tree that it lies in

description = {
  summary = "The memory of a Lua state on scalloc: figures, limits, budgets, leak finding",
  license = "MIT",
}

supported_platforms = { "linux" }
dependencies = { "lua >= 5.1, < 5.6" }
external_dependencies = { ATOMIC_OPS = { header = "atomic_ops.h" } }

build = {
  type = "builtin",
  modules = {
    scalloc = {
      sources = {
        "scalloc/arena.c", "scalloc/blocks.c", "scalloc/canary.c", "scalloc/cells.c", "scalloc/check.c", "scalloc/classes.c",
        "scalloc/fault.c", "scalloc/fork.c", "scalloc/guard.c", "scalloc/heap.c", "scalloc/large.c", "scalloc/lend.c", "scalloc/lists.c",
        "scalloc/malloc.c", "scalloc/nursery.c", "scalloc/options.c", "scalloc/os_linux.c", "scalloc/pool.c", "scalloc/purge.c",
        "scalloc/quarantine.c", "scalloc/refill.c", "scalloc/runs.c", "scalloc/span.c", "scalloc/stats.c", "scalloc/steps.c",
        "scalloc/supply.c", "scalloc/thread.c", "scalloc/track.c", "scalloc/walk.c", "lua_alloc/lua_adopt.c",
        "lua_alloc/lua_alloc.c", "lua_alloc/lua_close.c", "lua_alloc/lua_equip.c", "lua_alloc/lua_functions.c",
        "lua_alloc/lua_group.c", "lua_alloc/lua_guard.c", "lua_alloc/lua_kit.c", "lua_alloc/lua_limit.c",
        "lua_alloc/lua_pool.c", "lua_alloc/lua_reset.c", "lua_alloc/lua_rows.c", "lua_alloc/lua_shared.c", "lua_alloc/lua_spans.c",
        "lua_alloc/lua_state.c", "lua_alloc/lua_stats.c", "lua_alloc/module/module.c", "lua_alloc/module/module_attach.c",
        "lua_alloc/module/module_blocks.c", "lua_alloc/module/module_figures.c", "lua_alloc/module/module_profile.c",
      },
      incdirs = { "scalloc", "scalloc/include", "lua_alloc", "lua_alloc/include", "$(ATOMIC_OPS_INCDIR)" },
      defines = { "_GNU_SOURCE" },
      libraries = { "pthread", "dl" },
    },
  },
}

test_dependencies = { "busted", "dkjson" }
test = { type = "busted", flags = { "tests/spec/module" } }
