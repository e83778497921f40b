# Static analysis as tests, in plain Release builds only: once is enough.
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT SCALLOC_SANITIZE AND NOT SCALLOC_COVERAGE)
  foreach(tool format cppcheck tidy)
    add_test(NAME lint.${tool} COMMAND sh ${PROJECT_SOURCE_DIR}/tests/tools/lint --only ${tool} --missing 77 ${PROJECT_BINARY_DIR})
    set_tests_properties(lint.${tool} PROPERTIES LABELS lint TIMEOUT 600 SKIP_RETURN_CODE 77)
  endforeach()
endif()

# The commands for gdb, on the plain and the tracked core; it has to be compiled with debug information.
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT SCALLOC_SANITIZE AND NOT SCALLOC_COVERAGE AND NOT SCALLOC_TRACK)
  file(GLOB gdb_core CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/scalloc/*.c)
  foreach(kind plain checked)
    add_executable(gdb_${kind} ${PROJECT_SOURCE_DIR}/tests/tools/gdb_subject.c ${gdb_core})
    target_include_directories(gdb_${kind} PRIVATE ${PROJECT_SOURCE_DIR}/scalloc/include ${PROJECT_SOURCE_DIR}/scalloc
                                                   ${ATOMIC_OPS_INCLUDE_DIR})
    target_compile_options(gdb_${kind} PRIVATE -g -O1)
    target_link_libraries(gdb_${kind} PRIVATE scalloc_flags Threads::Threads)
    set_target_properties(gdb_${kind} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
    add_test(NAME tools.gdb_${kind} COMMAND sh ${PROJECT_SOURCE_DIR}/tests/tools/gdb.sh ${PROJECT_SOURCE_DIR} $<TARGET_FILE:gdb_${kind}>)
    set_tests_properties(tools.gdb_${kind} PROPERTIES LABELS tools TIMEOUT 120 SKIP_RETURN_CODE 77)
  endforeach()
  target_compile_definitions(gdb_checked PRIVATE SCALLOC_CHECKED=1)
endif()

# Without optimisation and with counters everything takes longer; a time limit that is right for the other builds says nothing.
if(SCALLOC_COVERAGE)
  get_property(tests DIRECTORY PROPERTY TESTS)
  set_tests_properties(${tests} PROPERTIES TIMEOUT 900)
endif()

# The static probes, where they are compiled in.
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND scalloc_has_probes AND NOT SCALLOC_SANITIZE AND NOT SCALLOC_COVERAGE AND NOT SCALLOC_TRACK)
  add_executable(probes_subject ${PROJECT_SOURCE_DIR}/tests/tools/probes_subject.c)
  target_link_libraries(probes_subject PRIVATE scalloc_flags scalloc::scalloc Threads::Threads)
  set_target_properties(probes_subject PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  add_test(NAME tools.probes COMMAND sh ${PROJECT_SOURCE_DIR}/tests/tools/probes.sh ${PROJECT_SOURCE_DIR} $<TARGET_FILE:probes_subject>
    $<TARGET_FILE:scalloc_shared> $<TARGET_FILE:scalloc_preload>)
  set_tests_properties(tools.probes PROPERTIES LABELS tools TIMEOUT 120 SKIP_RETURN_CODE 77)
endif()
