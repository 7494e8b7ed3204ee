// See mask_head_job.h and mask_head_phases.h for intent and layout.
#include "mask_head_job.h"

#include <algorithm>

#include "mask_head_phases.h"
#include "sampling.h"

namespace rvos {

namespace {

using namespace mask_head;

/// What every GPU gives a block without being asked for more.
constexpr int64_t kMostShared = 46 * 1024;

MaskTap tapAt(const NearestSource& nearest, const BilinearSource& bilinear, int target) {
  const BilinearTap tap = bilinear(nearest(target));
  return {tap.lower, tap.upperWeight};
}

/// Most feature rows that a strip looks at.
int mostFeatureRows(const MaskHeadShape& shape, const std::vector<MaskTap>& table) {
  int most = 0;
  for (int row = 0; row < shape.height; row += kStripRows) {
    const int last = std::min(row + kStripRows, shape.height) - 1;
    most = std::max(most, std::min(table[last].lower + 2, shape.featureHeight) - table[row].lower);
  }
  return most;
}

MaskHeadTiling tilingOf(const MaskHeadShape& shape, const std::vector<MaskTap>& table) {
  const int64_t rows = mostFeatureRows(shape, table);
  const int64_t logits = (rows * shape.featureWidth + kCells - 1) & ~int64_t{kCells - 1};
  const int64_t columns = int64_t{wordColumns(shape.width)} * kColumnWords;
  const int64_t bytes = 4 * (logits + columns) + static_cast<int64_t>(sizeof(MaskTap)) * kStripRows;
  if (bytes > kMostShared) return {};
  return {static_cast<int>(rows), static_cast<int>(bytes)};
}

template <typename Feature>
void walkColumns(const Strip<Feature>& strip, int piece) {
  std::vector<ColumnLane<Feature>> lanes;
  for (int lane = 0; lane < kWarp; ++lane) lanes.emplace_back(strip, piece, lane);
  uint32_t words[kColumns] = {};
  for (int row = lanes[0].firstRow; row < lanes[0].endRow; ++row) {
    const MaskTap tap = strip.taps[row];
    if (lanes[0].differs(tap)) {
      for (uint32_t& word : words) word = 0;
      for (int lane = 0; lane < kWarp; ++lane) {
        lanes[lane].hold(strip, tap);
        for (int i = 0; i < kColumns; ++i) words[i] |= static_cast<uint32_t>(lanes[lane].foreground(i)) << lane;
      }
    }
    for (auto& lane : lanes) lane.keep(row, words);
  }
  for (const auto& lane : lanes) lane.store(strip);
}

template <typename Feature, int K>
void runStrip(const Strip<Feature>& strip) {
  if (strip.job.tiling.logitRows == 0) {
    for (int thread = 0; thread < kThreads; ++thread) strip.writeWordsUnshared(thread);
    return;
  }
  for (int thread = 0; thread < kThreads; ++thread) strip.template makeLogits<K>(thread);
  const int pieces = ColumnLane<Feature>::pieces(strip.job.shape.width);
  for (int piece = 0; piece < pieces; ++piece) walkColumns(strip, piece);
  for (int thread = 0; thread < kThreads; ++thread) strip.writeWords(thread);
}

template <typename Feature, int K>
void runStrips(const MaskHeadJob& job) {
  std::vector<SharedVector> shared((job.tiling.sharedBytes + sizeof(SharedVector) - 1) / sizeof(SharedVector) + 1);
  const int queries = job.chosen ? 1 : job.queryCount;
  for (int sentence = 0; sentence < job.sentences; ++sentence) {
    for (int query = 0; query < queries; ++query) {
      for (int frame = 0; frame < job.frames; ++frame) {
        for (int index = 0; index * kStripRows < job.shape.height; ++index) {
          const Strip<Feature> strip(job, index, query, frame, sentence, shared.data()->bytes);
          if (strip.rows > 0) runStrip<Feature, K>(strip);
        }
      }
    }
  }
}

template <typename Feature>
void runFeatures(const MaskHeadJob& job) {
  if (job.shape.kernelSize == 8) {
    runStrips<Feature, 8>(job);
  } else {
    runStrips<Feature, 0>(job);
  }
}

}  // namespace

MaskHeadPlan planMaskHead(const MaskHeadShape& shape) {
  const NearestSource nearestRow{axisScale(shape.resizedHeight, shape.height), shape.resizedHeight};
  const BilinearSource featureRow{axisScale(shape.featureHeight, shape.paddedHeight), shape.featureHeight};
  const NearestSource nearestColumn{axisScale(shape.resizedWidth, shape.width), shape.resizedWidth};
  const BilinearSource featureColumn{axisScale(shape.featureWidth, shape.paddedWidth), shape.featureWidth};
  MaskHeadPlan plan;
  plan.shape = shape;
  plan.table.reserve(static_cast<size_t>(shape.height) + shape.width);
  for (int y = 0; y < shape.height; ++y) plan.table.push_back(tapAt(nearestRow, featureRow, y));
  for (int x = 0; x < shape.width; ++x) plan.table.push_back(tapAt(nearestColumn, featureColumn, x));
  plan.tiling = tilingOf(shape, plan.table);
  return plan;
}

size_t maskWordBytes(int height, int width) { return (static_cast<size_t>(height) * width + 31) / 32 * 4; }

void maskHeadOnHost(const MaskHeadJob& job) {
  if (job.featureType == ElementType::kFloat16) {
    runFeatures<Half>(job);
  } else {
    runFeatures<float>(job);
  }
}

}  // namespace rvos
