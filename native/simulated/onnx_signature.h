// Names, types and shapes of an ONNX graph's inputs and outputs, read from the file's bytes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace rvos::simulated {

struct GraphTensor {
  std::string name;
  bool input = false;
  /// As in the contract: float32, float16, int32, int64, bool, other.
  std::string dtype;
  /// −1: an extent with a name.
  std::vector<int64_t> shape;
};

/// Throws Failure BAD_GRAPH.
std::vector<GraphTensor> readSignature(const std::string& onnx);

}  // namespace rvos::simulated
