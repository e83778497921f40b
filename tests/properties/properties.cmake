# The 25 properties of docs/properties.md, each a test of its own. Label: properties.
set(property_dir ${PROJECT_SOURCE_DIR}/tests/properties)

# property(name program [CORE core] [TIMEOUT seconds] ARGS mode ...): one property, shown by program.c with private
# headers. CORE: linked with a core of property_core instead of libscalloc.a.
function(property name program)
  cmake_parse_arguments(PROPERTY "" "CORE;TIMEOUT" "" ${ARGN})
  if(NOT PROPERTY_TIMEOUT)
    set(PROPERTY_TIMEOUT 300) # seconds that a loaded machine may need; most take less than one
  endif()
  scalloc_test(${name} property ${property_dir}/${program}.c PROGRAM property_${program} TIMEOUT ${PROPERTY_TIMEOUT}
               ${PROPERTY_UNPARSED_ARGUMENTS})
  if(PROPERTY_CORE)
    target_link_libraries(property_${program} PRIVATE property_core_${PROPERTY_CORE})
  endif()
  target_include_directories(property_${program} PRIVATE ${PROJECT_SOURCE_DIR}/scalloc ${ATOMIC_OPS_INCLUDE_DIR})
  set_tests_properties(property.${name} PROPERTIES LABELS properties SKIP_RETURN_CODE 77)
endfunction()

property(01_arithmetic_lookup geometry ARGS lookup)
property(03_one_class_per_span geometry ARGS classes)
property(11_fresh_span_locality geometry ARGS fresh)
property(10_one_hot_span owners ARGS hot)
property(12_no_cross_thread_reuse owners ARGS reuse)
property(13_batch_refill owners ARGS refill)
scaled(property_ops 1000000)
property(02_disjointness disjoint ARGS disjoint --ops ${property_ops})
scaled(property_rounds 150)
property(14_threshold_exactness transitions ARGS threshold)
property(15_eager_return transitions ARGS eager --rounds ${property_rounds})

# The core built anew for a test: property_core(name options...) makes the object library property_NAME.
file(GLOB property_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/scalloc/*.c)
function(property_core name)
  add_library(property_core_${name} OBJECT ${property_sources})
  target_include_directories(property_core_${name} PUBLIC ${PROJECT_SOURCE_DIR}/scalloc/include ${PROJECT_SOURCE_DIR}/scalloc
                                                          ${ATOMIC_OPS_INCLUDE_DIR})
  target_compile_options(property_core_${name} PRIVATE -fvisibility=hidden ${ARGN})
  target_link_libraries(property_core_${name} PRIVATE scalloc_flags Threads::Threads)
endfunction()

property_core(hooked -include ${property_dir}/atomics_hooked.h)
scaled(property_rounds 1000)
scaled(property_seconds 20)
property(16_no_lost_spans yielding CORE hooked ARGS no_lost_spans --rounds ${property_rounds} --seconds ${property_seconds})
scaled(property_ops 200000)
property(05_uniform_path quiet ARGS quiet --ops ${property_ops})

property(04_rss_follows_real_spans memory ARGS real_spans)
property(06_vma_stability memory ARGS mappings)
property(18_global_interchangeability memory ARGS any_span)
property(21_decommit memory ARGS decommit)
scaled(property_ops 2000000)
property(22_bounded_blow_up bounded ARGS bounded --ops ${property_ops})

scaled(property_ops 60000)
property(07_environment_ladder environment TIMEOUT 600
         ARGS ladder $<TARGET_FILE:test_basics> $<TARGET_FILE:test_realloc> $<TARGET_FILE:test_aligned> $<TARGET_FILE:test_stats>
              $<TARGET_FILE:test_ownership> $<TARGET_FILE:test_death>
              "$<TARGET_FILE:test_shadow> --threads 1 --ops ${property_ops}"
              "$<TARGET_FILE:property_disjoint> disjoint --ops ${property_ops}")
property(08_out_of_memory environment ARGS exhaustion)

scaled(property_hits 1000)
property(09_fast_path_is_atomic_free fast_path ARGS fast_path $<TARGET_FILE:scalloc_shared> --hits ${property_hits})

scaled(property_rounds 20)
property(19_distributed_pool pool_scaling ARGS pool_scaling --rounds ${property_rounds})
target_link_options(property_pool_scaling PRIVATE -Wl,--wrap=scalloc_private_os_processors,--wrap=scalloc_private_pool_take
                    -Wl,--wrap=scalloc_private_pool_take_dirty,--wrap=scalloc_private_pool_put)

# Counted steps: both compilers call a function at each basic block.
property_core(counted -O2 -Wno-maybe-uninitialized -fsanitize-coverage=trace-pc)
scaled(property_cycles 8000)
property(23_thread_churn churn CORE counted ARGS churn --cycles ${property_cycles})
scaled(property_spans 100000)
property(25_constant_time constant_time CORE counted ARGS both --spans ${property_spans})
target_link_options(property_constant_time PRIVATE -Wl,--wrap=scalloc_private_os_now_ms,--wrap=scalloc_private_os_processors
                    -Wl,--wrap=scalloc_private_heap_settle)

scaled(property_ops 1500000)
property(20_pool_safety stack_faults ARGS stack_faults --ops ${property_ops})
scaled(property_runs 6)
property(24_lifecycle lifecycle ARGS lifecycle --runs ${property_runs})

foreach(extra memalign_overlap aligned_huge_free realloc_cases malloc_zero usable_size fork_exec size_overflow)
  property(extra_${extra} extras ARGS ${extra})
endforeach()
