# Closing states: every way to close is lua_close in what it does, and FAST is fast. In the tracked builds, too.
if(NOT TARGET scalloc::lua_alloc)
  return()
endif()
set(cases ${PROJECT_SOURCE_DIR}/tests/lua_close/cases.lua)
scalloc_test(same lua_close lua_close/same.c LUA PROGRAM test_lua_close_same ARGS ${cases})
scalloc_test(exits lua_close lua_close/exits.c LUA PROGRAM test_lua_close_exits ARGS ${cases})
scalloc_test(reset lua_close lua_close/reset.c LUA PROGRAM test_lua_close_reset)
scalloc_test(fast lua_close lua_close/fast.c LUA SERIAL PROGRAM test_lua_close_fast) # compares times
