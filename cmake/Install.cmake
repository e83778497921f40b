# cmake --install: libraries, headers, programs, the CMake package and the pkg-config files.
include(CMakePackageConfigHelpers)

install(TARGETS scalloc scalloc_shared EXPORT scalloc-targets)
install(DIRECTORY scalloc/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
set(pc_files scalloc)
set(with_lua OFF)
if(TARGET scalloc_lua)
  set(with_lua ON)
  install(TARGETS scalloc_lua scalloc_lua_shared EXPORT scalloc-targets)
  install(DIRECTORY lua_alloc/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  list(APPEND pc_files scalloc-lua)
endif()
if(TARGET scalloc-lua)
  install(TARGETS scalloc-lua)
endif()

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/scalloc)
install(EXPORT scalloc-targets NAMESPACE scalloc:: DESTINATION ${package})
configure_package_config_file(cmake/scallocConfig.cmake.in ${PROJECT_BINARY_DIR}/scallocConfig.cmake
  INSTALL_DESTINATION ${package})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/scallocConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/scallocConfig.cmake ${PROJECT_BINARY_DIR}/scallocConfigVersion.cmake DESTINATION ${package})

# Relative to the .pc file itself, so that any prefix given at install time holds.
file(RELATIVE_PATH pc_to_prefix ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
foreach(name ${pc_files})
  configure_file(cmake/${name}.pc.in ${PROJECT_BINARY_DIR}/${name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()
