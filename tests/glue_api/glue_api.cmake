# The functions of the runtime glue one by one, the 17 things that can go wrong with it (docs/runtime-tests.md), threads, forks.
set(glue_api_dir ${PROJECT_SOURCE_DIR}/tests/glue_api)
set(glue_api_private ${PROJECT_SOURCE_DIR}/runtime_glue ${PROJECT_SOURCE_DIR}/scalloc ${ATOMIC_OPS_INCLUDE_DIR})

# glue_program(name): the program glue_NAME of NAME.c.
function(glue_program name)
  add_executable(glue_${name} ${glue_api_dir}/${name}.c ${glue_api_dir}/glue_api.c)
  target_link_libraries(glue_${name} PRIVATE scalloc_flags scalloc::runtime_glue Threads::Threads)
  set_target_properties(glue_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
endfunction()

# glue_part(test program parts...): a test that runs parts of a program, one after the other.
function(glue_part test program)
  list(LENGTH ARGN count)
  foreach(part ${ARGN})
    set(name ${test})
    if(count GREATER 1)
      string(REGEX REPLACE "^wrong_[0-9]+_" "" short ${part})
      set(name ${test}.${short})
    endif()
    add_test(NAME glue.${name} COMMAND glue_${program} ${part} --scale ${SCALLOC_TEST_SCALE})
    set_tests_properties(glue.${name} PROPERTIES LABELS glue TIMEOUT 300 SKIP_RETURN_CODE 77)
  endforeach()
endfunction()

# ---- what can go wrong
glue_program(wrong_spans)
glue_part(can_go_wrong_01 wrong_spans wrong_01_span_in_two_hands)
glue_part(can_go_wrong_02 wrong_spans wrong_02_thread_dies_hot)
glue_part(can_go_wrong_04 wrong_spans wrong_04_late_free_and_decommit wrong_04_zeroed_after_commit wrong_04_stale_pointers_of_a_marker)
glue_part(can_go_wrong_06 wrong_spans wrong_06_freed_by_hand_in_a_cycle wrong_06_hot_is_left_to_its_mutator)
glue_part(can_go_wrong_14 wrong_spans wrong_14_idle_mutators_pin_no_spans)

glue_program(wrong_hooks)
glue_part(can_go_wrong_07 wrong_hooks wrong_07_finalizable_objects_are_marked_before_the_end wrong_07_no_object_comes_back_after_the_end)
glue_part(can_go_wrong_08 wrong_hooks wrong_08_hook_allocates wrong_08_hooks_may_free_by_hand
          wrong_08_hooks_may_look_at_the_span_itself)
glue_part(can_go_wrong_09 wrong_hooks wrong_09_pressure_is_not_called_in_pressure)
glue_part(can_go_wrong_16 wrong_hooks wrong_16_the_dead_are_told_before_reuse)

glue_program(wrong_cycles)
target_sources(glue_wrong_cycles PRIVATE ${glue_api_dir}/heap_number.c)
target_include_directories(glue_wrong_cycles PRIVATE ${glue_api_private} ${PROJECT_SOURCE_DIR}/runtime_glue/include)
glue_part(can_go_wrong_03 wrong_cycles wrong_03_initialisation_after_cur)
glue_part(can_go_wrong_05 wrong_cycles wrong_05_stale_conservative_pointer wrong_05_pointers_that_are_not_stale)
if(NOT SCALLOC_SANITIZE) # whose shadow is readable too
  glue_part(can_go_wrong_11 wrong_cycles wrong_11_maps_show_what_is_opened)
endif()
glue_part(can_go_wrong_13 wrong_cycles wrong_13_any_bit_flipped wrong_13_numbers_are_relative)
glue_part(can_go_wrong_15 wrong_cycles wrong_15_cycle_numbers_wrap)

# 12: the sources of the glue on the operating system of the unit tests.
file(GLOB glue_api_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/runtime_glue/*.c)
list(FILTER glue_api_sources EXCLUDE REGEX "/boehm[^/]*$") # the bridge is a library of its own
add_executable(glue_wrong_refusal ${glue_api_dir}/wrong_refusal.c ${glue_api_sources})
target_include_directories(glue_wrong_refusal PRIVATE ${PROJECT_SOURCE_DIR}/runtime_glue ${PROJECT_SOURCE_DIR}/runtime_glue/include)
target_link_libraries(glue_wrong_refusal PRIVATE scalloc_unit)
set_target_properties(glue_wrong_refusal PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
add_test(NAME glue.can_go_wrong_12 COMMAND glue_wrong_refusal)
set_tests_properties(glue.can_go_wrong_12 PROPERTIES LABELS glue TIMEOUT 300)

# ---- the public header
glue_program(heaps)
glue_part(heaps heaps a_conf_of_unknown_size many_heaps kinds_and_what_they_refuse slots_of_every_size slots_that_are_refused
          more_slots_than_there_are mutators_and_what_is_published retire_gives_up_the_last_large_block budget_is_kept
          refused_sizes_cost_nothing limit_is_kept first_spans_are_small)
glue_program(blocks)
glue_part(blocks blocks sizes_and_alignments zero_again many_at_once large_blocks first_and_last_byte addresses_of_others
          addresses_of_nobody every_block_is_visited marks_of_a_cycle marks_inline_alone marks_inline_shared
          handed_out_in_a_cycle a_cookie_per_span)
glue_program(core)
glue_part(core core find_sees_every_block find_sees_large_blocks usable_size_of_malloc_knows_them_not spans_are_counted_by_state
          json_in_any_buffer spans_change_sides heaps_of_both_kinds_in_turn at_the_limit_of_the_process)
glue_program(faults)
glue_part(faults faults frees_by_hand functions_of_malloc calls_that_must_not_be marks_of_what_is_not_allocated)

add_test(NAME glue.header COMMAND sh ${glue_api_dir}/header.sh ${PROJECT_SOURCE_DIR}/runtime_glue/include)
set_tests_properties(glue.header PROPERTIES LABELS glue TIMEOUT 120 SKIP_RETURN_CODE 77)
if(CMAKE_CXX_COMPILER)
  add_executable(glue_header ${glue_api_dir}/header.cc)
  target_compile_options(glue_header PRIVATE -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror)
  target_link_libraries(glue_header PRIVATE scalloc::runtime_glue Threads::Threads)
  if(SCALLOC_SANITIZE)
    target_link_options(glue_header PRIVATE -fsanitize=${SCALLOC_SANITIZE})
  endif()
  set_target_properties(glue_header PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  add_test(NAME glue.header_cxx COMMAND glue_header)
  set_tests_properties(glue.header_cxx PROPERTIES LABELS glue TIMEOUT 60)
endif()
if(GNU_OBJDUMP AND CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT SCALLOC_SANITIZE AND NOT SCALLOC_COVERAGE
   AND CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
  add_library(glue_fast_path OBJECT ${glue_api_dir}/fast_path.c)
  target_include_directories(glue_fast_path PRIVATE ${PROJECT_SOURCE_DIR}/runtime_glue/include)
  target_link_libraries(glue_fast_path PRIVATE scalloc_flags)
  add_test(NAME glue.fast_path COMMAND sh ${glue_api_dir}/fast_path.sh ${GNU_OBJDUMP} $<TARGET_OBJECTS:glue_fast_path>)
  set_tests_properties(glue.fast_path PROPERTIES LABELS glue TIMEOUT 60)
endif()

# ---- threads
glue_program(threads)
glue_part(can_go_wrong_17 threads cycles_under_load) # under ThreadSanitizer: tests/run --only thread
glue_part(threads threads cycles_under_load_with_hooks freed_by_others_uncollectable freed_by_others_explicit pressure_from_all_sides slots_made_by_all)
glue_program(handshakes)
glue_part(handshakes handshakes releases_put_off put_off_till_the_end bits_of_the_poll_word a_stop_in_a_pressure_hook_is_not_lost
          come_while_a_cycle_turns resolved_by_their_owner pictures_of_a_heap_at_work)
glue_program(inside)
glue_part(inside inside hooks_of_two_spans_look_at_each_other hook_waits_for_who_frees large_block_outlives_a_stop
          each_byte_is_told_once hopeless_requests_harm_nobody)
glue_program(incremental)
glue_part(incremental incremental marks_while_mutators_run what_is_given_out_after_begin_lives)
glue_program(costs)
glue_part(costs costs dead_spans_go_untouched heap_destroy_touches_no_block marking_and_sweeping_touch_no_block
          a_cycle_costs_the_same_with_more_spans ending_a_heap_is_linear a_dead_span_costs_the_same_with_more_blocks)
set_tests_properties(glue.costs.a_cycle_costs_the_same_with_more_spans glue.costs.ending_a_heap_is_linear
                     glue.costs.a_dead_span_costs_the_same_with_more_blocks PROPERTIES RUN_SERIAL TRUE) # they compare times
glue_program(signals)
glue_part(signals signals stopped_by_signal stopped_between_any_two_instructions
          incremental_between_any_two_instructions stopped_in_functions_of_others)

# ---- forks
glue_program(forks)
glue_part(forks forks forks_under_load fork_within_ones_own_cycle fork_within_anothers_cycle fork_with_explicit_handlers
          prepare_holds_others_up fork_in_the_pressure_hook)
glue_program(fork_waits)
glue_part(forks fork_waits fork_in_the_release_hook fork_while_ones_mutator_is_at_work_elsewhere release_while_a_fork_is_prepared
          orphans_are_settled_after_the_fork)
glue_program(fork_frees)
glue_part(forks.free_between_any_two_instructions fork_frees between_any_two_instructions)
