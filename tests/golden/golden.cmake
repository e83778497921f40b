# The golden fast paths: figures of the Release build of the shared libraries on x86-64, which may only fall.
set(golden_dir ${PROJECT_SOURCE_DIR}/tests/golden)
find_program(GNU_OBJDUMP NAMES objdump x86_64-linux-gnu-objdump) # not llvm-objdump, whose lines look otherwise
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT SCALLOC_SANITIZE AND NOT SCALLOC_ASSERTS AND TARGET scalloc::lua_alloc_shared
   AND GNU_OBJDUMP AND CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  add_executable(test_golden ${golden_dir}/golden.c ${golden_dir}/trace.c)
  target_link_libraries(test_golden PRIVATE scalloc_flags scalloc::lua_alloc_shared scalloc::scalloc_shared ${test_lua})
  target_link_options(test_golden PRIVATE -Wl,-z,now)
  set_target_properties(test_golden PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  foreach(path malloc free lua_new lua_free lua_free_at_peak lua_free_young)
    add_test(NAME golden.${path} COMMAND test_golden ${path} ${GNU_OBJDUMP} ${golden_dir}/golden.txt)
    set_tests_properties(golden.${path} PROPERTIES LABELS golden TIMEOUT 90 SKIP_RETURN_CODE 77)
  endforeach()
  target_compile_options(test_golden PRIVATE -fno-builtin-malloc -fno-builtin-free)
  if(TARGET scalloc_preload)
    foreach(path preload_malloc preload_free)
      add_test(NAME golden.${path} COMMAND ${CMAKE_COMMAND} -E env LD_PRELOAD=$<TARGET_FILE:scalloc_preload>
        $<TARGET_FILE:test_golden> ${path} ${GNU_OBJDUMP} ${golden_dir}/golden.txt)
      set_tests_properties(golden.${path} PROPERTIES LABELS golden TIMEOUT 90 SKIP_RETURN_CODE 77)
    endforeach()
  endif()
endif()
