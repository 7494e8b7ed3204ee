// See plain_pipeline.h.
#include "plain_pipeline.h"

#include <cstring>
#include <numeric>

#include "mask_head_job.h"
#include "noise.h"
#include "plain_network.h"
#include "preprocess_job.h"
#include "tensorrt/memory/memory_plan.h"

namespace rvos::selftest {

using tensorrt::PipelineLimits;
using tensorrt::SourceFormat;

Video noiseVideo(int64_t stream, const SourceFormat& source, int frames) {
  Video video;
  video.stream = stream;
  video.source = source;
  video.pitch = rowBytes(source.format, source.width) + 6;
  PreprocessShape shape;
  shape.format = source.format;
  shape.height = source.height;
  shape.width = source.width;
  shape.pitch = video.pitch;
  for (int i = 0; i < frames; ++i) {
    // Whole rows, the last one too.
    const size_t bytes = frameBytes(shape) + video.pitch;
    video.frames.push_back(noiseBytes(bytes, static_cast<uint32_t>(stream * 1000 + i)));
  }
  return video;
}

size_t maskBytes(const SourceFormat& source) { return (static_cast<size_t>(source.height) * source.width + 7) / 8; }

namespace {

/// float16 [count,3,height,width]
std::vector<uint16_t> preprocessed(const PipelineLimits& limits, const tensorrt::SourceLayout& layout,
                                   const tensorrt::Normalisation& normalisation, const Video& video, int start,
                                   int count) {
  PreprocessShape shape = layout.preprocess.shape;
  shape.pitch = video.pitch;
  const PreprocessPlan plan = planPreprocess(shape, normalisation.channels);
  std::vector<uint16_t> frames(static_cast<size_t>(count) * 3 * limits.height * limits.width);
  for (int i = 0; i < count; ++i) {
    PreprocessJob job;
    job.shape = plan.shape;
    job.tiling = plan.tiling;
    job.table = plan.table.data();
    job.source = video.frames[static_cast<size_t>(start + i)].data();
    job.frameStride = frameBytes(shape);
    job.frames = 1;
    job.target = frames.data() + static_cast<size_t>(i) * 3 * limits.height * limits.width;
    preprocessOnHost(job);
  }
  return frames;
}

}  // namespace

Outcome plainWindow(const PipelineLimits& limits, const tensorrt::Normalisation& normalisation, const Video& video,
                    int start, int count, const Text& text, const std::vector<int>& keep, bool allQueries) {
  const tensorrt::SourceLayout layout(limits, video.source, normalisation.channels);
  const std::vector<uint16_t> frames = preprocessed(limits, layout, normalisation, video, start, count);

  PlainBackboneJob backbone;
  const int32_t frameCount = count;
  backbone.windows = 1;
  backbone.frames = count;
  backbone.height = limits.height;
  backbone.width = limits.width;
  levelExtents(limits, backbone.levels);
  backbone.input = frames.data();
  backbone.frameCount = &frameCount;
  std::vector<uint16_t> levels[kLevels];
  for (int i = 0; i < kLevels; ++i) {
    levels[i].resize(count * elementsOf(backbone.levels[i]));
    backbone.outputs[i] = levels[i].data();
  }
  plainBackboneOnHost(backbone);

  std::vector<int> kept = keep;
  if (kept.empty()) {
    kept.resize(static_cast<size_t>(count));
    std::iota(kept.begin(), kept.end(), 0);
  }
  const int32_t keptCount = static_cast<int32_t>(kept.size());
  PlainTransformerJob job;
  job.windows = 1;
  job.frames = keptCount;
  job.sentences = 1;
  job.tokens = text.tokens;
  job.textFeatures = limits.textFeatures;
  job.queries = limits.objectQueries;
  job.kernelSize = limits.kernelSize;
  std::vector<uint16_t> keptLevels[kLevels];
  for (int i = 0; i < kLevels; ++i) {
    job.levels[i] = backbone.levels[i];
    const size_t size = elementsOf(job.levels[i]);
    keptLevels[i].resize(kept.size() * size);
    for (size_t k = 0; k < kept.size(); ++k) {
      std::memcpy(&keptLevels[i][k * size], &levels[i][kept[k] * size], size * sizeof(uint16_t));
    }
    job.inputs[i] = keptLevels[i].data();
  }
  const std::vector<int64_t> attention(static_cast<size_t>(text.tokens), 1);
  const int32_t window = 0;
  job.frameCount = &keptCount;
  job.text = text.features.data();
  job.attention = attention.data();
  job.windowIndex = &window;

  Outcome outcome;
  const size_t kernels = kept.size() * limits.kernelSize;
  outcome.scores.resize(static_cast<size_t>(limits.objectQueries));
  int32_t query = 0;
  std::vector<float> chosenKernels(kernels);
  std::vector<float> allKernels(kernels * limits.objectQueries);
  std::vector<uint16_t> features(kernels * job.levels[0].height * job.levels[0].width);
  job.score = outcome.scores.data();
  job.queryIndex = &query;
  job.chosenKernels = chosenKernels.data();
  job.allKernels = allKernels.data();
  job.maskFeatures = features.data();
  plainTransformerOnHost(job);
  outcome.objectQuery = query;

  MaskHeadJob masks;
  masks.shape = layout.maskHead.shape;
  masks.tiling = layout.maskHead.tiling;
  masks.table = layout.maskHead.table.data();
  masks.kernels = allKernels.data();
  masks.features = features.data();
  masks.sentences = 1;
  masks.frames = keptCount;
  masks.objectQueries = limits.objectQueries;
  masks.chosen = allQueries ? nullptr : &query;
  masks.queryCount = allQueries ? limits.objectQueries : 1;
  masks.maskStride = maskWordBytes(video.source.height, video.source.width);
  const size_t images = static_cast<size_t>(masks.queryCount) * kept.size();
  std::vector<uint8_t> words(images * masks.maskStride);
  masks.masks = words.data();
  maskHeadOnHost(masks);
  const size_t bytes = maskBytes(video.source);
  outcome.masks.resize(images * bytes);
  for (size_t i = 0; i < images; ++i) std::memcpy(&outcome.masks[i * bytes], &words[i * masks.maskStride], bytes);
  return outcome;
}

}  // namespace rvos::selftest
