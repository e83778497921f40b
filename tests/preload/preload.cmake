# The malloc replacement: on real programs, against glibc, at the beginning and end of processes, in hostile surroundings.
if(NOT TARGET scalloc_preload)
  return()
endif()
set(preload_dir ${PROJECT_SOURCE_DIR}/tests/preload)

# preload_program(name source): a program without anything of scalloc in it, and calls of malloc that are made as written.
function(preload_program name source)
  add_executable(${name} ${preload_dir}/${source})
  target_link_libraries(${name} PRIVATE Threads::Threads ${CMAKE_DL_LIBS})
  target_compile_options(${name} PRIVATE -Wall -Wextra -Wno-deprecated-declarations -fno-builtin -O2)
  # What a failed call leaves is looked at.
  set_source_files_properties(${preload_dir}/conformance.c PROPERTIES COMPILE_OPTIONS "$<$<C_COMPILER_ID:GNU>:-Wno-use-after-free>")
  target_compile_definitions(${name} PRIVATE _GNU_SOURCE)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/scalloc/include) # for test.h
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
endfunction()

function(preload_test name)
  add_test(NAME preload.${name} COMMAND ${ARGN})
  set_tests_properties(preload.${name} PROPERTIES LABELS preload TIMEOUT 120 SKIP_RETURN_CODE 77)
endfunction()

preload_program(preload_conformance conformance.c)
preload_program(preload_conformance_linked conformance.c)
target_link_libraries(preload_conformance_linked PRIVATE scalloc::override)
preload_program(preload_conformance_static conformance.c)
target_link_libraries(preload_conformance_static PRIVATE scalloc::override -static)
add_library(preload_wrong MODULE ${preload_dir}/wrong.c)
preload_test(conformance sh ${preload_dir}/conformance.sh $<TARGET_FILE:scalloc-run> $<TARGET_FILE:preload_conformance>
  $<TARGET_FILE:preload_conformance_linked> $<TARGET_FILE:preload_conformance_static>)
preload_test(conformance_control sh ${preload_dir}/conformance.sh $<TARGET_FILE:scalloc-run> $<TARGET_FILE:preload_conformance>
  --control $<TARGET_FILE:preload_wrong>)

if(CMAKE_CXX_COMPILER)
  foreach(kind "" _linked)
    preload_program(preload_operators${kind} operators.cc)
    set_target_properties(preload_operators${kind} PROPERTIES CXX_STANDARD 17)
  endforeach()
  target_link_libraries(preload_operators_linked PRIVATE scalloc::override)
  preload_test(operators sh ${preload_dir}/conformance.sh $<TARGET_FILE:scalloc-run> $<TARGET_FILE:preload_operators>
    $<TARGET_FILE:preload_operators_linked>)
endif()

preload_test(run sh ${preload_dir}/run.sh $<TARGET_FILE:scalloc-run>)

# ---- own programs, on the replacement alone
foreach(name own early foreign opened threads)
  preload_program(preload_${name} ${name}.c)
endforeach()
foreach(name early_library plugin)
  add_library(preload_${name} SHARED ${preload_dir}/${name}.c)
  target_compile_definitions(preload_${name} PRIVATE _GNU_SOURCE)
  target_include_directories(preload_${name} PRIVATE ${PROJECT_SOURCE_DIR}/scalloc/include)
endforeach()
target_compile_options(preload_early PRIVATE -fno-plt) # its resolver calls malloc before its procedure linkage table is ready
target_link_libraries(preload_early PRIVATE preload_early_library)
preload_test(own $<TARGET_FILE:scalloc-run> $<TARGET_FILE:preload_own>)
preload_test(early $<TARGET_FILE:scalloc-run> --limit=64M $<TARGET_FILE:preload_early>)
preload_test(foreign $<TARGET_FILE:scalloc-run> $<TARGET_FILE:preload_foreign> $<TARGET_FILE:preload_plugin>)
preload_test(threads $<TARGET_FILE:scalloc-run> $<TARGET_FILE:preload_threads>)
preload_test(opened $<TARGET_FILE:preload_opened> $<TARGET_FILE:scalloc_preload>)

# ---- real programs; those that are not installed are left out
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT SCALLOC_ASSERTS)
  preload_test(programs sh ${PROJECT_SOURCE_DIR}/tests/programs/run --short --no-install --build ${PROJECT_BINARY_DIR})
  set_tests_properties(preload.programs PROPERTIES TIMEOUT 300)
endif()

# ---- memory goes back; surroundings that mean no good
foreach(name returns hostile load)
  preload_program(preload_${name} ${name}.c)
endforeach()
set(run $<TARGET_FILE:scalloc-run>)
preload_test(returns_trim ${run} $<TARGET_FILE:preload_returns> trim)
preload_test(returns_delay ${run} $<TARGET_FILE:preload_returns> delay)
preload_test(returns_thread ${CMAKE_COMMAND} -E env SCALLOC_PURGE_THREAD=1 ${run} $<TARGET_FILE:preload_returns> thread)
preload_test(returns_limit ${run} --limit=64M $<TARGET_FILE:preload_returns> limit)
preload_test(load ${run} $<TARGET_FILE:preload_load> 400 4)
preload_test(load_overcommit $<TARGET_FILE:preload_hostile> overcommit ${run} $<TARGET_FILE:preload_load> 200 4)
preload_test(load_madvise $<TARGET_FILE:preload_hostile> madvise ${run} $<TARGET_FILE:preload_load> 100 4 --no-advice)
preload_test(load_vm $<TARGET_FILE:preload_hostile> vm=512 ${run} $<TARGET_FILE:preload_load> 60 1)
preload_test(load_vm_threads $<TARGET_FILE:preload_hostile> vm=512 ${run} $<TARGET_FILE:preload_load> 40 4)
preload_test(conformance_vm $<TARGET_FILE:preload_hostile> vm=512 ${run} $<TARGET_FILE:preload_conformance>)
