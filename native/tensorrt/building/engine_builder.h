// From an ONNX file to an engine file: strongly typed (the graph says what is computed in FP16), with the layers' names
// kept for the inspector and no host code inside.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "build_progress.h"
#include "engines/tensor_description.h"

namespace rvos::tensorrt {

/// `EngineBuild` of the contract.
struct EngineBuild {
  std::string graph;
  std::string output;
  std::vector<Profile> profiles;
  /// The GPU to build on and for, where no targets are named.
  int device = 0;
  /// Empty: the GPU that is present.
  std::vector<int> targets;
  /// Empty: none.
  std::string timingCache;
  /// File for all that TensorRT says. Empty: none.
  std::string log;
};

/// `EngineBuildReport` of the contract.
struct EngineBuildReport {
  double seconds = 0;
  std::int64_t engineBytes = 0;
  std::optional<std::int64_t> scratchBytes;
  std::int64_t peakHostBytes = 0;
  std::vector<TensorDescription> tensors;
  std::vector<std::string> warnings;
};

/// Takes from seconds to many minutes. `report` is called from TensorRT's threads, at most every 50 ms. Throws BAD_TARGET,
/// NO_DEVICE, DRIVER_TOO_OLD, NOT_WRITABLE, BAD_GRAPH, BAD_PROFILE, BUILD_FAILED, OUT_OF_MEMORY, DISK_FULL, CANCELLED
/// and what `Library` throws; the output does not exist then.
EngineBuildReport buildEngine(const EngineBuild& build, const std::function<void(const BuildProgress&)>& report,
                              const std::atomic<bool>& cancelled);

}  // namespace rvos::tensorrt
