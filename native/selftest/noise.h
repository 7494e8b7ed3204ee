// Pixels and numbers to test with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace rvos::selftest {

/// The same numbers on every machine.
class Noise {
 public:
  explicit Noise(uint32_t seed) : state_(seed * 2654435761u + 1) {}
  uint32_t next() {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 17;
    return state_ ^= state_ << 5;
  }
  /// In [-2, 2).
  float level() { return static_cast<float>(next() >> 8) / 4194304.0f - 2.0f; }

 private:
  uint32_t state_;
};

inline std::vector<uint8_t> noiseBytes(size_t count, uint32_t seed) {
  Noise noise(seed);
  std::vector<uint8_t> bytes(count);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(noise.next() >> 24);
  return bytes;
}

inline std::vector<float> noiseFloats(size_t count, uint32_t seed) {
  Noise noise(seed);
  std::vector<float> values(count);
  for (float& value : values) value = noise.level();
  return values;
}

}  // namespace rvos::selftest
