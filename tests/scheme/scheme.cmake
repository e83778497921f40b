# The Scheme of examples/scheme under its own scripts: as it is, within a small heap, and with a collection at every n-th allocation,
# where whoever forgets a root is found out.
if(NOT TARGET scheme AND SCALLOC_SANITIZE) # worth a look without the other examples
  include(${PROJECT_SOURCE_DIR}/examples/scheme/scheme.cmake)
endif()
if(NOT TARGET scheme)
  message(STATUS "The examples are not built: nor are the tests of Scheme")
  return()
endif()
set(scheme_files ${PROJECT_SOURCE_DIR}/examples/scheme)

# scheme_test(name words...)
function(scheme_test name)
  add_test(NAME scheme.${name} COMMAND ${ARGN})
  set_tests_properties(scheme.${name} PROPERTIES LABELS scheme TIMEOUT 300)
endfunction()

function(scheme_script name script)
  scheme_test(${name} scheme ${ARGN} ${scheme_files}/tests/check.scm ${scheme_files}/tests/${script}.scm)
endfunction()

foreach(script lists control data errors weak finalizers threads)
  scheme_script(${script} ${script})
  scheme_script(${script}_limit ${script} --heap-limit=16M)
  scheme_script(${script}_stress ${script} --stress=1009)
endforeach()
foreach(script errors weak finalizers)
  scheme_script(${script}_hard_stress ${script} --stress=31)
endforeach()
scheme_script(memory memory --heap-limit=24M)

scheme_test(gcbench scheme --define=depth=12 ${scheme_files}/bench/gcbench.scm)
scheme_test(binary_trees scheme --define=depth=10 ${scheme_files}/bench/binary-trees.scm)
scheme_test(bench_threads scheme --threads=8 --define=rounds=50 ${scheme_files}/bench/threads.scm)
scheme_test(command sh ${CMAKE_CURRENT_LIST_DIR}/command.sh $<TARGET_FILE:scheme>)
