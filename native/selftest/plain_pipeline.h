// What a window pipeline with plain stages should give, worked out the plain way: one window and one sentence at a time, exactly
// as many frames and tokens as there are, no batch, no padding, no device.
#pragma once

#include <cstdint>
#include <vector>

#include "tensorrt/memory/source_memory.h"
#include "tensorrt/pipeline/pipeline_limits.h"

namespace rvos::selftest {

struct Video {
  int64_t stream = 0;
  tensorrt::SourceFormat source;
  size_t pitch = 0;
  std::vector<std::vector<uint8_t>> frames;
};

/// Noise, with rows a little longer than their pixels.
Video noiseVideo(int64_t stream, const tensorrt::SourceFormat& source, int frames);

struct Text {
  int tokens = 0;
  std::vector<float> features;
};

struct Outcome {
  int objectQuery = -1;
  std::vector<float> scores;
  /// Bit-packed, one a kept frame; of all object queries: query-major.
  std::vector<uint8_t> masks;
};

size_t maskBytes(const tensorrt::SourceFormat& source);

/// `keep`: positions in the window; empty: all.
Outcome plainWindow(const tensorrt::PipelineLimits& limits, const tensorrt::Normalisation& normalisation,
                    const Video& video, int start, int count, const Text& text, const std::vector<int>& keep,
                    bool allQueries);

}  // namespace rvos::selftest
