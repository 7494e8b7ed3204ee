// Which object query of a window goes on with the masks of the window before: the rule of src/backends/object-query.ts,
// with masks that the device has made.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace rvos::tensorrt {

struct LinkCandidates {
  /// [N,T] bit-packed masks [featureHeight, featureWidth] of all object queries, `stride` bytes apart.
  const uint8_t* masks = nullptr;
  size_t stride = 0;
  int objectQueries = 0;
  /// T, of which the first ones are compared.
  int frames = 0;
  int featureHeight = 0;
  int featureWidth = 0;
};

/// `previous`: bit-packed masks [height, width] that the sentence got in the first frames. The object query whose masks
/// overlap them most, all these frames counted together; none if none exceeds an IoU of 0.5.
std::optional<int> linkedObjectQuery(const LinkCandidates& candidates, const std::vector<const uint8_t*>& previous,
                                     int height, int width);

}  // namespace rvos::tensorrt
