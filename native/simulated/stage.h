// Stages of the simulated device. What computes is JavaScript (ONNX Runtime in tests); here inputs are taken from device
// memory when the stream comes to them, and outputs put back. Mistakes that TensorRT would answer with wrong results
// make the device fail: a context that was changed or destroyed after it was captured or queued, activations that two
// stages use at the same time, outputs larger than what they are bound to.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "../tensorrt/engines/host_tensor.h"
#include "../tensorrt/engines/stage.h"

namespace rvos::simulated {

struct StageCall {
  std::string engine;
  int profile = 0;
  tensorrt::HostTensors inputs;
};

class StageRunner {
 public:
  virtual ~StageRunner() = default;
  /// Called on streams' threads, waits for the result. Throws when the stage fails; empty when nobody is there any more to
  /// run it.
  virtual tensorrt::HostTensors run(const StageCall& call) = 0;
};

/// Throws Failure BAD_ENGINE.
std::shared_ptr<tensorrt::StageEngine> openStage(const std::string& path, std::shared_ptr<StageRunner> runner);

}  // namespace rvos::simulated
