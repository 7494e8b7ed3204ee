// See link_choice.h.
#include "link_choice.h"

#include <algorithm>

#include "../../core/mask_statistics.h"

namespace rvos::tensorrt {

namespace {

/// IoU over the shared frames from which on two masks are taken for the same object.
constexpr double kSameObject = 0.5;

/// The mask at the centres of the features' cells.
std::vector<uint8_t> sampleAtCells(const uint8_t* mask, int height, int width, int featureHeight, int featureWidth) {
  std::vector<uint8_t> cells((static_cast<size_t>(featureHeight) * featureWidth + 7) / 8, 0);
  const auto centre = [](int cell, int cells, int pixels) {
    return std::min(pixels - 1, static_cast<int>((cell + 0.5) * pixels / cells));
  };
  size_t cell = 0;
  for (int y = 0; y < featureHeight; ++y) {
    const size_t row = static_cast<size_t>(centre(y, featureHeight, height)) * width;
    for (int x = 0; x < featureWidth; ++x, ++cell) {
      const size_t pixel = row + centre(x, featureWidth, width);
      if (((mask[pixel >> 3] >> (7 - (pixel & 7))) & 1) != 0) cells[cell >> 3] |= 0x80 >> (cell & 7);
    }
  }
  return cells;
}

}  // namespace

std::optional<int> linkedObjectQuery(const LinkCandidates& candidates, const std::vector<const uint8_t*>& previous,
                                     int height, int width) {
  std::vector<std::vector<uint8_t>> earlier;
  for (const uint8_t* mask : previous) {
    earlier.push_back(sampleAtCells(mask, height, width, candidates.featureHeight, candidates.featureWidth));
  }
  std::optional<int> best;
  double bestOverlap = kSameObject;
  for (int query = 0; query < candidates.objectQueries; ++query) {
    int64_t intersection = 0;
    int64_t unionArea = 0;
    for (size_t t = 0; t < earlier.size(); ++t) {
      const size_t at = static_cast<size_t>(query) * candidates.frames + t;
      const MaskOverlap overlap =
          maskOverlap(earlier[t].data(), candidates.masks + at * candidates.stride, earlier[t].size());
      intersection += static_cast<int64_t>(overlap.intersection);
      unionArea += static_cast<int64_t>(overlap.unionArea);
    }
    const double overlap = unionArea > 0 ? static_cast<double>(intersection) / static_cast<double>(unionArea) : 0.0;
    if (overlap > bestOverlap) {
      best = query;
      bestOverlap = overlap;
    }
  }
  return best;
}

}  // namespace rvos::tensorrt
