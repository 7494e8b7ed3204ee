// What a GPU can do at most, for the benchmark: the speed of copies and of an engine of any graph. Knows nothing of the
// pipeline, so that a share of these rates means the same for every version of it.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "engines/stage.h"

namespace rvos::tensorrt {

/// Bytes a second, the median of the runs.
struct CopyRates {
  /// Bytes read and bytes written, both counted.
  double onDevice;
  double toDevice;
  double toHost;
};

/// Copies of `bytes` bytes; host memory is pinned. Throws OUT_OF_MEMORY, DEVICE_FAILED, NO_DEVICE.
CopyRates measureCopies(int device, size_t bytes, int runs);

struct MeasuredTensor {
  std::string name;
  StageShape shape;
  bool input;
};

/// Milliseconds of each run of an engine's first profile after two that do not count. Inputs are numbers between 0.5 and 1
/// of both signs: zeros would draw less power and run faster. Only float16 and float32 tensors. Throws BAD_ENGINE,
/// BAD_ARGUMENT, OUT_OF_MEMORY, DEVICE_FAILED, NO_DEVICE.
std::vector<double> measureEngine(int device, const std::string& engine, StageLoader& loader,
                                  const std::vector<MeasuredTensor>& tensors, int runs);

}  // namespace rvos::tensorrt
