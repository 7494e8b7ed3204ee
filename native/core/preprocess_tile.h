// One block's tile of the preprocess kernel: what it reads, its shared memory, and the staging of source rows in it.
// preprocess_phases.h has the block's work as a whole.
#pragma once

#include "device_words.h"
#include "half.h"
#include "pixel_levels.h"
#include "preprocess_job.h"
#include "sampling.h"

namespace rvos::preprocess {

constexpr int kTileWidth = 64;
constexpr int kTileHeight = 16;
constexpr int kThreads = 256;
constexpr int kWarp = 32;
constexpr int kQuad = 4;
constexpr int kChunkRows = 16;
constexpr int kFilteredRow = 3 * kTileWidth;
constexpr int kLevels = 3 * 256;
/// `Taps` of the kernel that reads the source pixel by pixel, and of the one with any multiple of 4.
constexpr int kUnstaged = -1;
constexpr int kAnyTaps = 0;

/// Where things lie in the table of words.
struct TableLayout {
  int acrossFirst, acrossCount, acrossWeights, downFirst, downCount, downWeights;
  /// [3][256] in the source's order of channels, halves in the low bits.
  int levels;
  int words;

  RVOS_HOST_DEVICE static TableLayout of(const PreprocessShape& shape, const PreprocessTiling& tiling) {
    TableLayout at;
    at.acrossFirst = 0;
    at.acrossCount = at.acrossFirst + shape.targetWidth;
    at.acrossWeights = at.acrossCount + shape.targetWidth;  // [across][w]
    at.downFirst = at.acrossWeights + tiling.across * shape.targetWidth;
    at.downCount = at.downFirst + shape.targetHeight;
    at.downWeights = at.downCount + shape.targetHeight;  // [h][down]
    at.levels = at.downWeights + tiling.down * shape.targetHeight;
    at.words = at.levels + kLevels;
    return at;
  }
};

/// The plane that channel c of a staged pixel goes to.
RVOS_HOST_DEVICE int planeOf(PixelFormat format, int c) { return format == PixelFormat::kBgr ? 2 - c : c; }

RVOS_HOST_DEVICE YuvToRgb conversionOf(YuvMatrix matrix) {
  return matrix == YuvMatrix::kBt709 ? YuvToRgb::bt709() : YuvToRgb::bt601();
}

/// One block's share of the work and its shared memory.
struct Tile {
  const PreprocessJob& job;
  TableLayout at;
  int x0, y0;
  /// Source rows and columns that it reads.
  int rowBegin, rowEnd, columnBegin, columnEnd;
  const uint8_t* frame;
  int64_t position;
  uint32_t* levels;
  float* filtered;
  uint8_t* stage;

  RVOS_HOST_DEVICE Tile(const PreprocessJob& job, int column, int row, int frameIndex, int64_t position, uint8_t* shared)
      : job(job), at(TableLayout::of(job.shape, job.tiling)), x0(column * kTileWidth), y0(row * kTileHeight),
        frame(job.source + static_cast<size_t>(frameIndex) * job.frameStride), position(position) {
    const int lastX = (x0 + kTileWidth < job.shape.targetWidth ? x0 + kTileWidth : job.shape.targetWidth) - 1;
    const int lastY = (y0 + kTileHeight < job.shape.targetHeight ? y0 + kTileHeight : job.shape.targetHeight) - 1;
    rowBegin = number(at.downFirst + y0);
    rowEnd = number(at.downFirst + lastY) + number(at.downCount + lastY);
    columnBegin = number(at.acrossFirst + x0);
    columnEnd = number(at.acrossFirst + lastX) + number(at.acrossCount + lastX);
    // Groups of four NV12 pixels start at a multiple of four: a word of Y and a word of UV.
    if (job.shape.format == PixelFormat::kNv12) columnBegin &= ~3;
    levels = reinterpret_cast<uint32_t*>(shared);
    shared += kLevels * 4;
    filtered = reinterpret_cast<float*>(shared);
    shared += job.tiling.chunkRows * kFilteredRow * 4;
    stage = shared;
  }

  RVOS_HOST_DEVICE int number(int word) const { return static_cast<int>(job.table[word]); }
  RVOS_HOST_DEVICE float weight(int word) const { return floatOfBits(job.table[word]); }

  /// Rows of a chunk: as even as can be, in whole quarters.
  RVOS_HOST_DEVICE int chunkRows() const {
    const int rows = rowEnd - rowBegin;
    const int chunks = (rows + job.tiling.chunkRows - 1) / job.tiling.chunkRows;
    return ((rows + chunks - 1) / chunks + 3) & ~3;
  }

  RVOS_HOST_DEVICE const uint8_t* row(int y) const { return frame + static_cast<size_t>(y) * job.shape.pitch; }

  /// Byte of a staged RGB or BGR row that column `columnBegin` starts at.
  RVOS_HOST_DEVICE int misalignment(int y) const {
    return static_cast<int>(reinterpret_cast<uintptr_t>(row(y) + 3 * columnBegin) & 15);
  }

  RVOS_HOST_DEVICE void loadLevels(int thread) const {
    for (int i = thread; i < kLevels; i += kThreads) levels[i] = job.table[at.levels + i];
  }

  /// RGB of one NV12 pixel.
  RVOS_HOST_DEVICE uint32_t convert(const YuvToRgb& toRgb, int y, int x) const {
    const uint8_t* chroma = row(job.shape.height + (y >> 1)) + (x & ~1);
    return toRgb(row(y)[x], chroma[0], chroma[1]);
  }

  /// Where row r of a chunk is staged; neighbouring chunks take turns in two buffers.
  RVOS_HOST_DEVICE int stagedRow(int chunk, int r) const {
    return ((chunk & 1) * job.tiling.chunkRows + r) * job.tiling.stagePitch;
  }

  /// Nothing when the chunk lies beyond the tile.
  template <bool Nv12>
  RVOS_HOST_DEVICE void stageRows(int chunk, int step, int thread) const {
    const int first = rowBegin + chunk * step;
    for (int r = thread / kWarp; r < step && first + r < rowEnd; r += kThreads / kWarp) {
      uint8_t* to = stage + stagedRow(chunk, r);
      if (Nv12) {
        stageNv12(first + r, thread % kWarp, to);
      } else {
        stageRgb(first + r, thread % kWarp, to);
      }
    }
  }

  RVOS_HOST_DEVICE void stageRgb(int y, int lane, uint8_t* to) const {
    const int shift = misalignment(y);
    const int bytes = shift + 3 * (columnEnd - columnBegin);
    const int rowLength = 3 * job.shape.width;
    for (int i = 16 * lane; i < bytes; i += 16 * kWarp) {
      const int from = 3 * columnBegin - shift + i;
      if (from >= 0 && from + 16 <= rowLength) {
        copy16(row(y) + from, to + i);
      } else {
        RVOS_KEEP_ROLLED
        for (int b = 0; b < 16; ++b) {
          if (from + b >= 0 && from + b < rowLength) to[i + b] = row(y)[from + b];
        }
      }
    }
  }

  RVOS_HOST_DEVICE void stageNv12(int y, int lane, uint8_t* to) const {
    const YuvToRgb toRgb = conversionOf(job.shape.matrix);
    const uint8_t* luma = row(y);
    const uint8_t* chroma = row(job.shape.height + (y >> 1));
    const bool aligned = isAligned(luma, 4) && isAligned(chroma, 4);
    for (int i = lane; 4 * i < columnEnd - columnBegin; i += kWarp) {
      const int x = columnBegin + 4 * i;
      uint32_t pixels[4];
      if (aligned && x + 4 <= job.shape.width) {
        const uint32_t ys = loadWord(luma + x);
        const uint32_t uvs = loadWord(chroma + x);
        RVOS_UNROLL
        for (int p = 0; p < 4; ++p) {
          const uint32_t uv = uvs >> (16 * (p / 2));
          pixels[p] = toRgb((ys >> (8 * p)) & 0xff, uv & 0xff, (uv >> 8) & 0xff);
        }
      } else {
        RVOS_UNROLL
        for (int p = 0; p < 4; ++p) pixels[p] = x + p < job.shape.width ? convert(toRgb, y, x + p) : 0;
      }
      storeWord(to + 12 * i, pixels[0] | (pixels[1] << 24));
      storeWord(to + 12 * i + 4, (pixels[1] >> 8) | (pixels[2] << 16));
      storeWord(to + 12 * i + 8, (pixels[2] >> 16) | (pixels[3] << 8));
    }
  }
};

}  // namespace rvos::preprocess
