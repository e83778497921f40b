# Run by cpack before it makes packages (CPACK_PRE_BUILD_SCRIPTS): what Debian's policy wants in each of them and an installation by
# cmake does not: licence and changelog under share/doc, and compressed man pages.
if(NOT CPACK_GENERATOR STREQUAL "DEB")
  return()
endif()
find_program(gzip gzip)

file(READ ${CPACK_RESOURCE_FILE_LICENSE} licence)
string(REGEX MATCH "Copyright[^\n]*" holder "${licence}")
string(REGEX REPLACE "^Copyright *(\\(c\\))? *" "" holder "${holder}")
string(REGEX REPLACE "^MIT License\n+Copyright[^\n]*\n+" "" licence "${licence}")
string(STRIP "${licence}" licence)
string(REPLACE "\n\n" "\n.\n" licence "${licence}")
string(REPLACE "\n" "\n " licence "${licence}")
set(copyright "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: scalloc

Files: *
Copyright: ${holder}
License: MIT

License: MIT
 ${licence}
")

# The changelog of one release: the product's own is in CHANGELOG.md.
string(TIMESTAMP now "%a, %d %b %Y %H:%M:%S +0000" UTC)
set(changelog "scalloc (${CPACK_PACKAGE_VERSION}) unstable; urgency=medium

  * See CHANGELOG.md in the sources.

 -- ${CPACK_PACKAGE_CONTACT}  ${now}
")

foreach(component ${CPACK_COMPONENTS_ALL})
  string(TOUPPER ${component} upper)
  set(root ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/${component}${CPACK_PACKAGING_INSTALL_PREFIX})
  set(documents ${root}/share/doc/${CPACK_DEBIAN_${upper}_PACKAGE_NAME})
  file(WRITE ${documents}/copyright "${copyright}")
  file(WRITE ${documents}/changelog "${changelog}")
  file(GLOB pages ${root}/share/man/*/*)
  if(gzip)
    execute_process(COMMAND ${gzip} -9nf ${documents}/changelog ${pages} COMMAND_ERROR_IS_FATAL ANY)
  endif()
endforeach()
