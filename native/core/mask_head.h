// From a chosen object query to its mask in one frame: kernel · features, bilinear to the padded input size, foreground,
// crop to the resized size, nearest to the original size.
//
// Layout: kernel float32 [K], features float32 [K,fh,fw] in; bit-packed row-major [H,W] out (bits.h). The padded and the
// resized image never exist: an original pixel's place in the resized image follows from the nearest rule, that
// pixel's neighbours in the features from the bilinear one, and only those are computed. Two rows of logits,
// stretched to the original width, are held at a time.
#pragma once

#include <cstdint>

#include "portable.h"

namespace rvos {

struct MaskHeadShape {
  int kernelSize;
  int featureHeight;
  int featureWidth;
  int paddedHeight;
  int paddedWidth;
  /// Part of the padded image that is not padding; at most the padded size.
  int resizedHeight;
  int resizedWidth;
  int height;
  int width;
};

/// Whether sigmoid(logit) > 0.5 in float32. The sigmoid of a positive logit up to 1.5·2^-24 rounds to 0.5 exactly.
struct Foreground {
  RVOS_HOST_DEVICE bool operator()(float logit) const { return logit > 8.94069671630859375e-8f; }
};

/// Interpolation along one axis, in the reference's order of operations.
struct Interpolate {
  RVOS_HOST_DEVICE float operator()(float lower, float lowerWeight, float upper, float upperWeight) const {
    return lowerWeight * lower + upperWeight * upper;
  }
};

/// Writes ceil(H·W/8) bytes. Throws std::bad_alloc.
void maskHead(const float* kernel, const float* features, const MaskHeadShape& shape, uint8_t* bits);

}  // namespace rvos
