# Targets that Node loads: headers and import library from cmake-js, node-addon-api from node_modules.
execute_process(
  COMMAND node -p "require('path').dirname(require.resolve('node-addon-api/package.json'))"
  WORKING_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}"
  OUTPUT_VARIABLE NODE_ADDON_API_DIR OUTPUT_STRIP_TRAILING_WHITESPACE
  RESULT_VARIABLE NODE_ADDON_API_MISSING)
if(NODE_ADDON_API_MISSING)
  message(FATAL_ERROR "node-addon-api was not found: run npm ci")
endif()

# What every source that speaks N-API needs.
add_library(rvos_node INTERFACE)
target_include_directories(rvos_node SYSTEM INTERFACE "${NODE_ADDON_API_DIR}" ${CMAKE_JS_INC})
target_compile_definitions(rvos_node INTERFACE
  NAPI_VERSION=9 NAPI_CPP_EXCEPTIONS NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS RVOS_VERSION="${RVOS_VERSION}")

if(MSVC AND CMAKE_JS_NODELIB_DEF AND CMAKE_JS_NODELIB_TARGET)
  execute_process(COMMAND ${CMAKE_AR} /def:${CMAKE_JS_NODELIB_DEF} /out:${CMAKE_JS_NODELIB_TARGET} ${CMAKE_STATIC_LINKER_FLAGS})
endif()

# rvos_add_node_addon(<target> <source>…): the addon `<target>.node`.
function(rvos_add_node_addon target)
  add_library(${target} SHARED ${ARGN} ${CMAKE_JS_SRC})
  set_target_properties(${target} PROPERTIES PREFIX "" SUFFIX ".node")
  target_link_libraries(${target} PRIVATE rvos_node rvos_options ${CMAKE_JS_LIB})
endfunction()
