// See mask_head.h for intent and layout.
#include "mask_head.h"

#include <algorithm>
#include <vector>

#include "bits.h"
#include "sampling.h"

namespace rvos {

namespace {

void addScaled(const float* RVOS_RESTRICT values, float weight, int count, float* RVOS_RESTRICT sum) {
  for (int i = 0; i < count; ++i) sum[i] += weight * values[i];
}

void thresholdRow(const float* RVOS_RESTRICT lower, float lowerWeight, const float* RVOS_RESTRICT upper,
                  float upperWeight, int count, uint8_t* RVOS_RESTRICT pixels) {
  const Interpolate interpolate;
  const Foreground foreground;
  for (int i = 0; i < count; ++i) {
    pixels[i] = foreground(interpolate(lower[i], lowerWeight, upper[i], upperWeight)) ? 1 : 0;
  }
}

/// Rows of logits at the original width, made when asked for; the two last used are kept.
class StretchedRows {
 public:
  StretchedRows(const float* kernel, const float* features, const MaskHeadShape& shape)
      : kernel_(kernel), features_(features), shape_(shape), logits_(shape.featureWidth), taps_(shape.width) {
    const NearestSource nearest{axisScale(shape.resizedWidth, shape.width), shape.resizedWidth};
    const BilinearSource bilinear{axisScale(shape.featureWidth, shape.paddedWidth), shape.featureWidth};
    for (int x = 0; x < shape.width; ++x) taps_[x] = bilinear(nearest(x));
    for (auto& row : rows_) row.resize(shape.width);
  }

  const float* operator()(int y) {
    const int slot = y & 1;
    if (held_[slot] != y) {
      fill(y, rows_[slot]);
      held_[slot] = y;
    }
    return rows_[slot].data();
  }

 private:
  void fill(int y, std::vector<float>& row) {
    std::fill(logits_.begin(), logits_.end(), 0.0f);
    const size_t plane = static_cast<size_t>(shape_.featureHeight) * shape_.featureWidth;
    for (int k = 0; k < shape_.kernelSize; ++k) {
      addScaled(features_ + k * plane + static_cast<size_t>(y) * shape_.featureWidth, kernel_[k], shape_.featureWidth,
                logits_.data());
    }
    const Interpolate interpolate;
    for (int x = 0; x < shape_.width; ++x) {
      const BilinearTap& tap = taps_[x];
      row[x] = interpolate(logits_[tap.lower], tap.lowerWeight, logits_[tap.upper], tap.upperWeight);
    }
  }

  const float* kernel_;
  const float* features_;
  const MaskHeadShape& shape_;
  std::vector<float> logits_;
  std::vector<BilinearTap> taps_;
  std::vector<float> rows_[2];
  int held_[2] = {-1, -1};
};

}  // namespace

void maskHead(const float* kernel, const float* features, const MaskHeadShape& shape, uint8_t* bits) {
  StretchedRows rows(kernel, features, shape);
  const NearestSource nearest{axisScale(shape.resizedHeight, shape.height), shape.resizedHeight};
  const BilinearSource bilinear{axisScale(shape.featureHeight, shape.paddedHeight), shape.featureHeight};
  std::vector<uint8_t> pixels(shape.width);
  BitWriter writer(bits);
  int previous = -1;
  for (int y = 0; y < shape.height; ++y) {
    const int resizedRow = nearest(y);
    if (resizedRow != previous) {
      const BilinearTap tap = bilinear(resizedRow);
      const float* lower = rows(tap.lower);
      const float* upper = rows(tap.upper);
      thresholdRow(lower, tap.lowerWeight, upper, tap.upperWeight, shape.width, pixels.data());
      previous = resizedRow;
    }
    writer.append(pixels.data(), pixels.size());
  }
  writer.finish();
}

}  // namespace rvos
