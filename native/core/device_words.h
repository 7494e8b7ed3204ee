// Words and vectors of memory as kernels move them: on the device one instruction each, on the host the same bytes.
// Little-endian.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "portable.h"

#if defined(__CUDA_ARCH__)
#define RVOS_UNROLL _Pragma("unroll")
#define RVOS_KEEP_ROLLED _Pragma("unroll 1")
#else
#define RVOS_UNROLL
#define RVOS_KEEP_ROLLED
#endif

namespace rvos {

/// 16 bytes of read-only memory to shared memory; both addresses are multiples of 16. They need not have arrived before the
/// group that `closeCopies` makes of them has been waited for.
RVOS_HOST_DEVICE void copy16(const uint8_t* from, uint8_t* to) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  const uint32_t shared = static_cast<uint32_t>(__cvta_generic_to_shared(to));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared), "l"(from) : "memory");
#elif defined(__CUDA_ARCH__)
  *reinterpret_cast<uint4*>(to) = __ldg(reinterpret_cast<const uint4*>(from));
#else
  std::memcpy(to, from, 16);
#endif
}

/// Makes a group of the thread's copies since the last one.
RVOS_HOST_DEVICE void closeCopies() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

/// Waits for all groups of the thread but the last one.
RVOS_HOST_DEVICE void awaitCopiesButLast() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group 1;" ::: "memory");
#endif
}

/// The address is a multiple of 4.
RVOS_HOST_DEVICE uint32_t loadWord(const uint8_t* from) {
#if defined(__CUDA_ARCH__)
  return *reinterpret_cast<const uint32_t*>(from);
#else
  uint32_t word;
  std::memcpy(&word, from, 4);
  return word;
#endif
}

/// The address is a multiple of 4.
RVOS_HOST_DEVICE void storeWord(uint8_t* to, uint32_t word) {
#if defined(__CUDA_ARCH__)
  *reinterpret_cast<uint32_t*>(to) = word;
#else
  std::memcpy(to, &word, 4);
#endif
}

/// The address is a multiple of 8.
RVOS_HOST_DEVICE void storePair(uint8_t* to, uint32_t first, uint32_t second) {
#if defined(__CUDA_ARCH__)
  *reinterpret_cast<uint2*>(to) = make_uint2(first, second);
#else
  std::memcpy(to, &first, 4);
  std::memcpy(to + 4, &second, 4);
#endif
}

/// The address is a multiple of 16.
RVOS_HOST_DEVICE void loadFour(const float* from, float (&to)[4]) {
#if defined(__CUDA_ARCH__)
  const float4 four = *reinterpret_cast<const float4*>(from);
  to[0] = four.x, to[1] = four.y, to[2] = four.z, to[3] = four.w;
#else
  std::memcpy(to, from, sizeof to);
#endif
}

/// The address is a multiple of 16.
RVOS_HOST_DEVICE void storeFour(float* to, const float (&from)[4]) {
#if defined(__CUDA_ARCH__)
  *reinterpret_cast<float4*>(to) = make_float4(from[0], from[1], from[2], from[3]);
#else
  std::memcpy(to, from, sizeof from);
#endif
}

/// The low word of high:low shifted right by `shift` bits, 0…31.
RVOS_HOST_DEVICE uint32_t funnelRight(uint32_t low, uint32_t high, int shift) {
#if defined(__CUDA_ARCH__)
  return __funnelshift_r(low, high, shift);
#else
  return static_cast<uint32_t>(((static_cast<uint64_t>(high) << 32) | low) >> shift);
#endif
}

RVOS_HOST_DEVICE uint32_t swapBytes(uint32_t word) {
#if defined(__CUDA_ARCH__)
  return __byte_perm(word, 0, 0x0123);
#else
  return (word >> 24) | ((word >> 8) & 0xff00u) | ((word << 8) & 0xff0000u) | (word << 24);
#endif
}

/// The lowest bit becomes the highest.
RVOS_HOST_DEVICE uint32_t reverseBits(uint32_t word) {
#if defined(__CUDA_ARCH__)
  return __brev(word);
#else
  word = ((word >> 1) & 0x55555555u) | ((word & 0x55555555u) << 1);
  word = ((word >> 2) & 0x33333333u) | ((word & 0x33333333u) << 2);
  word = ((word >> 4) & 0x0f0f0f0fu) | ((word & 0x0f0f0f0fu) << 4);
  return swapBytes(word);
#endif
}

RVOS_HOST_DEVICE bool isAligned(const void* pointer, size_t bytes) {
  return (reinterpret_cast<uintptr_t>(pointer) & (bytes - 1)) == 0;
}

/// What a block's shared memory is made of on the host.
struct alignas(16) SharedVector {
  uint8_t bytes[16];
};

}  // namespace rvos
