// What is inside an engine file, as TensorRT tells once it has opened it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "layer_description.h"
#include "tensor_description.h"

namespace rvos::tensorrt {

/// `NativeEngineInspection` of the contract.
struct EngineInspection {
  std::vector<TensorDescription> tensors;
  std::vector<Profile> profiles;
  /// Activation memory of the largest profile.
  std::int64_t scratchBytes = 0;
  std::vector<LayerDescription> layers;
};

/// The file must be one the caller has reason to trust (its hash was checked): opening an engine runs code that its bytes
/// steer. `device` is a GPU that the engine fits; an engine that no GPU could open is told
/// so without one. Throws BAD_ENGINE, NO_DEVICE, DRIVER_TOO_OLD, OUT_OF_MEMORY and what
/// `Library` throws.
EngineInspection inspectEngine(const std::string& path, int device);

}  // namespace rvos::tensorrt
