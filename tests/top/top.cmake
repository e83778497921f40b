# scalloc-top and scalloc-run --heap-map: other processes seen from outside.
if(NOT TARGET scalloc-top)
  return()
endif()
set(top_dir ${PROJECT_SOURCE_DIR}/tests/top)
set(top $<TARGET_FILE:scalloc-top>)

# top_test(name command...)
function(top_test name)
  add_test(NAME top.${name} COMMAND ${ARGN})
  set_tests_properties(top.${name} PROPERTIES LABELS top TIMEOUT 120 SKIP_RETURN_CODE 77)
endfunction()

scalloc_test(reads top top/reads.c ARGS ${top})
add_executable(test_reads_checked ${top_dir}/reads.c)
target_compile_definitions(test_reads_checked PRIVATE TEST_TRACKED=1)
target_link_libraries(test_reads_checked PRIVATE scalloc_flags scalloc_checked Threads::Threads)
set_target_properties(test_reads_checked PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
top_test(reads_checked $<TARGET_FILE:test_reads_checked> ${top})

foreach(kind "" _linked _static)
  add_executable(top_waits${kind} ${top_dir}/waits.c)
  set_target_properties(top_waits${kind} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
endforeach()
target_link_libraries(top_waits_linked PRIVATE scalloc::override)
target_link_libraries(top_waits_static PRIVATE scalloc::override -static)
set(top_waits $<TARGET_FILE:top_waits>)
top_test(command sh ${top_dir}/command.sh ${top} $<TARGET_FILE:scalloc-run> ${top_waits} $<TARGET_FILE:top_waits_linked>
  $<TARGET_FILE:top_waits_static> $<TARGET_FILE:preload_load> $<$<TARGET_EXISTS:scalloc-lua>:$<TARGET_FILE:scalloc-lua>>)
top_test(terminal sh ${top_dir}/terminal.sh ${top} $<TARGET_FILE:scalloc-run> ${top_waits})
top_test(exit sh ${top_dir}/exit.sh $<TARGET_FILE:scalloc-run> ${top_waits})
top_test(file sh ${top_dir}/file.sh ${top} $<TARGET_FILE:scalloc-run> ${top_waits}
  $<$<TARGET_EXISTS:scalloc-lua>:$<TARGET_FILE:scalloc-lua>>)
top_test(exposition sh ${top_dir}/exposition.sh ${top} $<TARGET_FILE:scalloc-run>)
# In a browser, where there is one.
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  top_test(page sh ${top_dir}/page.sh ${top} $<TARGET_FILE:scalloc-run>
    $<$<TARGET_EXISTS:scalloc-lua>:$<TARGET_FILE:scalloc-lua>>)
  if(TARGET scalloc-lua)
    top_test(pictures sh ${top_dir}/pictures.sh ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
  endif()
endif()
top_test(docs sh ${top_dir}/docs.sh ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
