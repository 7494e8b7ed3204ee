// "Engines" of the simulated device, whole in themselves as real ones are: a few lines of text, then the ONNX graph and its weights:
//
//   rvos simulated engine 1
//   profiles <JSON of the profiles>
//   range <profile> <input> <least extents> <largest extents>
//   tensor <input or output> <type> <name> <extents, −1 for those of the profile>
//   weights <bytes>
//   graph <bytes>
#pragma once

#include <string>
#include <vector>

#include "onnx_signature.h"

namespace rvos::simulated {

/// What every stage takes for activations.
inline constexpr size_t kScratchBytes = 1 << 16;

/// Shapes of one input that a profile allows.
struct InputRange {
  int profile = 0;
  std::string input;
  std::vector<int64_t> least;
  std::vector<int64_t> most;
};

struct EngineFile {
  std::string profiles;
  std::vector<InputRange> ranges;
  std::vector<GraphTensor> tensors;
  std::string graph;
  /// What `weights.bin` beside the graph held; empty if the graph has its weights in itself.
  std::string weights;
};

std::string writeEngine(const EngineFile& engine);
/// Throws Failure BAD_ENGINE.
EngineFile readEngine(const std::string& path);

/// Throws a Failure of this code.
std::string readWholeFile(const std::string& path, const char* code);

}  // namespace rvos::simulated
