# The runtime glue against a second opinion on what is allocated; and glues with one fault put in each, which has to be found.
set(glue_test_dir ${PROJECT_SOURCE_DIR}/tests/glue)
set(glue_dir ${PROJECT_SOURCE_DIR}/runtime_glue)
set(glue_test_includes ${glue_dir}/include ${PROJECT_SOURCE_DIR}/scalloc/include)

file(GLOB oracle_sources CONFIGURE_DEPENDS ${glue_test_dir}/*.c)
add_library(glue_oracle_objects OBJECT ${oracle_sources})
target_include_directories(glue_oracle_objects PRIVATE ${glue_test_includes})
target_link_libraries(glue_oracle_objects PRIVATE scalloc_flags)

# glue_program(target glue...): the oracle with this glue, a library or objects.
function(glue_program target)
  add_executable(${target} $<TARGET_OBJECTS:glue_oracle_objects>)
  target_link_libraries(${target} PRIVATE ${ARGN} scalloc::scalloc scalloc_flags Threads::Threads)
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests LINKER_LANGUAGE C)
endfunction()

function(glue_test name)
  add_test(NAME glue.${name} COMMAND ${ARGN})
  set_tests_properties(glue.${name} PROPERTIES LABELS glue TIMEOUT 300)
endfunction()

scaled(glue_steps 20000)
glue_program(glue_oracle scalloc_runtime)
foreach(seed 1 101 201)
  glue_test(oracle_${seed} glue_oracle --seed ${seed} --steps ${glue_steps})
endforeach()

if(SCALLOC_SANITIZE OR SCALLOC_TRACK OR SCALLOC_COVERAGE)
  return()
endif()

file(GLOB glue_files CONFIGURE_DEPENDS ${glue_dir}/*.[ch])
list(FILTER glue_files EXCLUDE REGEX "/boehm[^/]*$") # the bridge is a library of its own
set(glue_c_files ${glue_files})
list(FILTER glue_c_files INCLUDE REGEX "\\.c$")

# glue_variant(name): control_glue_NAME, the oracle with the glue that controls/NAME.txt makes.
function(glue_variant name)
  set(description ${glue_test_dir}/controls/${name}.txt)
  set(folder ${PROJECT_BINARY_DIR}/controls/glue_${name})
  file(STRINGS ${description} files REGEX "^file ")
  list(TRANSFORM files REPLACE "^file " "")
  list(REMOVE_DUPLICATES files)
  if(files MATCHES "\\.h")
    set(files)
    foreach(source ${glue_c_files})
      get_filename_component(file ${source} NAME)
      list(APPEND files ${file})
    endforeach()
  endif()
  set(others $<TARGET_OBJECTS:scalloc_runtime_objects>)
  set(changed)
  foreach(file ${files})
    list(APPEND changed ${folder}/${file})
    set(others $<FILTER:${others},EXCLUDE,/${file}.o$>)
  endforeach()
  add_custom_command(OUTPUT ${changed} DEPENDS ${description} ${PROJECT_SOURCE_DIR}/tests/model/mutate.cmake ${glue_files}
    COMMAND ${CMAKE_COMMAND} -DCONTROL=${description} -DSOURCES=${glue_dir} -DOUT=${folder}
            -P ${PROJECT_SOURCE_DIR}/tests/model/mutate.cmake)
  add_library(control_glue_objects_${name} OBJECT ${changed})
  target_include_directories(control_glue_objects_${name} PRIVATE ${folder} ${glue_test_includes} ${PROJECT_SOURCE_DIR}/scalloc
                                                                  ${ATOMIC_OPS_INCLUDE_DIR})
  target_link_libraries(control_glue_objects_${name} PRIVATE scalloc_flags)
  target_compile_options(control_glue_objects_${name} PRIVATE -w) # what a fault leaves unused
  glue_program(control_glue_${name} $<TARGET_OBJECTS:control_glue_objects_${name}> ${others})
endfunction()

file(GLOB glue_controls CONFIGURE_DEPENDS ${glue_test_dir}/controls/*.txt)
foreach(control ${glue_controls})
  get_filename_component(name ${control} NAME_WE)
  glue_variant(${name})
  if(name MATCHES "^variant_") # not a fault
    glue_test(${name} control_glue_${name} --steps ${glue_steps})
  else()
    glue_test(control.${name} control_glue_${name} --expect-fault --seeds 20)
  endif()
endforeach()

# ---- every schedule of two or three threads, by the explorer of tests/model
if(NOT TARGET scalloc_model)
  return()
endif()
set(glue_model_dir ${glue_test_dir}/model)
set(glue_model_sources ${glue_c_files})
list(FILTER glue_model_sources EXCLUDE REGEX "/quiet\\.c$")

# glue_model(name description ...): model_NAME, the scenarios with the glue that the descriptions make of the sources.
function(glue_model name)
  set(folder ${PROJECT_BINARY_DIR}/controls/${name})
  set(changed)
  foreach(source ${glue_model_sources})
    get_filename_component(file ${source} NAME)
    list(APPEND changed ${folder}/${file})
  endforeach()
  add_custom_command(OUTPUT ${changed}
    DEPENDS ${ARGN} ${PROJECT_SOURCE_DIR}/tests/model/mutate.cmake ${glue_files}
    COMMAND ${CMAKE_COMMAND} -E cat ${ARGN} > ${folder}.txt
    COMMAND ${CMAKE_COMMAND} -DCONTROL=${folder}.txt -DSOURCES=${glue_dir} -DOUT=${folder}
            -P ${PROJECT_SOURCE_DIR}/tests/model/mutate.cmake)
  add_library(${name}_objects OBJECT ${changed})
  add_library(${name}_scenarios OBJECT ${glue_model_dir}/glue_world.c ${glue_model_dir}/test_glue.c)
  foreach(part objects scenarios)
    target_include_directories(${name}_${part} PRIVATE ${folder} ${glue_dir}/include ${model_includes} ${glue_model_dir})
    target_compile_definitions(${name}_${part} PRIVATE SCALLOC_ASSERTS=1)
    target_compile_options(${name}_${part} PRIVATE ${model_flags})
    target_link_libraries(${name}_${part} PRIVATE scalloc_flags)
  endforeach()
  add_dependencies(${name}_scenarios ${name}_objects)
  target_compile_options(${name}_objects PRIVATE ${model_step_flags} -w)
  add_executable(${name} $<TARGET_OBJECTS:${name}_scenarios> $<TARGET_OBJECTS:${name}_objects> $<TARGET_OBJECTS:scalloc_world>
                         $<TARGET_OBJECTS:scalloc_model> $<TARGET_OBJECTS:scalloc_explorer>)
  target_link_libraries(${name} PRIVATE Threads::Threads)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests LINKER_LANGUAGE C)
endfunction()

glue_model(model_glue ${glue_model_dir}/threads.txt)
glue_test(model model_glue ${model_length})
set_tests_properties(glue.model PROPERTIES TIMEOUT 1200)

# glue_model_control(name "scenario"): the fault that model/controls/NAME.txt puts in is found in that scenario.
function(glue_model_control name scenario)
  glue_model(model_glue_${name} ${glue_model_dir}/threads.txt ${glue_model_dir}/controls/${name}.txt)
  glue_test(model.${name} model_glue_${name} --violation ${scenario})
endfunction()

glue_model_control(hole_in_two_moments "free in a hot span against its refill")
glue_model_control(bits_in_two_moments "first touch against resolving")
glue_model_control(put_off_unheld "put off, released by another before the hook returns")
glue_model_control(end_without_a_look "last free against a refill")
glue_model_control(nobody_follows "free in a hot span against retiring")
glue_model_control(touched_before_it_is_clear "two first touches")
