// One layer of an engine, out of the JSON that TensorRT's engine inspector writes for it. Nothing here needs TensorRT.
#pragma once

#include <string>
#include <string_view>

namespace rvos::tensorrt {

struct LayerDescription {
  std::string name;
  /// As TensorRT names it: `kgen`, `gemm`, `MultiHeadAttention`, …
  std::string type;
  /// Whether queries, keys and values go in and no score matrix comes out: one kernel does the whole attention.
  bool fusedAttention = false;
};

/// `json`: one layer, as detailed profiling verbosity gives it; with less verbosity it is the layer's name alone.
LayerDescription describeLayer(std::string_view json);

}  // namespace rvos::tensorrt
