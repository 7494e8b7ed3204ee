// See build_profiles.h.
#include "build_profiles.h"

#include <algorithm>
#include <limits>

#include "failure.h"

namespace rvos::tensorrt {

namespace {

[[noreturn]] void refuse(std::size_t profile, const std::string& input, const std::string& problem) {
  throw Failure(code::kBadProfile, "profile " + std::to_string(profile) + ", input " + input + ": " + problem);
}

bool isVariable(const std::vector<std::int64_t>& shape) {
  return std::any_of(shape.begin(), shape.end(), [](std::int64_t extent) { return extent < 0; });
}

void checkRange(std::size_t profile, const std::string& input, const std::vector<std::int64_t>& shape,
                const ShapeRange& range) {
  for (const auto* bound : {&range.min, &range.opt, &range.max}) {
    if (bound->size() != shape.size()) {
      refuse(profile, input, "shape " + shapeText(*bound) + " has another rank than the graph's " + shapeText(shape));
    }
  }
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    const std::int64_t min = range.min[axis];
    const std::int64_t opt = range.opt[axis];
    const std::int64_t max = range.max[axis];
    const std::string where = "axis " + std::to_string(axis) + " ";
    if (min < 1 || max > std::numeric_limits<std::int32_t>::max() || min > opt || opt > max) {
      refuse(profile, input,
             where + "needs 1 ≤ min ≤ opt ≤ max, has " + std::to_string(min) + ", " + std::to_string(opt) + ", " +
                 std::to_string(max));
    }
    if (shape[axis] >= 0 && (min != shape[axis] || max != shape[axis])) {
      refuse(profile, input,
             where + "is " + std::to_string(shape[axis]) + " in the graph, the profile asks for " +
                 std::to_string(min) + " to " + std::to_string(max));
    }
  }
}

nvinfer1::Dims toDims(std::size_t profile, const std::string& input, const std::vector<std::int64_t>& shape) {
  nvinfer1::Dims dims{};
  if (shape.size() > static_cast<std::size_t>(nvinfer1::Dims::MAX_DIMS)) refuse(profile, input, "too many axes");
  dims.nbDims = static_cast<std::int32_t>(shape.size());
  std::copy(shape.begin(), shape.end(), dims.d);
  return dims;
}

void checkNames(std::size_t number, const Profile& profile, const nvinfer1::INetworkDefinition& network) {
  for (const auto& [name, range] : profile) {
    bool known = false;
    for (std::int32_t i = 0; i < network.getNbInputs(); ++i) known = known || network.getInput(i)->getName() == name;
    if (!known) refuse(number, name, "the graph has no such input");
  }
}

}  // namespace

void addProfiles(nvinfer1::IBuilder& builder, const nvinfer1::INetworkDefinition& network,
                 nvinfer1::IBuilderConfig& config, const std::vector<Profile>& profiles) {
  for (std::size_t number = 0; number < std::max<std::size_t>(profiles.size(), 1); ++number) {
    const Profile profile = number < profiles.size() ? profiles[number] : Profile{};
    checkNames(number, profile, network);
    nvinfer1::IOptimizationProfile* target = builder.createOptimizationProfile();
    if (target == nullptr) throw Failure(code::kBuildFailed, "the builder gives no optimisation profile");
    for (std::int32_t i = 0; i < network.getNbInputs(); ++i) {
      const nvinfer1::ITensor& input = *network.getInput(i);
      const std::string name = input.getName();
      const std::vector<std::int64_t> shape = extents(input.getDimensions());
      const auto range = profile.find(name);
      if (range == profile.end()) {
        if (isVariable(shape)) refuse(number, name, "its shape " + shapeText(shape) + " varies and needs a range");
        continue;
      }
      checkRange(number, name, shape, range->second);
      using Select = nvinfer1::OptProfileSelector;
      const bool taken = target->setDimensions(name.c_str(), Select::kMIN, toDims(number, name, range->second.min)) &&
                         target->setDimensions(name.c_str(), Select::kOPT, toDims(number, name, range->second.opt)) &&
                         target->setDimensions(name.c_str(), Select::kMAX, toDims(number, name, range->second.max));
      if (!taken) refuse(number, name, "TensorRT refuses its range");
    }
    if (config.addOptimizationProfile(target) < 0) {
      throw Failure(code::kBadProfile, "profile " + std::to_string(number) + ": TensorRT refuses it");
    }
  }
}

}  // namespace rvos::tensorrt
