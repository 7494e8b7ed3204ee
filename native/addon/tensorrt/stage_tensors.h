// Tensors of single stages between JavaScript and C++: `StageTensor` of the contract. Data is copied.
#pragma once

#include <napi.h>

#include "../../tensorrt/engines/host_tensor.h"

namespace rvos::tensorrt {

/// Throws BAD_ARGUMENT.
HostTensors readTensors(const Napi::Value& value, const std::string& what);
Napi::Object tensorsToJs(Napi::Env env, const HostTensors& tensors);

}  // namespace rvos::tensorrt
