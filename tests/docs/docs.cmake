# The C blocks of docs/lua.md, compiled and run in every build; those of the other documents below, with all else.
if(TARGET scalloc::lua_alloc)
  set(document ${PROJECT_SOURCE_DIR}/docs/lua.md)
  set(program ${CMAKE_CURRENT_BINARY_DIR}/docs_lua.c)
  add_custom_command(OUTPUT ${program} COMMAND awk -f ${PROJECT_SOURCE_DIR}/tests/docs/blocks.awk ${document} > ${program}
    DEPENDS ${document} ${PROJECT_SOURCE_DIR}/tests/docs/blocks.awk VERBATIM)
  scalloc_test(lua docs ${program} LUA PROGRAM docs_lua)
  target_compile_options(docs_lua PRIVATE -Wno-unused-variable)
endif()

# The documents are held to the product. Once is enough: in plain Release builds.
if(NOT CMAKE_BUILD_TYPE STREQUAL "Release" OR SCALLOC_SANITIZE OR SCALLOC_COVERAGE OR SCALLOC_TRACK)
  return()
endif()

# docs_test(name argument...)
function(docs_test name)
  add_test(NAME docs.${name} COMMAND sh ${PROJECT_SOURCE_DIR}/tests/docs/${name}.sh ${PROJECT_SOURCE_DIR} ${ARGN} COMMAND_EXPAND_LISTS)
  set_tests_properties(docs.${name} PROPERTIES LABELS docs TIMEOUT 300)
endfunction()

docs_test(links)
docs_test(bench)
docs_test(names ${PROJECT_BINARY_DIR})
docs_test(man ${PROJECT_BINARY_DIR})
set(docs_lua "")
if(TARGET scalloc_lua)
  set(docs_lua ${LUA54_STATIC} -lm -ldl)
  if(NOT LUA54_STATIC)
    set(docs_lua ${LUA54_LDFLAGS} -lm)
  endif()
endif()
set(docs_arguments ${PROJECT_BINARY_DIR} ${CMAKE_C_COMPILER} $<$<TARGET_EXISTS:scalloc_lua>:$<TARGET_FILE:scalloc_lua>>
  $<TARGET_FILE:scalloc_runtime> $<TARGET_FILE:scalloc> ${docs_lua} -pthread)
docs_test(code ${docs_arguments})
docs_test(control ${docs_arguments})
