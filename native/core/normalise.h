// From levels to what the network reads: (x/255 − mean)/std.
//
// Layout: uint8 [h,w,3] (interleaved) in, float32 [3,h,w] (planes) out, one frame a call. There are only 256 values a
// channel, so the host computes each once and looks pixels up; a device applies the functor directly.
#pragma once

#include <cstddef>
#include <cstdint>

#include "portable.h"

namespace rvos {

/// One channel's value, in the reference's order of float32 operations.
struct NormaliseLevel {
  float mean;
  float deviation;

  RVOS_HOST_DEVICE float operator()(uint8_t level) const {
    return (static_cast<float>(level) / 255.0f - mean) / deviation;
  }
};

/// `pixels` = h·w; `channels` are the three functors; `target` holds 3·pixels floats.
void normaliseFrame(const uint8_t* source, size_t pixels, const NormaliseLevel (&channels)[3], float* target);

}  // namespace rvos
