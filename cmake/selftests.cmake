# rvos_selftests(<source>…): native/selftest as programs that need nothing of the machine but a driver, selftest/kernel-selftest and
# selftest/pipeline-selftest. Sources: what stands for the device. Never packed, so that they are absent where rvos was installed.
#   RVOS_SELFTESTS  their targets, empty where there are none
set(RVOS_SELFTESTS "")
function(rvos_selftests)
  if(NOT EXISTS "${RVOS_NATIVE}/selftest/kernel_selftest.cc" OR NOT CMAKE_SYSTEM_NAME STREQUAL "Linux")
    return()
  endif()
  # The pipeline without the addon around it.
  set(pipeline ${RVOS_COMMON_SOURCES})
  list(FILTER pipeline INCLUDE REGEX "/native/tensorrt/")
  set(selftest "${RVOS_NATIVE}/selftest")
  add_executable(rvos_kernel_selftest "${selftest}/kernel_selftest.cc" "${RVOS_NATIVE}/tensorrt/device/check.cc" ${ARGN})
  add_executable(rvos_pipeline_selftest "${selftest}/pipeline_selftest.cc" "${selftest}/plain_pipeline.cc"
    "${selftest}/plain_network.cc" "${selftest}/plain_stages.cc" ${pipeline} ${ARGN})
  set(targets rvos_kernel_selftest rvos_pipeline_selftest)
  foreach(target IN LISTS targets)
    string(REGEX REPLACE "^rvos_(.*)_selftest$" "\\1-selftest" name ${target})
    target_include_directories(${target} PRIVATE "${RVOS_NATIVE}" "${RVOS_NATIVE}/core" "${RVOS_NATIVE}/tensorrt")
    set_target_properties(${target} PROPERTIES
      OUTPUT_NAME ${name}
      RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/selftest"
      RUNTIME_OUTPUT_DIRECTORY_RELEASE "${CMAKE_BINARY_DIR}/selftest")
    target_link_options(${target} PRIVATE -static-libgcc -static-libstdc++)
    target_link_libraries(${target} PRIVATE rvos_kernels rvos_options Threads::Threads)
    add_dependencies(rvos_flavors ${target})
  endforeach()
  set(RVOS_SELFTESTS ${targets} PARENT_SCOPE)
endfunction()
