# Warnings, language level and sanitizers for everything built here: link scalloc_flags privately.
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

add_library(scalloc_flags INTERFACE)
target_compile_options(scalloc_flags INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes)
target_compile_definitions(scalloc_flags INTERFACE _GNU_SOURCE)

option(SCALLOC_ASSERTS "Check internal invariants while running (debug build)" OFF)
if(SCALLOC_ASSERTS OR CMAKE_BUILD_TYPE STREQUAL "Debug")
  target_compile_definitions(scalloc_flags INTERFACE SCALLOC_ASSERTS=1)
endif()

# Tracked builds keep bytes behind every block: tests of geometry and memory know it.
if(SCALLOC_TRACK STREQUAL "none")
  target_compile_definitions(scalloc_flags INTERFACE SCALLOC_PLAIN=1)
elseif(SCALLOC_SANITIZE MATCHES "address" OR SCALLOC_TRACK)
  target_compile_definitions(scalloc_flags INTERFACE TEST_TRACKED=1)
endif()

# SCALLOC_SANITIZE=address, undefined, thread, or "address,undefined"
set(SCALLOC_SANITIZE "" CACHE STRING "Sanitizers to build with")
if(SCALLOC_SANITIZE)
  target_compile_options(scalloc_flags INTERFACE -fsanitize=${SCALLOC_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(scalloc_flags INTERFACE -fsanitize=${SCALLOC_SANITIZE})
endif()

# For clang-tidy (tests/tools/lint).
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# Counts what the tests execute, lines and branches (tests/tools/coverage). Every program brings coverage_exit.c along.
option(SCALLOC_COVERAGE "Build with gcov counters, without optimisation" OFF)
if(SCALLOC_COVERAGE)
  add_compile_options(-O0 -g --coverage -fprofile-update=atomic)
  add_compile_definitions(SCALLOC_COVERAGE=1)
  add_link_options(--coverage)
  add_library(scalloc_coverage OBJECT ${PROJECT_SOURCE_DIR}/tests/tools/coverage_exit.c)
  target_link_libraries(scalloc_coverage PRIVATE scalloc_flags)
  link_libraries($<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:scalloc_coverage>)
endif()
