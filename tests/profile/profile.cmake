# The sampling profile of a program of which everything is known.
if(NOT TARGET scalloc_preload_profile)
  return()
endif()
add_executable(profile_two_sites ${PROJECT_SOURCE_DIR}/tests/profile/two_sites.c)
target_compile_definitions(profile_two_sites PRIVATE _GNU_SOURCE)
target_compile_options(profile_two_sites PRIVATE -Wall -Wextra -fno-builtin -O2 -g)
target_include_directories(profile_two_sites PRIVATE ${PROJECT_SOURCE_DIR}/scalloc/include) # for test.h
target_link_libraries(profile_two_sites PRIVATE Threads::Threads m)
set_target_properties(profile_two_sites PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
add_test(NAME profile.two_sites COMMAND profile_two_sites $<TARGET_FILE:scalloc-run> ${CMAKE_CURRENT_BINARY_DIR})
add_test(NAME profile.command COMMAND sh ${PROJECT_SOURCE_DIR}/tests/profile/command.sh $<TARGET_FILE:scalloc-run>
  $<TARGET_FILE:profile_two_sites> $<TARGET_FILE:preload_load>)
add_test(NAME profile.conformance COMMAND sh ${PROJECT_SOURCE_DIR}/tests/profile/conformance.sh $<TARGET_FILE:scalloc-run>
  $<TARGET_FILE:preload_conformance>)
set_tests_properties(profile.two_sites profile.command profile.conformance PROPERTIES LABELS profile TIMEOUT 120)
