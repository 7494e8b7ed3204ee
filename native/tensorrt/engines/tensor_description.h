// Names, types and shapes of an engine's inputs and outputs, and the ranges of shapes a profile allows.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "libraries/compat.h"

namespace rvos::tensorrt {

struct TensorDescription {
  std::string name;
  bool input = false;
  /// `NativeDtype` of the contract.
  std::string dtype;
  /// −1: depends on the profile.
  std::vector<std::int64_t> shape;
};

struct ShapeRange {
  std::vector<std::int64_t> min;
  std::vector<std::int64_t> opt;
  std::vector<std::int64_t> max;
};

/// By input name.
using Profile = std::map<std::string, ShapeRange>;

/// `float32`, `float16`, `int32`, `int64`, `bool`; `other` for what rvos' graphs never have.
inline std::string dtypeName(nvinfer1::DataType type) {
  switch (type) {
    case nvinfer1::DataType::kFLOAT: return "float32";
    case nvinfer1::DataType::kHALF: return "float16";
    case nvinfer1::DataType::kINT32: return "int32";
    case nvinfer1::DataType::kINT64: return "int64";
    case nvinfer1::DataType::kBOOL: return "bool";
    default: return "other";
  }
}

inline std::vector<std::int64_t> extents(const nvinfer1::Dims& dims) {
  return std::vector<std::int64_t>(dims.d, dims.d + (dims.nbDims > 0 ? dims.nbDims : 0));
}

/// `[2, 8, 3]`
inline std::string shapeText(const std::vector<std::int64_t>& shape) {
  std::string text;
  for (const std::int64_t extent : shape) text += (text.empty() ? "" : ", ") + std::to_string(extent);
  return "[" + text + "]";
}

}  // namespace rvos::tensorrt
