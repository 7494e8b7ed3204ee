// See resize.h for intent and layout. The horizontal pass handles one pixel as four lanes (RGB and one to spare), the
// vertical pass runs along whole rows; both are plain loops that compilers turn into SIMD.
#include "resize.h"

#include <algorithm>
#include <cstring>

#include "portable.h"
#include "sampling.h"

namespace rvos {

namespace {

constexpr int kChannels = 3;
constexpr int kLanes = 4;
constexpr int kChunk = 512;

Taps bilinearTaps(int source, int target) {
  Taps taps;
  taps.stride = 2;
  taps.first.resize(target);
  taps.count.resize(target);
  taps.weights.assign(static_cast<size_t>(target) * 2, 0.0f);
  const BilinearSource sample{axisScale(source, target), source};
  for (int i = 0; i < target; ++i) {
    const BilinearTap tap = sample(i);
    float* weights = &taps.weights[static_cast<size_t>(i) * 2];
    taps.first[i] = tap.lower;
    taps.count[i] = tap.upper == tap.lower ? 1 : 2;
    weights[0] = tap.upper == tap.lower ? 1.0f : tap.lowerWeight;
    weights[1] = tap.upper == tap.lower ? 0.0f : tap.upperWeight;
  }
  return taps;
}

Taps triangleTaps(int source, int target) {
  const float scale = axisScale(source, target);
  const float support = scale >= 1.0f ? scale : 1.0f;
  const float inverse = scale >= 1.0f ? 1.0f / scale : 1.0f;
  Taps taps;
  taps.first.resize(target);
  taps.count.resize(target);
  // The mixed float and double arithmetic below is the reference's.
  for (int i = 0; i < target; ++i) {
    const float center = static_cast<float>(scale * (i + 0.5));
    const int low = std::max(static_cast<int>(center - support + 0.5), 0);
    const int high = std::min(static_cast<int>(center + support + 0.5), source);
    taps.first[i] = std::min(low, source - 1);
    taps.count[i] = std::max(high - low, 1);
    taps.stride = std::max(taps.stride, taps.count[i]);
  }
  taps.weights.assign(static_cast<size_t>(target) * taps.stride, 0.0f);
  for (int i = 0; i < target; ++i) {
    const float center = static_cast<float>(scale * (i + 0.5));
    const float offset = static_cast<float>(taps.first[i]) - center;
    float* weights = &taps.weights[static_cast<size_t>(i) * taps.stride];
    float total = 0.0f;
    for (int k = 0; k < taps.count[i]; ++k) {
      weights[k] = triangle(static_cast<float>((k + offset + 0.5) * inverse));
      total += weights[k];
    }
    if (total != 0.0f) {
      for (int k = 0; k < taps.count[i]; ++k) weights[k] /= total;
    }
  }
  return taps;
}

void toFloat(const uint8_t* RVOS_RESTRICT source, float* RVOS_RESTRICT target, size_t count) {
  for (size_t i = 0; i < count; ++i) target[i] = static_cast<float>(source[i]);
}

/// Filters one row; `Count` taps a pixel, 0: as many as the taps say. The fourth lane of a pixel is overwritten by
/// the next pixel, so both rows are one lane longer than their pixels; `row` also has zeros under the last taps.
template <int Count>
void filterRowFixed(const float* RVOS_RESTRICT row, const Taps& taps, float* RVOS_RESTRICT out) {
  const int count = Count > 0 ? Count : taps.stride;
  const size_t target = taps.first.size();
  const float* weights = taps.weights.data();
  for (size_t i = 0; i < target; ++i, weights += count) {
    const float* pixel = row + static_cast<size_t>(taps.first[i]) * kChannels;
    float sum[kLanes];
    for (int lane = 0; lane < kLanes; ++lane) sum[lane] = weights[0] * pixel[lane];
    for (int k = 1; k < count; ++k) {
      for (int lane = 0; lane < kLanes; ++lane) sum[lane] += weights[k] * pixel[k * kChannels + lane];
    }
    std::memcpy(out + i * kChannels, sum, sizeof sum);
  }
}

void filterRow(const float* row, const Taps& taps, float* out) {
  switch (taps.stride) {
    case 1: return filterRowFixed<1>(row, taps, out);
    case 2: return filterRowFixed<2>(row, taps, out);
    case 3: return filterRowFixed<3>(row, taps, out);
    case 4: return filterRowFixed<4>(row, taps, out);
    case 5: return filterRowFixed<5>(row, taps, out);
    case 6: return filterRowFixed<6>(row, taps, out);
    case 7: return filterRowFixed<7>(row, taps, out);
    default: return filterRowFixed<0>(row, taps, out);
  }
}

/// One chunk of a target row: the weighted sum of `count` filtered rows, rounded.
void sumRows(const float* const* rows, const float* weights, int count, size_t offset, int length,
             uint8_t* RVOS_RESTRICT target) {
  float sum[kChunk];
  const float* RVOS_RESTRICT first = rows[0] + offset;
  for (int i = 0; i < length; ++i) sum[i] = weights[0] * first[i];
  for (int k = 1; k < count; ++k) {
    const float* RVOS_RESTRICT row = rows[k] + offset;
    const float weight = weights[k];
    for (int i = 0; i < length; ++i) sum[i] += weight * row[i];
  }
  for (int i = 0; i < length; ++i) target[i] = roundToLevel(sum[i]);
}

}  // namespace

Taps makeTaps(int source, int target, bool antialias) {
  return antialias ? triangleTaps(source, target) : bilinearTaps(source, target);
}

void resizeFrame(const uint8_t* source, int height, int width, uint8_t* target, int targetHeight, int targetWidth,
                 bool antialias) {
  const size_t sourceRow = static_cast<size_t>(width) * kChannels;
  const size_t targetRow = static_cast<size_t>(targetWidth) * kChannels;
  if (height == targetHeight && width == targetWidth) {
    std::memcpy(target, source, sourceRow * static_cast<size_t>(height));
    return;
  }
  const Taps across = makeTaps(width, targetWidth, antialias);
  const Taps down = makeTaps(height, targetHeight, antialias);

  std::vector<float> row(sourceRow + static_cast<size_t>(across.stride) * kChannels + kLanes, 0.0f);
  const size_t ringRow = targetRow + kLanes;
  std::vector<float> ring(ringRow * static_cast<size_t>(down.stride));
  std::vector<const float*> rows(down.stride);

  int filtered = 0;  // source rows below this one have been filtered, or are never needed
  for (int y = 0; y < targetHeight; ++y) {
    const int first = down.first[y];
    const int count = down.count[y];
    for (int s = std::max(filtered, first); s < first + count; ++s) {
      toFloat(source + static_cast<size_t>(s) * sourceRow, row.data(), sourceRow);
      filterRow(row.data(), across, ring.data() + static_cast<size_t>(s % down.stride) * ringRow);
    }
    filtered = std::max(filtered, first + count);
    for (int k = 0; k < count; ++k) rows[k] = ring.data() + static_cast<size_t>((first + k) % down.stride) * ringRow;
    const float* weights = &down.weights[static_cast<size_t>(y) * down.stride];
    uint8_t* out = target + static_cast<size_t>(y) * targetRow;
    for (size_t offset = 0; offset < targetRow; offset += kChunk) {
      const int length = static_cast<int>(std::min<size_t>(kChunk, targetRow - offset));
      sumRows(rows.data(), weights, count, offset, length, out + offset);
    }
  }
}

}  // namespace rvos
