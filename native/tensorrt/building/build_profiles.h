// Optimisation profiles of a build: checked against the network's inputs, then given to the builder.
#pragma once

#include <vector>

#include "engines/tensor_description.h"

namespace rvos::tensorrt {

/// Throws BAD_PROFILE with the profile's number, the input and what is wrong: an input the graph does not have, an input
/// of variable shape that no range is given for, a range that the graph's fixed extents, the rank or min ≤ opt ≤ max
/// rule out, or no profile at all where one is needed.
void addProfiles(nvinfer1::IBuilder& builder, const nvinfer1::INetworkDefinition& network,
                 nvinfer1::IBuilderConfig& config, const std::vector<Profile>& profiles);

}  // namespace rvos::tensorrt
