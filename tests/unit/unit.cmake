# Unit tests of the internal modules: the sources of the core, with assertions, on the OS of os_fake.c.
set(unit_dir ${PROJECT_SOURCE_DIR}/tests/unit)
file(GLOB unit_core CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/scalloc/*.c)
list(FILTER unit_core EXCLUDE REGEX "/os_[a-z]+\\.c$")

add_library(scalloc_unit OBJECT ${unit_core} ${unit_dir}/os_fake.c ${unit_dir}/unit.c)
target_include_directories(scalloc_unit PUBLIC ${PROJECT_SOURCE_DIR}/scalloc/include ${PROJECT_SOURCE_DIR}/scalloc ${unit_dir}
                                               ${ATOMIC_OPS_INCLUDE_DIR})
target_link_libraries(scalloc_unit PUBLIC scalloc_flags Threads::Threads)
target_compile_definitions(scalloc_unit PUBLIC SCALLOC_PLAIN)
if(NOT (SCALLOC_ASSERTS OR CMAKE_BUILD_TYPE STREQUAL "Debug"))
  target_compile_definitions(scalloc_unit PUBLIC SCALLOC_ASSERTS=1)
endif()

foreach(module classes options arena span span_threshold stack pool runs large large_pages purge cells nursery heap heap_return heap_life panic fork refusal
        check walk shortage)
  add_executable(unit_${module} ${unit_dir}/test_${module}.c)
  target_link_libraries(unit_${module} PRIVATE scalloc_unit)
  set_target_properties(unit_${module} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  add_test(NAME unit.${module} COMMAND unit_${module})
  set_tests_properties(unit.${module} PROPERTIES LABELS unit TIMEOUT 120)
endforeach()

# The real OS seam, its system calls led through the test; the runtime of a sanitizer makes the same calls before main.
if(NOT SCALLOC_SANITIZE)
  add_executable(unit_os_linux ${unit_dir}/test_os_linux.c ${PROJECT_SOURCE_DIR}/scalloc/os_linux.c)
  target_include_directories(unit_os_linux PRIVATE ${PROJECT_SOURCE_DIR}/scalloc/include ${PROJECT_SOURCE_DIR}/scalloc)
  target_link_libraries(unit_os_linux PRIVATE scalloc_flags)
  target_compile_definitions(unit_os_linux PRIVATE SCALLOC_ASSERTS=1)
  foreach(call mmap mprotect madvise syscall getrlimit sched_getaffinity getauxval)
    target_link_options(unit_os_linux PRIVATE -Wl,--wrap=${call})
  endforeach()
  set_target_properties(unit_os_linux PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  add_test(NAME unit.os_linux COMMAND unit_os_linux)
  set_tests_properties(unit.os_linux PROPERTIES LABELS unit TIMEOUT 120)
endif()

# ---- the sources and the libraries as such
add_test(NAME unit.names COMMAND sh ${unit_dir}/names.sh ${CMAKE_NM} $<TARGET_FILE:scalloc> $<TARGET_FILE:scalloc_shared>
  $<$<TARGET_EXISTS:scalloc_override>:$<TARGET_FILE:scalloc_override>>
  $<TARGET_FILE:scalloc_runtime> $<TARGET_FILE:scalloc_runtime_shared>
  $<$<TARGET_EXISTS:scalloc_lua>:$<TARGET_FILE:scalloc_lua>> $<$<TARGET_EXISTS:scalloc_lua>:$<TARGET_FILE:scalloc_lua_shared>>
  $<$<TARGET_EXISTS:scalloc_boehm>:$<TARGET_FILE:scalloc_boehm>> $<$<TARGET_EXISTS:scalloc_boehm>:$<TARGET_FILE:scalloc_boehm_shared>>)
add_test(NAME unit.includes COMMAND sh ${unit_dir}/includes.sh ${PROJECT_SOURCE_DIR})
set_tests_properties(unit.names unit.includes PROPERTIES LABELS unit TIMEOUT 120)
