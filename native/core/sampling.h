// Where a target pixel looks in the source: the coordinate rules of PyTorch's `interpolate`, as per-pixel functors for
// host and device. All sizes are in pixels along one axis; all arithmetic is float32 in the reference's order, because
// a last-bit difference in a coordinate moves a whole pixel of a nearest-neighbour mask.
#pragma once

#include <cstdint>

#include "portable.h"

namespace rvos {

/// Ratio source/target as the reference computes it: one float32 division.
RVOS_HOST_DEVICE float axisScale(int source, int target) {
  return static_cast<float>(source) / static_cast<float>(target);
}

/// Two neighbours and their weights; `upper` equals `lower` at the far edge.
struct BilinearTap {
  int lower;
  int upper;
  float lowerWeight;
  float upperWeight;
};

/// Bilinear without corner alignment and without antialias: source = scale·(target + ½) − ½, not below 0.
struct BilinearSource {
  float scale;
  int size;

  RVOS_HOST_DEVICE BilinearTap operator()(int target) const {
    float position = scale * (static_cast<float>(target) + 0.5f) - 0.5f;
    if (position < 0.0f) position = 0.0f;
    int lower = static_cast<int>(position);
    if (lower > size - 1) lower = size - 1;
    const int upper = lower < size - 1 ? lower + 1 : lower;
    float upperWeight = position - static_cast<float>(lower);
    if (upperWeight > 1.0f) upperWeight = 1.0f;
    return {lower, upper, 1.0f - upperWeight, upperWeight};
  }
};

/// The legacy nearest rule: floor(float(target)·scale), clamped.
struct NearestSource {
  float scale;
  int size;

  RVOS_HOST_DEVICE int operator()(int target) const {
    const int source = static_cast<int>(static_cast<float>(target) * scale);
    return source < size - 1 ? source : size - 1;
  }
};

/// The antialias filter: a triangle of half-width 1, stretched by the scale when shrinking.
RVOS_HOST_DEVICE float triangle(float distance) {
  const float magnitude = distance < 0.0f ? -distance : distance;
  return magnitude < 1.0f ? 1.0f - magnitude : 0.0f;
}

/// Rounds half to even. `value` is a weighted mean of levels: no further outside 0…255 than float errors reach, so that
/// it needs no bounds. Adding 2^23 leaves no fraction bits, so the addition itself rounds, and the sum's last byte is
/// the level.
RVOS_HOST_DEVICE uint8_t roundToLevel(float value) {
  const float magic = 8388608.0f;
#if defined(__CUDA_ARCH__)
  return static_cast<uint8_t>(__float_as_uint(value + magic));
#else
  return static_cast<uint8_t>(static_cast<int>((value + magic) - magic));
#endif
}

}  // namespace rvos
