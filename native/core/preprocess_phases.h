// What one block of the preprocess kernel does (preprocess_job.h has intent and layout of the whole).
//
// A block makes a tile of 64×16 target pixels of one frame. It goes down the source rows that the tile needs in chunks
// of up to 16 and, for each chunk,
//   stages    the part of each row above the tile in shared memory, 16 bytes a thread (NV12: converted to RGB),
//   filters   it across: thread = column, a quarter of the rows each; its weights stay in registers,
//   sums      it down: thread = four columns of one row; sums stay in registers from chunk to chunk, so that a filter of
//             any length runs in the order of its taps,
// and at the end rounds the sums to levels and writes what the level table has for them, four columns at a time.
// Between stage and filter, and between filter and sum, the block waits for all its threads. Rows are staged one chunk
// ahead, in the other of two buffers, so that they are on their way while the chunk before is worked on. Every phase is a function of the thread's number: the CUDA kernel calls it on each thread,
// `preprocessOnHost` in a loop over threads.
//
// Shared memory: level table, then filtered float [chunkRows][3][64], then staged bytes
// [2][chunkRows][stagePitch]. A staged
// row keeps the alignment (mod 16) it has in the source, so that any pitch can be copied in whole vectors.
#pragma once

#include <type_traits>

#include "preprocess_tile.h"

namespace rvos::preprocess {

/// Calls `run` with the kernel's `Taps` as a compile-time constant.
template <typename Run>
void forTaps(const PreprocessTiling& tiling, Run&& run) {
  if (tiling.stagePitch == 0) return run(std::integral_constant<int, kUnstaged>());
  switch (tiling.across) {
    case 2: return run(std::integral_constant<int, 2>());
    case 4: return run(std::integral_constant<int, 4>());
    case 6: return run(std::integral_constant<int, 6>());
    case 8: return run(std::integral_constant<int, 8>());
    default: return run(std::integral_constant<int, kAnyTaps>());
  }
}

/// A thread's part of the filter across: one target column.
template <int Taps, bool Nv12>
struct AcrossThread {
  int column, quarter;
  bool inside;
  int first = 0;
  float weights[Taps > 0 ? Taps : 1] = {};

  RVOS_HOST_DEVICE AcrossThread(const Tile& tile, int thread)
      : column(thread % kTileWidth), quarter(thread / kTileWidth),
        inside(tile.x0 + column < tile.job.shape.targetWidth) {
    if (!inside) return;
    first = tile.number(tile.at.acrossFirst + tile.x0 + column);
    RVOS_UNROLL
    for (int k = 0; k < Taps; ++k) weights[k] = weight(tile, k);
  }

  RVOS_HOST_DEVICE float weight(const Tile& tile, int k) const {
    return tile.weight(tile.at.acrossWeights + k * tile.job.shape.targetWidth + tile.x0 + column);
  }

  RVOS_HOST_DEVICE void filterRows(const Tile& tile, int chunk, int step) const {
    if (!inside) return;
    const int chunkBegin = tile.rowBegin + chunk * step;
    for (int r = quarter; r < step && chunkBegin + r < tile.rowEnd; r += kThreads / kTileWidth) {
      float sum[3] = {0.0f, 0.0f, 0.0f};
      if (Taps == kUnstaged) {
        addSource(tile, chunkBegin + r, sum);
      } else {
        const int shift = Nv12 ? 0 : tile.misalignment(chunkBegin + r);
        addStaged(tile, tile.stagedRow(chunk, r) + shift + 3 * (first - tile.columnBegin), sum);
      }
      float* out = tile.filtered + r * kFilteredRow + column;
      out[0] = sum[0];
      out[kTileWidth] = sum[1];
      out[2 * kTileWidth] = sum[2];
    }
  }

 private:
  /// Taps of weight 0 beyond the last may read what lies there: any byte times 0 is 0.
  RVOS_HOST_DEVICE void addStaged(const Tile& tile, int byte, float (&sum)[3]) const {
    const uint8_t* words = tile.stage + (byte & ~3);
    const int shift = (byte & 3) * 8;
    uint32_t low = loadWord(words);
    if (Taps == kAnyTaps) {
      for (int k = 0; k < tile.job.tiling.across; k += 4, words += 12) {
        float four[4];
        RVOS_UNROLL
        for (int i = 0; i < 4; ++i) four[i] = weight(tile, k + i);
        low = addGroup<4, false>(words, low, shift, four, sum);
      }
    } else {
      addGroup<Taps, true>(words, low, shift, weights, sum);
    }
  }

  /// `Count` pixels that start `shift` bits into the word `low`, which was loaded from `words`; returns the last word.
  template <int Count, bool First>
  RVOS_HOST_DEVICE static uint32_t addGroup(const uint8_t* words, uint32_t low, int shift, const float* weights,
                                            float (&sum)[3]) {
    constexpr int kWords = Count > 0 ? (3 * Count + 3) / 4 : 1;
    uint32_t aligned[kWords];
    RVOS_UNROLL
    for (int i = 0; i < kWords; ++i) {
      const uint32_t high = loadWord(words + 4 * (i + 1));
      aligned[i] = funnelRight(low, high, shift);
      low = high;
    }
    RVOS_UNROLL
    for (int k = 0; k < Count; ++k) {
      const WeightedLevel weighted = WeightedLevel::of(weights[k]);
      RVOS_UNROLL
      for (int c = 0; c < 3; ++c) {
        const float term = weighted(aligned[(3 * k + c) / 4], (3 * k + c) % 4);
        sum[c] = First && k == 0 ? term : sum[c] + term;
      }
    }
    return low;
  }

  RVOS_HOST_DEVICE void addSource(const Tile& tile, int y, float (&sum)[3]) const {
    const YuvToRgb toRgb = conversionOf(tile.job.shape.matrix);
    const int count = tile.number(tile.at.acrossCount + tile.x0 + column);
    for (int k = 0; k < count; ++k) {
      const int x = first + k;
      uint32_t pixel;
      if (Nv12) {
        pixel = tile.convert(toRgb, y, x);
      } else {
        const uint8_t* from = tile.row(y) + 3 * static_cast<size_t>(x);
        pixel = from[0] | (from[1] << 8) | (static_cast<uint32_t>(from[2]) << 16);
      }
      const WeightedLevel weighted = WeightedLevel::of(weight(tile, k));
      RVOS_UNROLL
      for (int c = 0; c < 3; ++c) sum[c] += weighted(pixel, c);
    }
  }
};

/// A thread's part of the sums down: four columns of one target row.
struct DownThread {
  int x, y;
  bool inside;
  int first = 0, end = 0;
  float sum[3][kQuad] = {};

  RVOS_HOST_DEVICE DownThread(const Tile& tile, int thread)
      : x(thread % (kTileWidth / kQuad) * kQuad), y(tile.y0 + thread / (kTileWidth / kQuad)),
        inside(tile.x0 + x < tile.job.shape.targetWidth && y < tile.job.shape.targetHeight) {
    if (!inside) return;
    first = tile.number(tile.at.downFirst + y);
    end = first + tile.number(tile.at.downCount + y);
  }

  RVOS_HOST_DEVICE void addRows(const Tile& tile, int chunk, int step) {
    const int chunkBegin = tile.rowBegin + chunk * step;
    const int from = first > chunkBegin ? first : chunkBegin;
    const int to = end < chunkBegin + step ? end : chunkBegin + step;
    const int weights = tile.at.downWeights + y * tile.job.tiling.down - first;
    for (int s = from; s < to; ++s) {
      const float weight = tile.weight(weights + s);
      const float* row = tile.filtered + (s - chunkBegin) * kFilteredRow + x;
      RVOS_UNROLL
      for (int c = 0; c < 3; ++c) {
        float value[kQuad];
        loadFour(row + c * kTileWidth, value);
        RVOS_UNROLL
        for (int i = 0; i < kQuad; ++i) sum[c][i] += weight * value[i];
      }
    }
  }

  RVOS_HOST_DEVICE void write(const Tile& tile) const {
    if (!inside) return;
    const PreprocessShape& shape = tile.job.shape;
    const int left = shape.targetWidth - tile.x0 - x;
    const int count = left < kQuad ? left : kQuad;
    RVOS_UNROLL
    for (int c = 0; c < 3; ++c) {
      const int64_t plane = tile.position * 3 + planeOf(shape.format, c);
      const int64_t offset = (plane * shape.targetHeight + y) * shape.targetWidth + tile.x0 + x;
      if (shape.element == ElementType::kFloat16) {
        writeQuad(static_cast<Half*>(tile.job.target) + offset, tile.levels + c * 256, sum[c], count);
      } else {
        writeQuad(static_cast<float*>(tile.job.target) + offset, tile.levels + c * 256, sum[c], count);
      }
    }
  }

 private:
  RVOS_HOST_DEVICE static void writeQuad(Half* to, const uint32_t* levels, const float (&sums)[kQuad], int count) {
    uint32_t pair[kQuad / 2];
    RVOS_UNROLL
    for (int i = 0; i < kQuad / 2; ++i) {
      pair[i] = levels[roundToLevel(sums[2 * i])] | (levels[roundToLevel(sums[2 * i + 1])] << 16);
    }
    if (count == kQuad && isAligned(to, 8)) {
      storePair(reinterpret_cast<uint8_t*>(to), pair[0], pair[1]);
    } else if (count == kQuad && isAligned(to, 4)) {
      storeWord(reinterpret_cast<uint8_t*>(to), pair[0]);
      storeWord(reinterpret_cast<uint8_t*>(to + 2), pair[1]);
    } else {
      RVOS_UNROLL
      for (int i = 0; i < kQuad; ++i) {
        if (i < count) to[i].bits = static_cast<uint16_t>(pair[i / 2] >> (16 * (i % 2)));
      }
    }
  }

  RVOS_HOST_DEVICE static void writeQuad(float* to, const uint32_t* levels, const float (&sums)[kQuad], int count) {
    float value[kQuad];
    RVOS_UNROLL
    for (int i = 0; i < kQuad; ++i) value[i] = floatOfBits(levels[roundToLevel(sums[i])]);
    if (count == kQuad && isAligned(to, 16)) {
      storeFour(to, value);
    } else {
      RVOS_UNROLL
      for (int i = 0; i < kQuad; ++i) {
        if (i < count) to[i] = value[i];
      }
    }
  }
};

}  // namespace rvos::preprocess
