# The program `scheme`. Its prelude is a Scheme text that becomes a constant in C.
set(scheme_folder ${CMAKE_CURRENT_LIST_DIR})
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${scheme_folder}/prelude.scm)
file(READ ${scheme_folder}/prelude.scm bytes HEX)
string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
file(GENERATE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/scheme_prelude.c
     CONTENT "extern const char prelude[];\nconst char prelude[] = {${bytes}0};\n")

file(GLOB scheme_sources CONFIGURE_DEPENDS ${scheme_folder}/*.c)
add_executable(scheme ${scheme_sources} ${CMAKE_CURRENT_BINARY_DIR}/scheme_prelude.c)
target_compile_definitions(scheme PRIVATE _GNU_SOURCE)
target_link_libraries(scheme PRIVATE scalloc_flags scalloc::runtime_glue Threads::Threads m)
if(TARGET examples)
  add_dependencies(examples scheme)
endif()
