// Resize of one RGB frame, equal to torchvision's `resize` of a uint8 tensor: cast to float32, interpolate, round half to
// even, cast back.
//
// Layout: uint8 [H,W,3] in, uint8 [h,w,3] out, rows not padded. The filter is separable and both axes are described
// by taps computed once. Source rows are filtered horizontally when a target row first needs them and kept as float
// in a ring just as deep as the vertical filter, so that no float image ever exists: memory is
// (vertical taps)·w·12 bytes.
#pragma once

#include <cstdint>
#include <vector>

namespace rvos {

/// For each target position of one axis: the first source position and its weights, `stride` of them (zero-padded).
struct Taps {
  std::vector<int> first;
  std::vector<int> count;
  std::vector<float> weights;
  int stride = 0;
};

/// Taps from `source` to `target` pixels. Antialiased: triangle stretched when shrinking, normalised to sum 1.
Taps makeTaps(int source, int target, bool antialias);

/// Sizes are at least 1; the buffers hold height·width·3 bytes each and do not overlap. Throws std::bad_alloc.
void resizeFrame(const uint8_t* source, int height, int width, uint8_t* target, int targetHeight, int targetWidth,
                 bool antialias);

}  // namespace rvos
