# cmake --install: libraries, headers, programs, the CMake package and the pkg-config files. Five components, which are also the
# Debian packages (Package.cmake): libraries, boehm, lua, development, tools.
include(CMakePackageConfigHelpers)

set(scalloc_package ${CMAKE_INSTALL_LIBDIR}/cmake/scalloc)
# Relative to the .pc file itself, so that any prefix given at install time holds.
file(RELATIVE_PATH pc_to_prefix ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})

# scalloc_install_pc(name source): name.pc made of cmake/source.pc.in
function(scalloc_install_pc name source)
  configure_file(${PROJECT_SOURCE_DIR}/cmake/${source}.pc.in ${PROJECT_BINARY_DIR}/${name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)
endfunction()

# scalloc_install_library(target name [component]): libraries `target` and `target`_shared, which users call scalloc::name and
# scalloc::name_shared. The component is where the shared one goes.
function(scalloc_install_library target name)
  set(component libraries)
  if(ARGC GREATER 2)
    set(component ${ARGV2})
  endif()
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name})
  set_target_properties(${target}_shared PROPERTIES EXPORT_NAME ${name}_shared)
  install(TARGETS ${target} ${target}_shared EXPORT scalloc-targets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT ${component} NAMELINK_COMPONENT development
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
endfunction()

# scalloc_install_header(file): into include/scalloc
function(scalloc_install_header file)
  install(FILES ${PROJECT_SOURCE_DIR}/${file} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/scalloc COMPONENT development)
endfunction()

function(scalloc_install_program target)
  if(TARGET ${target})
    install(TARGETS ${target} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT tools)
  endif()
endfunction()

scalloc_install_library(scalloc scalloc)
scalloc_install_header(scalloc/include/scalloc/scalloc.h)
scalloc_install_header(scalloc/include/scalloc/scalloc.hpp)
scalloc_install_pc(scalloc scalloc)

scalloc_install_library(scalloc_runtime runtime_glue)
scalloc_install_header(runtime_glue/include/scalloc/runtime_glue.h)
scalloc_install_pc(scalloc-runtime scalloc-runtime)
if(TARGET scalloc_boehm)
  scalloc_install_library(scalloc_boehm boehm boehm)
  scalloc_install_header(runtime_glue/include/scalloc/boehm.h)
  scalloc_install_pc(scalloc-boehm scalloc-boehm)
endif()

if(TARGET scalloc_lua)
  scalloc_install_library(scalloc_lua lua_alloc)
  scalloc_install_header(lua_alloc/include/scalloc/lua_alloc.h)
  scalloc_install_pc(scalloc-lua scalloc-lua)
endif()
foreach(lua_version ${SCALLOC_OTHER_LUAS})
  if(TARGET scalloc_lua${lua_version})
    scalloc_install_library(scalloc_lua${lua_version} lua_alloc${lua_version})
    scalloc_install_pc(scalloc-lua${lua_version} scalloc-lua)
  endif()
endforeach()
set(lua_version "")
if(TARGET scalloc_lua_preload)
  install(TARGETS scalloc_lua_preload LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT lua)
endif()
# Types for the Lua language server.
if(TARGET scalloc_module_5.4)
  install(FILES ${PROJECT_SOURCE_DIR}/lua_alloc/module/library/scalloc.lua DESTINATION ${CMAKE_INSTALL_DATADIR}/scalloc/library
    COMPONENT lua)
  install(FILES ${PROJECT_SOURCE_DIR}/lua_alloc/module/config.json DESTINATION ${CMAKE_INSTALL_DATADIR}/scalloc COMPONENT lua)
endif()
foreach(version 5.1 5.3 5.4)
  if(TARGET scalloc_module_${version})
    install(TARGETS scalloc_module_${version} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/lua/${version} COMPONENT lua)
  endif()
endforeach()
scalloc_install_program(scalloc-lua)

# The malloc replacements: the preloaded ones are no libraries to link with.
if(TARGET scalloc_preload)
  install(TARGETS scalloc_preload scalloc_preload_checked scalloc_preload_profile LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT tools)
  install(TARGETS scalloc_override EXPORT scalloc-targets
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
  scalloc_install_pc(scalloc-override scalloc-override)
  scalloc_install_program(scalloc-run)
  scalloc_install_program(scalloc-top)
endif()

if(SCALLOC_CHECKED)
  set(checked _checked)
  set(checked_package -checked)
  scalloc_install_library(scalloc_checked scalloc_checked)
  scalloc_install_pc(scalloc-checked scalloc)
  if(TARGET scalloc_lua)
    scalloc_install_library(scalloc_lua_checked lua_alloc_checked)
    scalloc_install_pc(scalloc-lua-checked scalloc-lua)
    scalloc_install_program(scalloc-lua-checked)
  endif()
  set(checked "")
  set(checked_package "")
endif()

# Man pages. scalloc(3) is for whoever compiles, the others for the programs that are there.
install(FILES ${PROJECT_SOURCE_DIR}/scalloc/scalloc-gdb.py DESTINATION ${CMAKE_INSTALL_DATADIR}/scalloc COMPONENT development)
install(FILES ${PROJECT_SOURCE_DIR}/docs/man/scalloc.3 DESTINATION ${CMAKE_INSTALL_MANDIR}/man3 COMPONENT development)
foreach(program scalloc-lua scalloc-run scalloc-top)
  if(TARGET ${program})
    install(FILES ${PROJECT_SOURCE_DIR}/docs/man/${program}.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT tools)
  endif()
endforeach()

install(EXPORT scalloc-targets NAMESPACE scalloc:: DESTINATION ${scalloc_package} COMPONENT development)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/scallocConfig.cmake.in ${PROJECT_BINARY_DIR}/scallocConfig.cmake
  INSTALL_DESTINATION ${scalloc_package})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/scallocConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/scallocConfig.cmake ${PROJECT_BINARY_DIR}/scallocConfigVersion.cmake
  DESTINATION ${scalloc_package} COMPONENT development)
