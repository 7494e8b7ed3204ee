// See mask_statistics.h for intent.
#include "mask_statistics.h"

#include <algorithm>
#include <vector>

#include "bits.h"

namespace rvos {

MaskStatistics maskStatistics(const uint8_t* bits, int height, int width) {
  const size_t byteLength = (static_cast<size_t>(height) * width + 7) / 8;
  std::vector<uint64_t> columns((static_cast<size_t>(width) + 63) / 64, 0);
  MaskStatistics result;
  int firstRow = -1;
  int lastRow = -1;
  for (int y = 0; y < height; ++y) {
    uint64_t any = 0;
    for (size_t word = 0; word < columns.size(); ++word) {
      const int pixels = static_cast<int>(std::min<size_t>(64, static_cast<size_t>(width) - word * 64));
      const uint64_t row =
          loadBits(bits, byteLength, static_cast<size_t>(y) * width + word * 64) & leadingOnes(pixels);
      result.area += popcount64(row);
      columns[word] |= row;
      any |= row;
    }
    if (any != 0) {
      if (firstRow < 0) firstRow = y;
      lastRow = y;
    }
  }
  if (result.area == 0) return result;
  const auto set = [](uint64_t word) { return word != 0; };
  const auto first = std::find_if(columns.begin(), columns.end(), set);
  const auto last = std::find_if(columns.rbegin(), columns.rend(), set);
  const int left = static_cast<int>(first - columns.begin()) * 64 + leadingZeros64(*first);
  const int right = static_cast<int>(columns.rend() - last - 1) * 64 + 63 - trailingZeros64(*last);
  result.x = left;
  result.y = firstRow;
  result.width = right - left + 1;
  result.height = lastRow - firstRow + 1;
  return result;
}

MaskOverlap maskOverlap(const uint8_t* a, const uint8_t* b, size_t byteLength) {
  MaskOverlap result;
  for (size_t offset = 0; offset < byteLength; offset += 8) {
    const size_t count = std::min<size_t>(8, byteLength - offset);
    uint64_t left = 0;
    uint64_t right = 0;
    std::memcpy(&left, a + offset, count);
    std::memcpy(&right, b + offset, count);
    result.intersection += popcount64(left & right);
    result.unionArea += popcount64(left | right);
  }
  return result;
}

}  // namespace rvos
