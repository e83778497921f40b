# What people do with scalloc who did not write it: install it, link it in every way, take its sources in. Once is enough: in plain
# Release builds.
if(NOT CMAKE_BUILD_TYPE STREQUAL "Release" OR SCALLOC_SANITIZE OR SCALLOC_COVERAGE OR SCALLOC_TRACK OR NOT SCALLOC_INSTALL)
  return()
endif()
set(consume_parts $<$<TARGET_EXISTS:scalloc_lua>:lua> $<$<TARGET_EXISTS:scalloc_boehm>:boehm> $<$<TARGET_EXISTS:scalloc-lua>:program>
  $<$<TARGET_EXISTS:scalloc_preload>:malloc>)

# consume_test(name [arguments of the script after SOURCE and BUILD])
function(consume_test name)
  add_test(NAME consume.${name} COMMAND sh ${PROJECT_SOURCE_DIR}/tests/consume/${name}.sh
    ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR} ${ARGN} COMMAND_EXPAND_LISTS)
  set_tests_properties(consume.${name} PROPERTIES LABELS consume TIMEOUT 300 SKIP_RETURN_CODE 77)
endfunction()

consume_test(install ${consume_parts})
set_tests_properties(consume.install PROPERTIES FIXTURES_SETUP installation)
foreach(name symbols headers pkg_config find_package cxx scripts)
  consume_test(${name})
  set_tests_properties(consume.${name} PROPERTIES FIXTURES_REQUIRED installation)
endforeach()
foreach(name inside lean debian)
  consume_test(${name})
endforeach()
set_tests_properties(consume.debian PROPERTIES FIXTURES_SETUP packages)
consume_test(debian_installed)
set_tests_properties(consume.debian_installed PROPERTIES FIXTURES_REQUIRED packages)
get_target_property(consume_core_sources scalloc_objects SOURCES)
consume_test(amalgam ${consume_core_sources})
