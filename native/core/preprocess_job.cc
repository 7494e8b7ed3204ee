// See preprocess_job.h and preprocess_phases.h for intent and layout.
#include "preprocess_job.h"

#include <algorithm>

#include "preprocess_phases.h"
#include "resize.h"

namespace rvos {

namespace {

using namespace preprocess;

/// What every GPU gives a block without being asked for more.
constexpr int kMostShared = 46 * 1024;

int paddedTaps(int taps) { return taps <= 8 ? (taps + 1) & ~1 : (taps + 3) & ~3; }

/// Most source columns between the first and the last tap of a tile.
int widestTile(const Taps& across) {
  const int width = static_cast<int>(across.first.size());
  int widest = 0;
  for (int x = 0; x < width; x += kTileWidth) {
    const int last = std::min(x + kTileWidth, width) - 1;
    widest = std::max(widest, across.first[last] + across.count[last] - across.first[x]);
  }
  return widest;
}

PreprocessTiling tilingOf(const Taps& across, const Taps& down) {
  PreprocessTiling tiling;
  tiling.across = paddedTaps(across.stride);
  tiling.down = down.stride;
  // Before the first pixel: up to 15 bytes of alignment or 3 pixels of NV12; behind the last: padded taps, a group of
  // pixels, the word that a shift needs.
  const int64_t pitch = (3ll * (widestTile(across) + tiling.across) + 15 + 16 + 15) & ~15ll;
  const int filteredRow = kFilteredRow * 4;
  const int64_t rows = (kMostShared - kLevels * 4) / (filteredRow + 2 * pitch) & ~3ll;
  tiling.chunkRows = rows > 0 ? static_cast<int>(std::min<int64_t>(rows, kChunkRows)) : kChunkRows;
  tiling.stagePitch = rows > 0 ? static_cast<int>(pitch) : 0;
  tiling.sharedBytes = kLevels * 4 + tiling.chunkRows * (filteredRow + 2 * tiling.stagePitch);
  return tiling;
}

uint32_t elementBits(ElementType element, float value) {
  return element == ElementType::kFloat16 ? halfOf(value).bits : bitsOfFloat(value);
}

template <int Taps, bool Nv12>
void runTile(const Tile& tile) {
  std::vector<AcrossThread<Taps, Nv12>> across;
  std::vector<DownThread> down;
  for (int thread = 0; thread < kThreads; ++thread) {
    tile.loadLevels(thread);
    across.emplace_back(tile, thread);
    down.emplace_back(tile, thread);
  }
  const auto stage = [&](int chunk, int step) {
    for (int thread = 0; Taps != kUnstaged && thread < kThreads; ++thread) tile.stageRows<Nv12>(chunk, step, thread);
  };
  const int step = tile.chunkRows();
  stage(0, step);
  for (int chunk = 0; tile.rowBegin + chunk * step < tile.rowEnd; ++chunk) {
    stage(chunk + 1, step);
    for (const auto& thread : across) thread.filterRows(tile, chunk, step);
    for (auto& thread : down) thread.addRows(tile, chunk, step);
  }
  for (const auto& thread : down) thread.write(tile);
}

template <int Taps, bool Nv12>
void runTiles(const PreprocessJob& job) {
  std::vector<SharedVector> shared((job.tiling.sharedBytes + sizeof(SharedVector) - 1) / sizeof(SharedVector));
  for (int frame = 0; frame < job.frames; ++frame) {
    const int64_t position = job.positions ? job.positions[frame] : frame;
    if (position < 0) continue;
    for (int row = 0; row * kTileHeight < job.shape.targetHeight; ++row) {
      for (int column = 0; column * kTileWidth < job.shape.targetWidth; ++column) {
        runTile<Taps, Nv12>(Tile(job, column, row, frame, position, shared.data()->bytes));
      }
    }
  }
}

}  // namespace

size_t rowBytes(PixelFormat format, int width) {
  const size_t pixels = static_cast<size_t>(width);
  return format == PixelFormat::kNv12 ? (pixels + 1) & ~size_t{1} : 3 * pixels;
}

size_t frameBytes(const PreprocessShape& shape) {
  const size_t height = static_cast<size_t>(shape.height);
  const size_t rows = shape.format == PixelFormat::kNv12 ? height + (height + 1) / 2 : height;
  return (rows - 1) * shape.pitch + rowBytes(shape.format, shape.width);
}

PreprocessPlan planPreprocess(const PreprocessShape& shape, const NormaliseLevel (&channels)[3]) {
  const Taps across = makeTaps(shape.width, shape.targetWidth, shape.antialias);
  const Taps down = makeTaps(shape.height, shape.targetHeight, shape.antialias);
  PreprocessPlan plan;
  plan.shape = shape;
  plan.tiling = tilingOf(across, down);
  const TableLayout at = TableLayout::of(shape, plan.tiling);
  plan.table.assign(at.words, 0);
  std::copy(across.first.begin(), across.first.end(), plan.table.begin() + at.acrossFirst);
  std::copy(across.count.begin(), across.count.end(), plan.table.begin() + at.acrossCount);
  std::copy(down.first.begin(), down.first.end(), plan.table.begin() + at.downFirst);
  std::copy(down.count.begin(), down.count.end(), plan.table.begin() + at.downCount);
  std::transform(down.weights.begin(), down.weights.end(), plan.table.begin() + at.downWeights, bitsOfFloat);
  for (int x = 0; x < shape.targetWidth; ++x) {
    for (int k = 0; k < across.stride; ++k) {
      const float weight = across.weights[static_cast<size_t>(x) * across.stride + k];
      plan.table[at.acrossWeights + static_cast<size_t>(k) * shape.targetWidth + x] = bitsOfFloat(weight);
    }
  }
  for (int c = 0; c < 3; ++c) {
    const NormaliseLevel& normalise = channels[planeOf(shape.format, c)];
    for (int level = 0; level < 256; ++level) {
      const uint32_t bits = elementBits(shape.element, normalise(static_cast<uint8_t>(level)));
      plan.table[at.levels + 256 * c + level] = bits;
    }
  }
  return plan;
}

void preprocessOnHost(const PreprocessJob& job) {
  const bool nv12 = job.shape.format == PixelFormat::kNv12;
  forTaps(job.tiling, [&](auto taps) {
    constexpr int kTaps = decltype(taps)::value;
    if (nv12) {
      runTiles<kTaps, true>(job);
    } else {
      runTiles<kTaps, false>(job);
    }
  });
}

}  // namespace rvos
