# The adapters of examples/adapters with the libraries of the system: each program checks itself (no block may be left, the host
# must outlive a lack of memory), and its results must be those of the host's own allocator.
include(${PROJECT_SOURCE_DIR}/examples/adapters/hosts.cmake)

# adapters_program(target host libraries...)
function(adapters_program target host)
  add_executable(${target} ${ADAPTER_FOLDER}/${host}.c ${ADAPTER_FOLDER}/host.c)
  target_link_libraries(${target} PRIVATE scalloc_flags ${ARGN} host_${host} Threads::Threads)
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
endfunction()

function(adapters_test name)
  add_test(NAME adapters.${name} COMMAND ${ARGN})
  set_tests_properties(adapters.${name} PROPERTIES LABELS adapters TIMEOUT 300)
endfunction()

find_path(MEMCHECK_INCLUDE_DIR valgrind/memcheck.h)
find_program(VALGRIND valgrind)
# Under memcheck a host takes half a minute: in long runs only.
if(MEMCHECK_INCLUDE_DIR AND VALGRIND AND NOT SCALLOC_SANITIZE AND SCALLOC_TEST_SCALE GREATER 100)
  set(adapters_memcheck TRUE)
  file(GLOB adapters_core CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/scalloc/*.c)
  add_library(adapters_core STATIC ${adapters_core})
  target_include_directories(adapters_core PUBLIC ${PROJECT_SOURCE_DIR}/scalloc/include
                             PRIVATE ${PROJECT_SOURCE_DIR}/scalloc ${ATOMIC_OPS_INCLUDE_DIR})
  target_compile_definitions(adapters_core PRIVATE SCALLOC_VALGRIND)
  target_link_libraries(adapters_core PRIVATE scalloc_flags)
endif()

set(compare sh ${CMAKE_CURRENT_LIST_DIR}/compare.sh)
foreach(host ${ADAPTER_HOSTS})
  if(TARGET host_${host})
    adapters_program(adapters_${host} ${host} scalloc::scalloc)
    adapters_program(adapters_${host}_checked ${host} scalloc::scalloc_checked)
    adapters_test(${host} ${compare} $<TARGET_FILE:adapters_${host}>)
    adapters_test(${host}_without_limit ${compare} $<TARGET_FILE:adapters_${host}> --work=10 --limit=0)
    adapters_test(${host}_checked ${compare} $<TARGET_FILE:adapters_${host}_checked> --work=20)
    set(limits 262144 400000 1113213 2500000)
    if(host STREQUAL "sqlite")
      set(limits 12000000 20000000 40000000) # of the process, not of one VM
    endif()
    list(GET limits 0 least)
    adapters_test(${host}_use sh ${CMAKE_CURRENT_LIST_DIR}/use.sh $<TARGET_FILE:adapters_${host}> ${limits})
    if(adapters_memcheck)
      adapters_program(adapters_${host}_memcheck ${host} adapters_core)
      adapters_test(${host}_memcheck ${VALGRIND} -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite
                    $<TARGET_FILE:adapters_${host}_memcheck> --work=2 --limit=${least})
    endif()
  endif()
endforeach()
