# The flavours of rvos_tensorrt.node. All are made of the same sources; they differ in headers and in what stands for
# the device:
#   tensorrt       TensorRT's headers, CUDA
#   tensorrt-rtx   TensorRT-RTX' headers, CUDA
#   simulated      tests only: native/simulated in place of CUDA and TensorRT
# No TensorRT library is linked: the addon opens the libraries when it is told to. The CUDA runtime is linked statically.
include(tensorrt_headers)
include(tensorrt_sources)
include(selftests)

set(RVOS_KNOWN_FLAVORS tensorrt tensorrt-rtx simulated)
if(RVOS_FLAVORS STREQUAL "auto")
  set(RVOS_WANTED tensorrt tensorrt-rtx)
else()
  set(RVOS_WANTED ${RVOS_FLAVORS})
endif()
foreach(flavor IN LISTS RVOS_WANTED)
  if(NOT flavor IN_LIST RVOS_KNOWN_FLAVORS)
    message(FATAL_ERROR "RVOS_FLAVORS: ${flavor} is none of ${RVOS_KNOWN_FLAVORS}")
  endif()
endforeach()

# The simulated device alone needs no CUDA compiler.
set(RVOS_CUDA "")
if(NOT RVOS_WANTED STREQUAL "simulated")
  include(cuda_compiler)
endif()

set(RVOS_NATIVE "${CMAKE_CURRENT_SOURCE_DIR}/native")
file(GLOB_RECURSE RVOS_SIMULATED_SOURCES CONFIGURE_DEPENDS native/simulated/*.cc)

# All that is configured here, and not the core.
add_custom_target(rvos_flavors)

# Of native/addon, what the addon for TensorRT shares with the core's; unused parts are not linked.
add_library(rvos_napi STATIC EXCLUDE_FROM_ALL native/addon/arguments.cc native/addon/promise_job.cc)
target_link_libraries(rvos_napi PRIVATE rvos_node rvos_options)

# The kernels know nothing of TensorRT: compiled once for both flavours. --fmad=false: results bit-equal to the CPU's.
if(RVOS_CUDA AND RVOS_CUDA_SOURCES)
  add_library(rvos_cuda_kernels STATIC EXCLUDE_FROM_ALL ${RVOS_CUDA_SOURCES})
  target_compile_options(rvos_cuda_kernels PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:--fmad=false -Xcompiler=-ffp-contract=off>)
  target_include_directories(rvos_cuda_kernels PRIVATE "${RVOS_NATIVE}" "${RVOS_NATIVE}/core" "${RVOS_NATIVE}/tensorrt")
endif()

# rvos_tensorrt_compile(<target> <folder of headers>): what compiling for CUDA takes.
function(rvos_tensorrt_compile target headers)
  target_include_directories(${target} PRIVATE
    "${RVOS_NATIVE}" "${RVOS_NATIVE}/core" "${RVOS_NATIVE}/tensorrt" "${RVOS_NATIVE}/addon/tensorrt" "${RVOS_NATIVE}/addon")
  target_include_directories(${target} SYSTEM PRIVATE ${headers} ${CUDAToolkit_INCLUDE_DIRS})
  target_link_libraries(${target} PRIVATE rvos_node rvos_options)
endfunction()

# What knows CUDA and not TensorRT: compiled once for both flavours.
if(RVOS_CUDA AND RVOS_COMMON_SOURCES)
  add_library(rvos_pipeline OBJECT EXCLUDE_FROM_ALL ${RVOS_COMMON_SOURCES})
  rvos_tensorrt_compile(rvos_pipeline "")
endif()

# The addon's file is the same for all flavours, its folder is not.
function(rvos_place_addon target flavor)
  set_target_properties(${target} PROPERTIES
    OUTPUT_NAME rvos_tensorrt
    LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/${flavor}"
    RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/${flavor}")
  if(UNIX AND NOT APPLE)
    # Symbols of the static CUDA runtime stay inside, whatever else the process has loaded.
    target_link_options(${target} PRIVATE -Wl,--exclude-libs,ALL)
  endif()
  add_dependencies(rvos_flavors ${target})
endfunction()

# rvos_tensorrt_flavor(<flavor> <name for people> <variable with the root> <rtx?>)
function(rvos_tensorrt_flavor flavor name root rtx)
  rvos_find_tensorrt_headers(${flavor})
  string(TOUPPER "RVOS_${flavor}" prefix)
  string(REPLACE "-" "_" prefix "${prefix}")
  string(REPLACE "-" "_" target "rvos_${flavor}")
  set(missing "")
  if(NOT ${prefix}_HEADERS)
    set(missing "no headers (NvInfer.h) found: name their folder with ${root}")
  elseif(NOT RVOS_CUDA)
    set(missing "headers ${${prefix}_HEADERS} in ${${prefix}_INCLUDE}, but no CUDA compiler found: name its folder with CUDA_HOME")
  elseif(NOT RVOS_TENSORRT_SOURCES)
    set(missing "native/tensorrt is absent")
  endif()
  if(missing)
    if(RVOS_FLAVORS STREQUAL "auto")
      message(STATUS "${name}: not built, ${missing}")
      return()
    endif()
    message(FATAL_ERROR "${name} cannot be built: ${missing}")
  endif()
  message(STATUS "${name}: headers ${${prefix}_HEADERS} in ${${prefix}_INCLUDE}: builds ${flavor}/rvos_tensorrt.node")
  rvos_add_node_addon(${target} ${RVOS_FLAVOR_SOURCES} $<TARGET_OBJECTS:rvos_pipeline>)
  rvos_tensorrt_compile(${target} "${${prefix}_INCLUDE}")
  rvos_place_addon(${target} ${flavor})
  target_compile_definitions(${target} PRIVATE $<$<BOOL:${rtx}>:RVOS_TENSORRT_RTX=1>)
  if(TARGET rvos_cuda_kernels)
    target_link_libraries(${target} PRIVATE rvos_cuda_kernels)
  endif()
  target_link_libraries(${target} PRIVATE rvos_kernels rvos_napi CUDA::cudart_static)
endfunction()

if(RVOS_WANTED STREQUAL "simulated")
  message(STATUS "CUDA: not needed")
elseif(RVOS_CUDA)
  message(STATUS "CUDA: ${RVOS_CUDA}, ${CMAKE_CUDA_COMPILER}; kernels for ${RVOS_ARCHITECTURES}")
else()
  message(STATUS "CUDA: no compiler (nvcc) found: neither TensorRT nor TensorRT-RTX can be built")
endif()
if("tensorrt" IN_LIST RVOS_WANTED)
  rvos_tensorrt_flavor(tensorrt TensorRT TENSORRT_ROOT FALSE)
endif()
if("tensorrt-rtx" IN_LIST RVOS_WANTED)
  rvos_tensorrt_flavor(tensorrt-rtx TensorRT-RTX TENSORRT_RTX_ROOT TRUE)
endif()
if("simulated" IN_LIST RVOS_WANTED)
  include(simulated)
elseif(TARGET rvos_cuda_kernels)
  find_package(Threads REQUIRED)
  rvos_selftests()
  foreach(target IN LISTS RVOS_SELFTESTS)
    target_include_directories(${target} SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS})
    target_link_libraries(${target} PRIVATE rvos_cuda_kernels rvos_kernels CUDA::cudart_static)
  endforeach()
  if(RVOS_SELFTESTS)
    target_sources(rvos_pipeline_selftest PRIVATE "${RVOS_NATIVE}/selftest/plain_stages.cu")
    target_compile_options(rvos_pipeline_selftest PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:--fmad=false -Xcompiler=-ffp-contract=off>)
  endif()
endif()

# Further headers: compiled, not linked.
foreach(headers IN LISTS RVOS_CHECK_HEADERS)
  rvos_tensorrt_header_version("${headers}" flavor version)
  if(NOT flavor OR NOT RVOS_CUDA OR NOT RVOS_TENSORRT_SOURCES)
    message(FATAL_ERROR "${headers}: cannot be compiled against; headers, CUDA compiler and native/tensorrt are needed")
  endif()
  string(MAKE_C_IDENTIFIER "rvos_check_${flavor}_${version}" target)
  message(STATUS "${flavor}: compiled against headers ${version} too, as a check")
  add_library(${target} OBJECT ${RVOS_FLAVOR_SOURCES})
  rvos_tensorrt_compile(${target} "${headers}")
  add_dependencies(rvos_flavors ${target})
  target_compile_definitions(${target} PRIVATE $<$<STREQUAL:${flavor},tensorrt-rtx>:RVOS_TENSORRT_RTX=1>)
endforeach()
