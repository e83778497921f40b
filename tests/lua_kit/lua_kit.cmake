# The programs of examples/lua_kit, which check themselves.
if(NOT TARGET example-sandbox)
  message(STATUS "The examples are not built: nor are the tests of examples/lua_kit")
  return()
endif()

# kit_test(name words...)
function(kit_test name)
  add_test(NAME lua_kit.${name} COMMAND ${ARGN})
  set_tests_properties(lua_kit.${name} PROPERTIES LABELS lua_kit TIMEOUT 120)
endfunction()

kit_test(sandbox example-sandbox)
kit_test(leak_hunt example-leak_hunt)
kit_test(realtime example-realtime 2000)
kit_test(server example-server)
kit_test(state_pool example-state_pool 2000)
