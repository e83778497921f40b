# Static analysis as tests, in plain Release builds only: once is enough.
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT SCALLOC_SANITIZE AND NOT SCALLOC_COVERAGE)
  foreach(tool format cppcheck tidy)
    add_test(NAME lint.${tool} COMMAND sh ${PROJECT_SOURCE_DIR}/tests/tools/lint --only ${tool} --missing 77 ${PROJECT_BINARY_DIR})
    set_tests_properties(lint.${tool} PROPERTIES LABELS lint TIMEOUT 600 SKIP_RETURN_CODE 77)
  endforeach()
endif()

# Without optimisation and with counters everything takes longer; a time limit that is right for the other builds says nothing.
if(SCALLOC_COVERAGE)
  get_property(tests DIRECTORY PROPERTY TESTS)
  set_tests_properties(${tests} PROPERTIES TIMEOUT 900)
endif()
