// What of OpenVINO's C API (libopenvino_c) is used, declared here so that compiling takes no header of it: the library is
// opened while running. Names and values are those of openvino/c/*.h, 2026.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rvos {

struct ov_core_t;
struct ov_model_t;
struct ov_compiled_model_t;
struct ov_infer_request_t;
struct ov_tensor_t;
struct ov_output_const_port_t;

struct ov_version_t {
  const char* buildNumber;
  const char* description;
};

struct ov_shape_t {
  int64_t rank;
  int64_t* dims;
};

struct ov_dimension_t {
  int64_t min;
  int64_t max;
};

struct ov_partial_shape_t {
  ov_dimension_t rank;
  ov_dimension_t* dims;
};

using ov_status_e = int;
constexpr ov_status_e kOpenVinoOk = 0;
constexpr ov_status_e kOpenVinoCancelled = -13;

/// Of ov_element_type_e, those that graphs have at their inputs and outputs.
enum ov_element_type_e : uint32_t { kOpenVinoF32 = 4, kOpenVinoI32 = 9, kOpenVinoI64 = 10 };

/// Every function that is used: X(name without "ov_", result, parameters).
#define RVOS_OPENVINO_FUNCTIONS(X)                                                                                    \
  X(get_openvino_version, ov_status_e, (ov_version_t*))                                                               \
  X(version_free, void, (ov_version_t*))                                                                              \
  X(get_last_err_msg, const char*, ())                                                                                \
  X(free, void, (const char*))                                                                                        \
  X(core_create, ov_status_e, (ov_core_t**))                                                                          \
  X(core_free, void, (ov_core_t*))                                                                                    \
  X(core_set_property, ov_status_e, (const ov_core_t*, const char*, ...))                                             \
  X(core_get_property, ov_status_e, (const ov_core_t*, const char*, const char*, char**))                             \
  X(core_read_model, ov_status_e, (const ov_core_t*, const char*, const char*, ov_model_t**))                         \
  X(core_compile_model, ov_status_e,                                                                                  \
    (const ov_core_t*, const ov_model_t*, const char*, size_t, ov_compiled_model_t**, ...))                           \
  X(core_import_model, ov_status_e, (const ov_core_t*, const char*, size_t, const char*, ov_compiled_model_t**))      \
  X(model_free, void, (ov_model_t*))                                                                                  \
  X(model_reshape, ov_status_e, (const ov_model_t*, const char**, const ov_partial_shape_t*, size_t))                 \
  X(compiled_model_free, void, (ov_compiled_model_t*))                                                                \
  X(compiled_model_outputs_size, ov_status_e, (const ov_compiled_model_t*, size_t*))                                  \
  X(compiled_model_output_by_index, ov_status_e, (const ov_compiled_model_t*, size_t, ov_output_const_port_t**))      \
  X(compiled_model_create_infer_request, ov_status_e, (const ov_compiled_model_t*, ov_infer_request_t**))             \
  X(compiled_model_get_property, ov_status_e, (const ov_compiled_model_t*, const char*, char**))                      \
  X(compiled_model_export_model, ov_status_e, (const ov_compiled_model_t*, const char*))                              \
  X(port_get_any_name, ov_status_e, (const ov_output_const_port_t*, char**))                                          \
  X(port_get_partial_shape, ov_status_e, (const ov_output_const_port_t*, ov_partial_shape_t*))                        \
  X(port_get_element_type, ov_status_e, (const ov_output_const_port_t*, ov_element_type_e*))                          \
  X(output_const_port_free, void, (ov_output_const_port_t*))                                                          \
  X(partial_shape_free, void, (ov_partial_shape_t*))                                                                  \
  X(shape_free, ov_status_e, (ov_shape_t*))                                                                           \
  X(tensor_create_from_host_ptr, ov_status_e, (ov_element_type_e, ov_shape_t, void*, ov_tensor_t**))                  \
  X(tensor_get_shape, ov_status_e, (const ov_tensor_t*, ov_shape_t*))                                                 \
  X(tensor_get_element_type, ov_status_e, (const ov_tensor_t*, ov_element_type_e*))                                   \
  X(tensor_get_byte_size, ov_status_e, (const ov_tensor_t*, size_t*))                                                 \
  X(tensor_data, ov_status_e, (const ov_tensor_t*, void**))                                                           \
  X(tensor_free, void, (ov_tensor_t*))                                                                                \
  X(infer_request_set_tensor, ov_status_e, (ov_infer_request_t*, const char*, const ov_tensor_t*))                    \
  X(infer_request_get_tensor, ov_status_e, (const ov_infer_request_t*, const char*, ov_tensor_t**))                   \
  X(infer_request_start_async, ov_status_e, (ov_infer_request_t*))                                                    \
  X(infer_request_wait, ov_status_e, (ov_infer_request_t*))                                                           \
  X(infer_request_cancel, ov_status_e, (ov_infer_request_t*))                                                         \
  X(infer_request_free, void, (ov_infer_request_t*))

}  // namespace rvos
