# The flavour for tests: native/simulated has the part of the CUDA runtime that the pipeline uses, over host memory, and
# takes the place of TensorRT and of the kernels. Never packed.
if(NOT RVOS_SIMULATED_SOURCES OR NOT RVOS_TENSORRT_SOURCES)
  message(FATAL_ERROR "simulated cannot be built: native/simulated or native/tensorrt is absent")
endif()
message(STATUS "simulated: builds simulated/rvos_tensorrt.node, for tests")

find_package(Threads REQUIRED)
# addon.cc leaves TensorRT's headers out by itself.
list(APPEND RVOS_SIMULATED_SOURCES ${RVOS_COMMON_SOURCES} native/addon/tensorrt/addon.cc)
list(REMOVE_DUPLICATES RVOS_SIMULATED_SOURCES)
rvos_add_node_addon(rvos_simulated ${RVOS_SIMULATED_SOURCES})
# Its headers come first: they have the names of CUDA's.
target_include_directories(rvos_simulated PRIVATE
  "${RVOS_NATIVE}/simulated" "${RVOS_NATIVE}/simulated/include" "${RVOS_NATIVE}" "${RVOS_NATIVE}/core"
  "${RVOS_NATIVE}/tensorrt" "${RVOS_NATIVE}/addon/tensorrt" "${RVOS_NATIVE}/addon")
target_compile_definitions(rvos_simulated PRIVATE RVOS_SIMULATED=1)
target_link_libraries(rvos_simulated PRIVATE rvos_kernels rvos_napi Threads::Threads)
rvos_place_addon(rvos_simulated simulated)

rvos_selftests(
  "${RVOS_NATIVE}/simulated/device_memory.cc" "${RVOS_NATIVE}/simulated/kernels.cc"
  "${RVOS_NATIVE}/simulated/runtime_memory.cc" "${RVOS_NATIVE}/simulated/runtime_streams.cc"
  "${RVOS_NATIVE}/simulated/streams.cc")
foreach(target IN LISTS RVOS_SELFTESTS)
  target_include_directories(${target} BEFORE PRIVATE "${RVOS_NATIVE}/simulated" "${RVOS_NATIVE}/simulated/include")
  target_compile_definitions(${target} PRIVATE RVOS_SIMULATED=1)
endforeach()
