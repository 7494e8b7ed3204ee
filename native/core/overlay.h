// Paints masks over a frame: for each mask in turn image = color·weight + image·(1 − weight) where the mask is set, with
// levels as fractions of 1, then ×255 truncated to uint8. As published, the image is float64 and the weight float32.
//
// Layout: uint8 [H,W,3] in and out, masks bit-packed (bits.h), colours uint8 RGB triples. A pixel's result depends on
// its level, its channel and which masks cover it only: for up to 8 masks each combination that occurs gets a table of
// 3·256 levels when first met, beyond that pixels are blended one by one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "portable.h"

namespace rvos {

/// One channel value of one pixel under one mask.
struct Blend {
  float weight;

  RVOS_HOST_DEVICE double operator()(double value, uint8_t color) const {
    return static_cast<double>(color) / 255.0 * static_cast<double>(weight) +
           value * static_cast<double>(1.0f - weight);
  }
};

/// `masks`: each ceil(pixels/8) bytes; `colors`: 3 bytes a mask; `source` and `target` hold 3·pixels bytes.
void overlayFrame(const uint8_t* source, size_t pixels, const std::vector<const uint8_t*>& masks, const uint8_t* colors,
                  float weight, uint8_t* target);

}  // namespace rvos
