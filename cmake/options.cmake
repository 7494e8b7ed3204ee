# How all C++ is compiled: the interface library `rvos_options`.
add_library(rvos_options INTERFACE)
if(MSVC)
  target_compile_options(rvos_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:/W4 /EHsc /fp:precise>)
else()
  # Contraction off: a fused multiply-add would make results depend on the machine.
  set(RVOS_CXX_OPTIONS -Wall -Wextra -ffp-contract=off -fno-math-errno -fno-trapping-math $<$<CONFIG:Release>:-O3>)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|amd64|AMD64)$")
    include(CheckCXXCompilerFlag)
    check_cxx_compiler_flag(-march=x86-64-v2 RVOS_HAS_X86_64_V2)
    if(RVOS_HAS_X86_64_V2)
      list(APPEND RVOS_CXX_OPTIONS -march=x86-64-v2)
    endif()
  endif()
  target_compile_options(rvos_options INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:${RVOS_CXX_OPTIONS}>")
endif()

option(RVOS_SANITIZE "Build with AddressSanitizer and UndefinedBehaviorSanitizer" OFF)
if(RVOS_SANITIZE)
  target_compile_options(rvos_options INTERFACE
                         $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=address,undefined -fno-omit-frame-pointer -g>)
  target_link_options(rvos_options INTERFACE -fsanitize=address,undefined)
endif()
