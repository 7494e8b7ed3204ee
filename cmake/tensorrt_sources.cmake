# The sources of the addon for TensorRT, sorted by what they need:
#   RVOS_CUDA_SOURCES     kernels
#   RVOS_FLAVOR_SOURCES   include compat.h, directly or by other headers: TensorRT's headers, so once for each flavour
#   RVOS_COMMON_SOURCES   the rest: CUDA's runtime at most
file(GLOB_RECURSE RVOS_TENSORRT_SOURCES CONFIGURE_DEPENDS native/tensorrt/*.cc native/addon/tensorrt/*.cc)
file(GLOB_RECURSE RVOS_TENSORRT_HEADERS CONFIGURE_DEPENDS native/tensorrt/*.h native/addon/tensorrt/*.h)
file(GLOB_RECURSE RVOS_CUDA_SOURCES CONFIGURE_DEPENDS native/tensorrt/*.cu)

# Whether a file includes one of the headers, by file name.
function(rvos_includes_one_of file names variable)
  file(STRINGS "${file}" lines REGEX "^#include \"")
  foreach(line IN LISTS lines)
    string(REGEX REPLACE "^#include \"([^\"]*/)?([^/\"]+)\".*" "\\2" included "${line}")
    if(included IN_LIST names)
      set(${variable} TRUE PARENT_SCOPE)
      return()
    endif()
  endforeach()
  set(${variable} FALSE PARENT_SCOPE)
endfunction()

# Headers that lead to compat.h, found step by step from there.
set(leading compat.h)
set(remaining ${RVOS_TENSORRT_HEADERS})
set(found TRUE)
while(found)
  set(found FALSE)
  foreach(header IN LISTS remaining)
    rvos_includes_one_of("${header}" "${leading}" leads)
    if(leads)
      get_filename_component(name "${header}" NAME)
      list(APPEND leading "${name}")
      list(REMOVE_ITEM remaining "${header}")
      set(found TRUE)
    endif()
  endforeach()
endwhile()

set(RVOS_FLAVOR_SOURCES "")
set(RVOS_COMMON_SOURCES "")
foreach(source IN LISTS RVOS_TENSORRT_SOURCES)
  rvos_includes_one_of("${source}" "${leading}" leads)
  if(leads)
    list(APPEND RVOS_FLAVOR_SOURCES "${source}")
  else()
    list(APPEND RVOS_COMMON_SOURCES "${source}")
  endif()
endforeach()
