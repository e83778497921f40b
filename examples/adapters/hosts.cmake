# The hosts that are installed here, as targets host_sqlite, host_mruby and host_duktape to link with; for examples/ and tests/.
set(ADAPTER_FOLDER ${CMAKE_CURRENT_LIST_DIR})
set(ADAPTER_HOSTS sqlite mruby duktape)

# adapter_host(name package header library): a target with both, or a message.
function(adapter_host name package header library)
  if(TARGET host_${name})
    return()
  endif()
  find_path(${name}_INCLUDE_DIR ${header})
  find_library(${name}_LIBRARY ${library})
  mark_as_advanced(${name}_INCLUDE_DIR ${name}_LIBRARY)
  if(NOT ${name}_INCLUDE_DIR OR NOT ${name}_LIBRARY)
    message(STATUS "${name} not found (${package}): its adapter is left out")
    return()
  endif()
  add_library(host_${name} INTERFACE)
  target_include_directories(host_${name} SYSTEM INTERFACE ${${name}_INCLUDE_DIR})
  target_link_libraries(host_${name} INTERFACE ${${name}_LIBRARY} m)
endfunction()

adapter_host(sqlite libsqlite3-dev sqlite3.h sqlite3)
adapter_host(mruby libmruby-dev mruby.h mruby)
adapter_host(duktape duktape-dev duktape.h duktape)
