# What a host builds from the kit: build/bin/example-NAME each.
function(add_kit_example name)
  list(TRANSFORM ARGN PREPEND ${PROJECT_SOURCE_DIR}/examples/lua_kit/)
  add_executable(example-${name} ${ARGN})
  target_include_directories(example-${name} SYSTEM PRIVATE ${LUA54_INCLUDE_DIRS})
  target_link_libraries(example-${name} PRIVATE scalloc_flags scalloc::scalloc scalloc::lua_alloc ${lua_libraries} Threads::Threads)
  target_link_options(example-${name} PRIVATE -Wl,-E)
  add_dependencies(examples example-${name})
endfunction()

add_kit_example(sandbox sandbox_main.c sandbox.c sandbox_library.c)
add_kit_example(realtime realtime.c)
add_kit_example(leak_hunt leak_hunt.c)
