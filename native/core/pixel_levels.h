// Levels of pixels as the resize reads them: bytes of a packed word weighted as floats, and Y′CbCr turned into RGB.
#pragma once

#include <cmath>
#include <cstdint>

#include "half.h"
#include "portable.h"

namespace rvos {

/// level · weight in float32 for the level in one byte of a word. The byte becomes the last bits of 2^23 + level, and one
/// fused multiply-add takes 2^23·weight away again: 2^23·weight is exact, so that the one rounding is the product's.
struct WeightedLevel {
  float weight;
  float offset;

  RVOS_HOST_DEVICE static WeightedLevel of(float weight) { return {weight, -8388608.0f * weight}; }

  RVOS_HOST_DEVICE float operator()(uint32_t word, int byte) const {
#if defined(__CUDA_ARCH__)
    return __fmaf_rn(__uint_as_float(__byte_perm(word, 0x4b000000u, 0x7440u + byte)), weight, offset);
#else
    return std::fma(floatOfBits(0x4b000000u | ((word >> (8 * byte)) & 0xffu)), weight, offset);
#endif
  }
};

/// Limited-range Y′CbCr to full-range RGB with 16 fraction bits, rounded to whole levels, half up.
struct YuvToRgb {
  int32_t redFromV;
  int32_t greenFromU;
  int32_t greenFromV;
  int32_t blueFromU;

  RVOS_HOST_DEVICE static YuvToRgb bt601() { return {104597, -25675, -53279, 132201}; }
  RVOS_HOST_DEVICE static YuvToRgb bt709() { return {117489, -13975, -34925, 138438}; }

  RVOS_HOST_DEVICE static uint32_t level(int32_t sum) {
    const int32_t rounded = (sum + 32768) >> 16;
    return static_cast<uint32_t>(rounded < 0 ? 0 : rounded > 255 ? 255 : rounded);
  }

  /// Red in the lowest byte, then green, then blue.
  RVOS_HOST_DEVICE uint32_t operator()(int32_t y, int32_t u, int32_t v) const {
    const int32_t luma = 76309 * (y - 16);
    u -= 128;
    v -= 128;
    return level(luma + redFromV * v) | (level(luma + greenFromU * u + greenFromV * v) << 8) |
           (level(luma + blueFromU * u) << 16);
  }
};

}  // namespace rvos
