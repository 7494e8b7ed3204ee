// A tensor in ordinary memory, as it goes in and out of single stages.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "stage.h"

namespace rvos::tensorrt {

struct HostTensor {
  StageType type = StageType::Float32;
  std::vector<int64_t> shape;
  std::vector<uint8_t> data;

  size_t elements() const {
    size_t product = 1;
    for (const int64_t extent : shape) product *= static_cast<size_t>(extent);
    return product;
  }
};

using HostTensors = std::map<std::string, HostTensor>;

}  // namespace rvos::tensorrt
