// IEEE-754 binary16 as bits, and conversion to and from float32, rounding to nearest even: the same bits from the
// portable lines and from the device's instructions, NaN (one canonical pattern) included.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "portable.h"

#if defined(__CUDACC__)
#include <cuda_fp16.h>
#endif

namespace rvos {

/// Elements of the tensors that kernels write and read beside the network.
enum class ElementType : int32_t { kFloat16, kFloat32 };

RVOS_HOST_DEVICE size_t elementBytes(ElementType type) { return type == ElementType::kFloat16 ? 2 : 4; }

/// A half as it lies in memory; a type of its own, so that no arithmetic happens on the bits.
struct Half {
  uint16_t bits;
};

RVOS_HOST_DEVICE uint32_t bitsOfFloat(float value) {
#if defined(__CUDA_ARCH__)
  return __float_as_uint(value);
#else
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
#endif
}

RVOS_HOST_DEVICE float floatOfBits(uint32_t bits) {
#if defined(__CUDA_ARCH__)
  return __uint_as_float(bits);
#else
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
#endif
}

RVOS_HOST_DEVICE Half halfOf(float value) {
#if defined(__CUDA_ARCH__)
  return {__half_as_ushort(__float2half_rn(value))};
#else
  const uint32_t bits = bitsOfFloat(value);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return {0x7fff};
  // From 65520 on, halfway between the largest half and the next power of two, everything rounds to infinity.
  if (magnitude >= 0x477ff000u) return {static_cast<uint16_t>(sign | 0x7c00u)};
  if (magnitude < 0x38800000u) {
    // Below 2^-14 the spacing is 2^-24: adding ½, whose own spacing that is, rounds as the half does.
    const uint32_t rounded = bitsOfFloat(floatOfBits(magnitude) + 0.5f) - 0x3f000000u;
    return {static_cast<uint16_t>(sign | rounded)};
  }
  // Drops 13 bits, to nearest even: a carry moves into the exponent as it should. 112 is the difference of the biases.
  const uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u) - (112u << 23);
  return {static_cast<uint16_t>(sign | (rounded >> 13))};
#endif
}

RVOS_HOST_DEVICE float floatOf(Half half) {
#if defined(__CUDA_ARCH__)
  return __half2float(__ushort_as_half(half.bits));
#else
  const uint32_t sign = (half.bits & 0x8000u) << 16;
  const uint32_t magnitude = half.bits & 0x7fffu;
  if (magnitude > 0x7c00u) return floatOfBits(0x7fffffffu);
  if (magnitude == 0x7c00u) return floatOfBits(sign | 0x7f800000u);
  if (magnitude < 0x400u) {
    const float value = static_cast<float>(magnitude) * 5.9604644775390625e-8f;
    return floatOfBits(sign | bitsOfFloat(value));
  }
  return floatOfBits(sign | ((magnitude << 13) + (112u << 23)));
#endif
}

RVOS_HOST_DEVICE float floatOf(float value) { return value; }

}  // namespace rvos
