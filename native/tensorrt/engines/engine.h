// Stages as TensorRT runs them.
#pragma once

#include <memory>

#include "stage.h"

namespace rvos::tensorrt {

/// Loads engines with the libraries that `Library::open` opened. Engines are deserialised without host code.
std::shared_ptr<StageLoader> createEngineLoader();

}  // namespace rvos::tensorrt
