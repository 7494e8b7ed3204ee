// Two stages with the tensors of the real network and no weights: what a window pipeline may get wrong (a frame, a window, a
// sentence, a token, an order of streams) changes their results, and host and device agree to the last bit. Levels and mask
// features are bits of the frames moved about; scores and mask kernels are sums in a fixed order.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

#include "portable.h"

namespace rvos::selftest {

constexpr int kLevels = 3;

struct LevelExtent {
  int channels;
  int height;
  int width;
};

/// frames [windows,frames,3,height,width] as bits of halves, frame_count [windows] → levels.
struct PlainBackboneJob {
  int windows = 0;
  int frames = 0;
  int height = 0;
  int width = 0;
  LevelExtent levels[kLevels] = {};
  const uint16_t* input = nullptr;
  const int32_t* frameCount = nullptr;
  uint16_t* outputs[kLevels] = {};
};

/// Levels, frame_count [windows], text_features [sentences,tokens,textFeatures], attention_mask [sentences,tokens],
/// window_index [sentences] → the transformer's outputs.
struct PlainTransformerJob {
  int windows = 0;
  int frames = 0;
  int sentences = 0;
  int tokens = 0;
  int textFeatures = 0;
  int queries = 0;
  int kernelSize = 0;
  LevelExtent levels[kLevels] = {};
  const uint16_t* inputs[kLevels] = {};
  const int32_t* frameCount = nullptr;
  const float* text = nullptr;
  const int64_t* attention = nullptr;
  const int32_t* windowIndex = nullptr;
  float* score = nullptr;
  int32_t* queryIndex = nullptr;
  float* chosenKernels = nullptr;
  float* allKernels = nullptr;
  uint16_t* maskFeatures = nullptr;
};

RVOS_HOST_DEVICE size_t elementsOf(const LevelExtent& level) {
  return static_cast<size_t>(level.channels) * level.height * level.width;
}

/// What stands in frames beyond a window's last: infinity, so that nobody uses it unnoticed.
constexpr uint16_t kBeyond = 0x7c00;
constexpr uint16_t kSign = 0x8000;

/// `at`: index into one level's [windows,frames,channels,height,width].
RVOS_HOST_DEVICE uint16_t plainLevel(const PlainBackboneJob& job, int level, size_t at) {
  const LevelExtent& size = job.levels[level];
  const int x = static_cast<int>(at % size.width);
  const int y = static_cast<int>(at / size.width % size.height);
  const int channel = static_cast<int>(at / (static_cast<size_t>(size.width) * size.height) % size.channels);
  const size_t frame = at / elementsOf(size);
  const int window = static_cast<int>(frame / job.frames);
  if (static_cast<int>(frame % job.frames) >= job.frameCount[window]) return kBeyond;
  const int stride = 4 << level;
  const int row = y * stride < job.height ? y * stride : job.height - 1;
  const int column = x * stride < job.width ? x * stride : job.width - 1;
  const size_t pixel = ((frame * 3 + channel % 3) * job.height + row) * job.width + column;
  return static_cast<uint16_t>(job.input[pixel] ^ (channel / 3 % 2 == 1 ? kSign : 0));
}

/// Ten bits of a level's value as a number in [0, 1).
RVOS_HOST_DEVICE float plainValue(const PlainTransformerJob& job, int level, int window, int frame, int at) {
  const size_t size = elementsOf(job.levels[level]);
  const size_t first = (static_cast<size_t>(window) * job.frames + frame) * size;
  return static_cast<float>(job.inputs[level][first + at % size] & 0x3ff) / 1024.0f;
}

RVOS_HOST_DEVICE float plainScore(const PlainTransformerJob& job, int sentence, int query) {
  const int window = job.windowIndex[sentence];
  float sum = 0;
  for (int token = 0; token < job.tokens; ++token) {
    const size_t place = static_cast<size_t>(sentence) * job.tokens + token;
    if (job.attention[place] == 0) continue;
    const float* features = job.text + place * job.textFeatures;
    for (int i = 0; i < job.textFeatures; ++i) sum = sum + features[i] * static_cast<float>((i + query) % 7 - 3);
  }
  for (int frame = 0; frame < job.frameCount[window]; ++frame) {
    sum = sum + plainValue(job, 1, window, frame, query * 13 + frame);
  }
  return sum;
}

RVOS_HOST_DEVICE int plainQuery(const PlainTransformerJob& job, int sentence) {
  const float* scores = job.score + static_cast<size_t>(sentence) * job.queries;
  int best = 0;
  for (int query = 1; query < job.queries; ++query) {
    if (scores[query] > scores[best]) best = query;
  }
  return best;
}

/// `at`: index into [sentences,frames,queries,kernelSize].
RVOS_HOST_DEVICE float plainKernel(const PlainTransformerJob& job, size_t at) {
  const int k = static_cast<int>(at % job.kernelSize);
  const int query = static_cast<int>(at / job.kernelSize % job.queries);
  const size_t image = at / (static_cast<size_t>(job.kernelSize) * job.queries);
  const int frame = static_cast<int>(image % job.frames);
  const int sentence = static_cast<int>(image / job.frames);
  const int window = job.windowIndex[sentence];
  const float own = static_cast<float>((query * 5 + k * 3) % 11) - 5.0f;
  if (frame >= job.frameCount[window]) return own;
  const float said = job.score[static_cast<size_t>(sentence) * job.queries + query] * 0.125f;
  return own + said + plainValue(job, 2, window, frame, query * 3 + k);
}

/// `at`: index into [sentences,frames,kernelSize].
RVOS_HOST_DEVICE float plainChosenKernel(const PlainTransformerJob& job, size_t at) {
  const size_t image = at / job.kernelSize;
  const int query = job.queryIndex[image / job.frames];
  return job.allKernels[(image * job.queries + query) * job.kernelSize + at % job.kernelSize];
}

/// `at`: index into [sentences,frames,kernelSize,height,width] of the first level.
RVOS_HOST_DEVICE uint16_t plainFeature(const PlainTransformerJob& job, size_t at) {
  const size_t area = static_cast<size_t>(job.levels[0].height) * job.levels[0].width;
  const int k = static_cast<int>(at / area % job.kernelSize);
  const size_t image = at / (area * job.kernelSize);
  const int window = job.windowIndex[image / job.frames];
  const int channel = k % job.levels[0].channels;
  const size_t frame = static_cast<size_t>(window) * job.frames + image % job.frames;
  const uint16_t bits = job.inputs[0][(frame * job.levels[0].channels + channel) * area + at % area];
  return static_cast<uint16_t>(bits ^ (k % 2 == 1 ? kSign : 0));
}

/// Queue a stage; may be captured in a graph.
cudaError_t launchPlainBackbone(const PlainBackboneJob& job, cudaStream_t stream);
cudaError_t launchPlainTransformer(const PlainTransformerJob& job, cudaStream_t stream);

/// The same in host memory.
void plainBackboneOnHost(const PlainBackboneJob& job);
void plainTransformerOnHost(const PlainTransformerJob& job);

}  // namespace rvos::selftest
