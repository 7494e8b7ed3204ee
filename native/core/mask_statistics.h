// Counts over bit-packed masks: area and bounding box of one, intersection and union of two. 64 pixels a step;
// memory is one row of bits.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rvos {

struct MaskStatistics {
  int64_t area = 0;
  /// Bounding box in pixels; all 0 when the mask is empty.
  int x = 0;
  int y = 0;
  int width = 0;
  int height = 0;
};

MaskStatistics maskStatistics(const uint8_t* bits, int height, int width);

struct MaskOverlap {
  int64_t intersection = 0;
  int64_t unionArea = 0;
};

/// Both masks have `byteLength` bytes.
MaskOverlap maskOverlap(const uint8_t* a, const uint8_t* b, size_t byteLength);

}  // namespace rvos
