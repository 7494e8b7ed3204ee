# Finds the CUDA compiler and enables the language. Results:
#   RVOS_CUDA                the toolkit's version, or empty where there is none
#   RVOS_CUDA_ARCHITECTURES  what kernels are compiled for: of the wanted ones, those that the compiler knows
set(RVOS_WANTED_ARCHITECTURES 75 80 86 89 90 100 120)
set(RVOS_CUDA_ARCHITECTURES "" CACHE STRING "Compute capabilities to compile kernels for, as 86;90; empty: all known")
set(RVOS_CUDA "")

if(NOT CMAKE_CUDA_COMPILER)
  find_program(RVOS_NVCC nvcc
    HINTS "$ENV{CUDACXX}" ENV CUDA_HOME ENV CUDA_PATH /usr/local/cuda /opt/cuda
    PATH_SUFFIXES bin)
  if(RVOS_NVCC)
    set(CMAKE_CUDA_COMPILER "${RVOS_NVCC}")
  endif()
endif()
if(NOT CMAKE_CUDA_COMPILER)
  return()
endif()

execute_process(COMMAND "${CMAKE_CUDA_COMPILER}" --list-gpu-arch
                OUTPUT_VARIABLE RVOS_NVCC_ARCHITECTURES RESULT_VARIABLE RVOS_NVCC_FAILED ERROR_QUIET)
if(RVOS_NVCC_FAILED)
  message(STATUS "CUDA: ${CMAKE_CUDA_COMPILER} does not run")
  return()
endif()
if(RVOS_CUDA_ARCHITECTURES)
  set(RVOS_ARCHITECTURES ${RVOS_CUDA_ARCHITECTURES})
else()
  set(RVOS_ARCHITECTURES "")
  foreach(architecture IN LISTS RVOS_WANTED_ARCHITECTURES)
    if(RVOS_NVCC_ARCHITECTURES MATCHES "compute_${architecture}(\n|$)")
      list(APPEND RVOS_ARCHITECTURES ${architecture})
    else()
      message(STATUS "CUDA: this compiler does not know sm_${architecture}; such GPUs need another CUDA version")
    endif()
  endforeach()
endif()

# Machine code for each, and for newer GPUs the intermediate form of the last one, which the driver compiles.
list(GET RVOS_ARCHITECTURES -1 RVOS_NEWEST_ARCHITECTURE)
list(TRANSFORM RVOS_ARCHITECTURES APPEND "-real" OUTPUT_VARIABLE CMAKE_CUDA_ARCHITECTURES)
list(APPEND CMAKE_CUDA_ARCHITECTURES "${RVOS_NEWEST_ARCHITECTURE}-virtual")

set(CMAKE_CUDA_STANDARD 17)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
set(CMAKE_CUDA_EXTENSIONS OFF)
set(CMAKE_CUDA_VISIBILITY_PRESET hidden)
set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
enable_language(CUDA)
find_package(CUDAToolkit REQUIRED)
set(RVOS_CUDA "${CUDAToolkit_VERSION}")
