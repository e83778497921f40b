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
