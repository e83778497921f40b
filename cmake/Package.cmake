# cpack -G DEB in a build folder: Debian packages of what Install.cmake installs there; cpack -G TGZ: all of it in one archive.
# Configure with -DCMAKE_INSTALL_PREFIX=/usr, for the library folder of the distribution.
set(CPACK_PACKAGE_NAME scalloc)
set(CPACK_PACKAGE_VENDOR scalloc)
set(SCALLOC_PACKAGE_CONTACT "scalloc <scalloc@localhost>" CACHE STRING "Maintainer of the packages that cpack makes")
set(CPACK_PACKAGE_CONTACT ${SCALLOC_PACKAGE_CONTACT})
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY ${PROJECT_DESCRIPTION})
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL libraries development tools)
if(TARGET scalloc_boehm)
  list(APPEND CPACK_COMPONENTS_ALL boehm)
endif()
if(TARGET scalloc_module_5.4)
  list(APPEND CPACK_COMPONENTS_ALL lua)
endif()

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON) # Depends of programs and libraries, from what they are linked with
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${PROJECT_BINARY_DIR}/lib)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/cmake/debian_files.cmake)

# debian(component name section summary [DEPENDS ...]): of the packages made here, by exactly this version.
macro(debian component name section summary)
  string(TOUPPER ${component} debian_upper)
  set(CPACK_DEBIAN_${debian_upper}_PACKAGE_NAME ${name})
  set(CPACK_DEBIAN_${debian_upper}_PACKAGE_SECTION ${section})
  set(CPACK_COMPONENT_${debian_upper}_DESCRIPTION ${summary})
  set(CPACK_DEBIAN_${debian_upper}_PACKAGE_DEPENDS "${ARGN}")
endmacro()

set(debian_same "(= ${PROJECT_VERSION})")
debian(libraries libscalloc0 libs "Memory allocator for Lua and garbage-collected runtimes: the shared libraries")
debian(boehm libscalloc-boehm0 libs "Memory allocator for Lua and garbage-collected runtimes: the bridge to Boehm GC"
  "libscalloc0 ${debian_same}")
debian(lua lua-scalloc interpreters "Memory allocator for Lua and garbage-collected runtimes: the Lua module"
  "libscalloc0 ${debian_same}")
debian(tools scalloc-tools utils "Memory allocator for Lua and garbage-collected runtimes: programs"
  "libscalloc0 ${debian_same}")
# find_package(scalloc) wants every library that the package file names.
set(debian_of_dev "libscalloc0 ${debian_same}")
if(TARGET scalloc_boehm)
  string(APPEND debian_of_dev ", libscalloc-boehm0 ${debian_same}")
endif()
debian(development libscalloc-dev libdevel "Memory allocator for Lua and garbage-collected runtimes: headers and static libraries"
  "${debian_of_dev}, libc6-dev")
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SUGGESTS "liblua5.4-dev, libgc-dev")

# debian_libraries(component package [target...]): which package a program depends on that is linked with one of these shared libraries
# (dpkg-shlibdeps reads that), and that the linker's cache is written anew.
function(debian_libraries component package)
  set(folder ${PROJECT_BINARY_DIR}/debian/${component})
  set(lines "")
  foreach(target ${ARGN})
    if(TARGET ${target})
      get_target_property(soversion ${target} SOVERSION)
      get_target_property(name ${target} OUTPUT_NAME)
      string(APPEND lines "lib${name} ${soversion} ${package} (>= ${PROJECT_VERSION})\n")
    endif()
  endforeach()
  file(WRITE ${folder}/triggers "activate-noawait ldconfig\n")
  set(extra ${folder}/triggers)
  if(lines)
    file(WRITE ${folder}/shlibs "${lines}")
    list(APPEND extra ${folder}/shlibs)
  endif()
  string(TOUPPER ${component} upper)
  set(CPACK_DEBIAN_${upper}_PACKAGE_CONTROL_EXTRA "${extra}" PARENT_SCOPE)
endfunction()
debian_libraries(libraries libscalloc0 scalloc_shared scalloc_runtime_shared scalloc_lua_shared scalloc_lua5.1_shared
  scalloc_lua5.3_shared)
debian_libraries(boehm libscalloc-boehm0 scalloc_boehm_shared)
debian_libraries(lua lua-scalloc) # one to be preloaded
include(CPack)

# The core as one file, for projects that want no library: amalgam/scalloc.c and scalloc.h in the build folder.
get_target_property(core_sources scalloc_objects SOURCES)
add_custom_target(amalgam VERBATIM
  COMMAND sh ${PROJECT_SOURCE_DIR}/cmake/amalgam.sh ${PROJECT_BINARY_DIR}/amalgam ${core_sources})
