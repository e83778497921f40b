# The Boehm bridge against the libgc of the system.
if(NOT TARGET scalloc::boehm)
  return()
endif()

# boehm_program(name source [library]): a test program; several tests may use it.
function(boehm_program name source)
  add_executable(${name} ${source})
  target_link_libraries(${name} PRIVATE scalloc_flags ${ARGN} scalloc::boehm Threads::Threads)
  target_include_directories(${name} SYSTEM PRIVATE ${BDW_GC_INCLUDE_DIRS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
endfunction()

# boehm_test(name seconds program arguments...)
function(boehm_test name seconds)
  if(SCALLOC_TEST_SCALE GREATER 100)
    scaled(seconds ${seconds})
  endif()
  add_test(NAME boehm.${name} COMMAND ${ARGN})
  set_tests_properties(boehm.${name} PROPERTIES LABELS boehm TIMEOUT ${seconds})
endfunction()

# More than 10,000 collections in all.
boehm_program(boehm_oracle ${CMAKE_CURRENT_LIST_DIR}/oracle.c)
scaled(collections 2000)
foreach(markers 1 2 4)
  boehm_test(oracle_${markers} 300 boehm_oracle --collections ${collections})
  boehm_test(oracle_incremental_${markers} 300 boehm_oracle --incremental --collections ${collections})
  set_tests_properties(boehm.oracle_${markers} boehm.oracle_incremental_${markers} PROPERTIES ENVIRONMENT GC_MARKERS=${markers})
endforeach()

# The same with proxies that are not marked anew: incremental collections must lose objects.
boehm_objects(boehm_control_objects BOEHM_REARM=0)
add_library(boehm_control STATIC $<TARGET_OBJECTS:boehm_control_objects>)
boehm_program(boehm_oracle_control ${CMAKE_CURRENT_LIST_DIR}/oracle.c boehm_control)
boehm_test(oracle_control 300 boehm_oracle_control --incremental --control --collections 20000)

boehm_program(boehm_heaps ${CMAKE_CURRENT_LIST_DIR}/heaps.c)
boehm_test(heaps 300 boehm_heaps)

boehm_program(boehm_life ${CMAKE_CURRENT_LIST_DIR}/life.c)
boehm_test(life 300 boehm_life)

# Loads the shared library itself.
add_executable(boehm_late ${CMAKE_CURRENT_LIST_DIR}/late.c)
target_link_libraries(boehm_late PRIVATE scalloc_flags scalloc::scalloc ${BDW_GC_LIBRARIES} Threads::Threads ${CMAKE_DL_LIBS})
target_include_directories(boehm_late PRIVATE ${PROJECT_SOURCE_DIR}/runtime_glue/include)
target_include_directories(boehm_late SYSTEM PRIVATE ${BDW_GC_INCLUDE_DIRS})
set_target_properties(boehm_late PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
add_dependencies(boehm_late scalloc_boehm_shared)
scaled(rounds 300)
boehm_test(late 120 boehm_late $<TARGET_FILE:scalloc_boehm_shared> --rounds ${rounds})

if(LUA54_FOUND)
  boehm_program(boehm_lua ${CMAKE_CURRENT_LIST_DIR}/lua.c ${test_lua})
  target_include_directories(boehm_lua SYSTEM PRIVATE ${LUA54_INCLUDE_DIRS})
  scaled(work 200)
  foreach(states 1 3)
    set(run boehm_lua --script ${CMAKE_CURRENT_LIST_DIR}/boxes.lua --states ${states} --work ${work})
    boehm_test(lua_${states} 300 ${run})
    boehm_test(lua_incremental_${states} 300 ${run} --incremental)
  endforeach()
endif()

if(NOT (SCALLOC_ASSERTS OR SCALLOC_SANITIZE OR CMAKE_BUILD_TYPE STREQUAL "Debug")) # compares times
  boehm_program(boehm_cost ${CMAKE_CURRENT_LIST_DIR}/cost.c)
  boehm_test(cost 300 boehm_cost)
  set_tests_properties(boehm.cost PROPERTIES RUN_SERIAL TRUE)
endif()
