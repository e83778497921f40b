# Forks, and threads that come and go. The numbers that docs and reports speak of: fork_storm --rounds 1000, threads_churn
# --threads 100000, fork_steps --stride 1.
set(lifecycle_dir ${PROJECT_SOURCE_DIR}/tests/lifecycle)

function(lifecycle_test name)
  scalloc_test(${name} lifecycle ${lifecycle_dir}/${name}.c ${ARGN})
  set_tests_properties(lifecycle.${name} PROPERTIES SKIP_RETURN_CODE 77)
endfunction()

# Looks at what the public interface does not tell.
function(lifecycle_internals name)
  target_include_directories(test_${name} PRIVATE ${PROJECT_SOURCE_DIR}/scalloc ${ATOMIC_OPS_INCLUDE_DIR})
endfunction()

scaled(rounds 200)
lifecycle_test(fork_storm ${with_lua} ARGS --rounds ${rounds})
scaled(rounds 50)
scalloc_test(fork_storm_2 lifecycle ${lifecycle_dir}/fork_storm.c ${with_lua} PROGRAM test_fork_storm
             ARGS --rounds ${rounds} --forkers 2 --seed 2)
set_tests_properties(lifecycle.fork_storm_2 PROPERTIES SKIP_RETURN_CODE 77)
scaled(rounds 40)
lifecycle_test(fork_places ${with_lua} ARGS --rounds ${rounds})

# Every stride-th instruction; the longer the run, the smaller the stride.
math(EXPR stride "(12100 + ${SCALLOC_TEST_SCALE} - 1) / ${SCALLOC_TEST_SCALE}")
lifecycle_test(fork_steps ARGS --stride ${stride})
lifecycle_internals(fork_steps)

scaled(rounds 10)
lifecycle_test(spawn ${with_lua} ARGS --rounds ${rounds})

scaled(threads 10000)
lifecycle_test(threads_churn ARGS --threads ${threads})
lifecycle_internals(threads_churn)
lifecycle_test(threads_crowd)

lifecycle_test(teardown ${with_lua})
lifecycle_test(dlopen ARGS $<TARGET_FILE:scalloc_shared>)
target_link_libraries(test_dlopen PRIVATE ${CMAKE_DL_LIBS})
add_dependencies(test_dlopen scalloc_shared)

if(CMAKE_CXX_COMPILER)
  add_executable(test_teardown_cxx ${lifecycle_dir}/teardown_cxx.cc)
  target_compile_options(test_teardown_cxx PRIVATE -Wall -Wextra -Wpedantic -Wconversion -Wshadow)
  target_link_libraries(test_teardown_cxx PRIVATE scalloc::scalloc Threads::Threads)
  if(SCALLOC_SANITIZE)
    target_compile_options(test_teardown_cxx PRIVATE -fsanitize=${SCALLOC_SANITIZE} -fno-sanitize-recover=all)
    target_link_options(test_teardown_cxx PRIVATE -fsanitize=${SCALLOC_SANITIZE})
  endif()
  set_target_properties(test_teardown_cxx PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  add_test(NAME lifecycle.teardown_cxx COMMAND test_teardown_cxx)
  set_tests_properties(lifecycle.teardown_cxx PROPERTIES LABELS lifecycle TIMEOUT 120)
endif()
