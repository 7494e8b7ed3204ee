# rvos_kernel_selftest(<library with the launchers> <source>…): native/selftest as a program that needs nothing of the machine
# but a driver: selftest/kernel-selftest. Never packed, so that it is absent where rvos was installed.
function(rvos_kernel_selftest)
  if(NOT EXISTS "${RVOS_NATIVE}/selftest/kernel_selftest.cc" OR NOT CMAKE_SYSTEM_NAME STREQUAL "Linux")
    return()
  endif()
  add_executable(rvos_kernel_selftest
    "${RVOS_NATIVE}/selftest/kernel_selftest.cc" "${RVOS_NATIVE}/tensorrt/device/check.cc" ${ARGN})
  target_include_directories(rvos_kernel_selftest PRIVATE "${RVOS_NATIVE}" "${RVOS_NATIVE}/core" "${RVOS_NATIVE}/tensorrt")
  set_target_properties(rvos_kernel_selftest PROPERTIES
    OUTPUT_NAME kernel-selftest
    RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/selftest"
    RUNTIME_OUTPUT_DIRECTORY_RELEASE "${CMAKE_BINARY_DIR}/selftest")
  target_link_options(rvos_kernel_selftest PRIVATE -static-libgcc -static-libstdc++)
  target_link_libraries(rvos_kernel_selftest PRIVATE rvos_kernels rvos_options Threads::Threads)
  add_dependencies(rvos_flavors rvos_kernel_selftest)
endfunction()
