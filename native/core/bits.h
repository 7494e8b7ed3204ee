// Bit-packed masks: bit 7 of byte 0 is pixel (0,0), pixels row-major, rows not padded, unused last bits 0. Rows start at
// any bit, so everything here works on 64 pixels at any bit offset, first pixel in the highest bit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
#endif

namespace rvos {

inline int popcount64(uint64_t word) {
#if defined(_MSC_VER) && !defined(__clang__)
  return static_cast<int>(__popcnt64(word));
#else
  return __builtin_popcountll(word);
#endif
}

/// Leading zeros of a word that is not 0.
inline int leadingZeros64(uint64_t word) {
#if defined(_MSC_VER) && !defined(__clang__)
  unsigned long index;
  _BitScanReverse64(&index, word);
  return 63 - static_cast<int>(index);
#else
  return __builtin_clzll(word);
#endif
}

/// Trailing zeros of a word that is not 0.
inline int trailingZeros64(uint64_t word) {
#if defined(_MSC_VER) && !defined(__clang__)
  unsigned long index;
  _BitScanForward64(&index, word);
  return static_cast<int>(index);
#else
  return __builtin_ctzll(word);
#endif
}

inline uint64_t byteSwap64(uint64_t word) {
#if defined(_MSC_VER) && !defined(__clang__)
  return _byteswap_uint64(word);
#else
  return __builtin_bswap64(word);
#endif
}

/// A word whose first (highest) `count` bits are 1; 0 ≤ count ≤ 64.
inline uint64_t leadingOnes(int count) {
  if (count <= 0) return 0;
  return ~uint64_t{0} << (64 - count);
}

/// 64 pixels from bit `offset` on; pixels beyond `byteLength` read as 0.
inline uint64_t loadBits(const uint8_t* bits, size_t byteLength, size_t offset) {
  const size_t byte = offset >> 3;
  const int shift = static_cast<int>(offset & 7);
  uint64_t word = 0;
  if (byte + 8 < byteLength) {
    std::memcpy(&word, bits + byte, 8);
    word = byteSwap64(word);
    if (shift != 0) word = (word << shift) | (bits[byte + 8] >> (8 - shift));
    return word;
  }
  for (int i = 0; i < 9 && byte + i < byteLength; ++i) {
    const uint64_t value = bits[byte + i];
    const int position = 56 - 8 * i + shift;
    word |= position >= 0 ? value << position : value >> -position;
  }
  return word;
}

/// ORs the first `count` pixels of `word` (its other bits are 0) into `bits` from bit `offset` on.
inline void orBits(uint8_t* bits, size_t offset, uint64_t word, int count) {
  uint8_t* byte = bits + (offset >> 3);
  const int shift = static_cast<int>(offset & 7);
  *byte |= static_cast<uint8_t>((word >> 56) >> shift);
  word <<= 8 - shift;
  for (int left = count - (8 - shift); left > 0; left -= 8) {
    *++byte |= static_cast<uint8_t>(word >> 56);
    word <<= 8;
  }
}

/// Appends pixels given as bytes 0 or 1; `finish` writes the last, partly filled byte.
class BitWriter {
 public:
  explicit BitWriter(uint8_t* target) : target_(target) {}

  void append(const uint8_t* pixels, size_t count) {
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
      uint64_t eight;
      std::memcpy(&eight, pixels + i, 8);
      // Byte i of the product's top byte collects bit 63 − 9i + 8i = 63 − i: eight flags become eight bits.
      const uint8_t packed = static_cast<uint8_t>((eight * 0x8040201008040201ull) >> 56);
      *target_++ = static_cast<uint8_t>(pending_ | (packed >> filled_));
      pending_ = static_cast<uint8_t>(packed << (8 - filled_));
    }
    for (; i < count; ++i) {
      pending_ = static_cast<uint8_t>(pending_ | (pixels[i] << (7 - filled_)));
      if (++filled_ == 8) {
        *target_++ = pending_;
        pending_ = 0;
        filled_ = 0;
      }
    }
  }

  void finish() {
    if (filled_ > 0) *target_ = pending_;
  }

 private:
  uint8_t* target_;
  uint8_t pending_ = 0;
  int filled_ = 0;
};

/// Transposes 64×64 bits in place: bit j of row i (from the highest) becomes bit i of row j.
inline void transpose64(uint64_t (&rows)[64]) {
  uint64_t mask = 0x00000000ffffffffull;
  for (int step = 32; step != 0; step >>= 1, mask ^= mask << step) {
    for (int k = 0; k < 64; k = ((k | step) + 1) & ~step) {
      const uint64_t swap = (rows[k] ^ (rows[k | step] >> step)) & mask;
      rows[k] ^= swap;
      rows[k | step] ^= swap << step;
    }
  }
}

}  // namespace rvos
