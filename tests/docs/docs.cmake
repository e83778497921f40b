# The C blocks of documents, compiled and run.
if(TARGET scalloc::lua_alloc)
  set(document ${PROJECT_SOURCE_DIR}/docs/lua.md)
  set(program ${CMAKE_CURRENT_BINARY_DIR}/docs_lua.c)
  add_custom_command(OUTPUT ${program} COMMAND awk -f ${PROJECT_SOURCE_DIR}/tests/docs/blocks.awk ${document} > ${program}
    DEPENDS ${document} ${PROJECT_SOURCE_DIR}/tests/docs/blocks.awk VERBATIM)
  scalloc_test(lua docs ${program} LUA PROGRAM docs_lua)
  target_compile_options(docs_lua PRIVATE -Wno-unused-variable)
endif()
