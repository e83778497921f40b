# The Lua module as an object of its own: beside another copy, preloaded, as a rock. What scripts see of it: tests/spec/module.
if(NOT TARGET scalloc_module_5.4 OR SCALLOC_SANITIZE)
  return() # a sanitizer's module does not load into programs without it
endif()
set(module_dir ${PROJECT_SOURCE_DIR}/tests/module)
set(module_path ${PROJECT_BINARY_DIR}/lib/lua/5.4/?.so)

if(LUA54_STATIC)
  add_executable(module_twice ${module_dir}/twice.c)
  target_include_directories(module_twice SYSTEM PRIVATE ${LUA54_INCLUDE_DIRS})
  target_include_directories(module_twice PRIVATE ${PROJECT_SOURCE_DIR}/lua_alloc)
  target_link_libraries(module_twice PRIVATE scalloc_flags scalloc::lua_alloc
    -Wl,--whole-archive ${LUA54_STATIC} -Wl,--no-whole-archive m ${CMAKE_DL_LIBS} Threads::Threads -Wl,-E)
  set_target_properties(module_twice PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  add_test(NAME module.twice COMMAND module_twice ${module_path})
endif()

# A host that takes Lua from the shared library.
add_executable(module_host ${module_dir}/host.c)
target_include_directories(module_host SYSTEM PRIVATE ${LUA54_INCLUDE_DIRS})
target_link_libraries(module_host PRIVATE scalloc_flags ${LUA54_LDFLAGS})
set_target_properties(module_host PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
set(script "local s = require 'scalloc' io.write(tostring(s.active()), ' ') if s.active() then assert(s.check()) end")
add_test(NAME module.host_plain COMMAND module_host ${script})
set_tests_properties(module.host_plain PROPERTIES ENVIRONMENT "LUA_CPATH=${module_path}" PASS_REGULAR_EXPRESSION "^false false false [\n]*$")
add_test(NAME module.host_preloaded COMMAND module_host ${script})
set_tests_properties(module.host_preloaded PROPERTIES ENVIRONMENT
  "LUA_CPATH=${module_path};LD_PRELOAD=$<TARGET_FILE:scalloc_lua_preload>" PASS_REGULAR_EXPRESSION "^true true true [\n]*$")

# The programs that a preloaded host starts have no Lua, as a rule; and a host may use the kit itself.
add_test(NAME module.preloaded_children COMMAND module_host
  "io.write(tostring(os.execute('true')), io.popen('echo started'):read(), ' ', tostring(require 'scalloc'.active()), ' ')")
set_tests_properties(module.preloaded_children PROPERTIES ENVIRONMENT
  "LUA_CPATH=${module_path};LD_PRELOAD=$<TARGET_FILE:scalloc_lua_preload>" PASS_REGULAR_EXPRESSION "^(truestarted true )+[\n]*$")
add_executable(module_preloaded_kit ${module_dir}/preloaded_kit.c)
target_include_directories(module_preloaded_kit SYSTEM PRIVATE ${LUA54_INCLUDE_DIRS})
target_link_libraries(module_preloaded_kit PRIVATE scalloc_flags scalloc::lua_alloc_shared ${LUA54_LDFLAGS})
set_target_properties(module_preloaded_kit PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
add_test(NAME module.preloaded_kit COMMAND module_preloaded_kit)
set_tests_properties(module.preloaded_kit PROPERTIES ENVIRONMENT "LD_PRELOAD=$<TARGET_FILE:scalloc_lua_preload>")
find_program(OTHER_LUA_HOST lua5.3) # another Lua, and none of its own in sight: what it has, it has
if(OTHER_LUA_HOST)
  add_test(NAME module.preloaded_other COMMAND ${OTHER_LUA_HOST} -e "print(_VERSION, #('x'):rep(1e6))")
  set_tests_properties(module.preloaded_other PROPERTIES ENVIRONMENT "LD_PRELOAD=$<TARGET_FILE:scalloc_lua_preload>"
    PASS_REGULAR_EXPRESSION "^Lua 5.3\t1000000[\n]*$")
endif()

find_program(LUAROCKS luarocks)
find_program(LUA54_PROGRAM lua5.4)
if(LUAROCKS AND LUA54_PROGRAM AND CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT SCALLOC_COVERAGE)
  add_test(NAME module.rock COMMAND sh ${module_dir}/rock.sh ${PROJECT_SOURCE_DIR} ${LUAROCKS})
endif()
foreach(test twice host_plain host_preloaded preloaded_children preloaded_kit preloaded_other rock)
  if(TEST module.${test})
    set_tests_properties(module.${test} PROPERTIES LABELS module TIMEOUT 120)
  endif()
endforeach()
