// See pipeline_engines.h.
#include "pipeline_engines.h"

#include <algorithm>

#include "failure.h"

namespace rvos::tensorrt {

namespace {

/// An extent that may differ from profile to profile, or that the profile fixes.
constexpr int64_t kAny = -1;

std::string describe(const StageShape& shape) {
  std::string text;
  for (int i = 0; i < shape.rank; ++i) text += (i > 0 ? ", " : "") + std::to_string(shape.axes[i]);
  return "[" + text + "]";
}

void require(const StageEngine& engine, const char* tensor, StageType type, const StageShape& expected) {
  const StageShape found = engine.shape(tensor);
  bool fits = found.rank == expected.rank && engine.type(tensor) == type;
  for (int i = 0; fits && i < found.rank; ++i) {
    fits = found.axes[i] == expected.axes[i] || found.axes[i] == kAny || expected.axes[i] == kAny;
  }
  if (fits) return;
  throw Failure(code::kBadEngine, engine.path() + ": the tensor " + tensor + " is of shape " + describe(found) +
                                      " or of a type that does not fit, expected " + describe(expected));
}

void checkBackbone(const StageEngine& engine, const PipelineLimits& limits, int frames, StageType element) {
  require(engine, "frames", element, {kAny, frames, 3, limits.height, limits.width});
  require(engine, "frame_count", StageType::Int32, {kAny});
  const auto sizes = levelSizes(limits);
  for (int i = 0; i < kLevels; ++i) {
    require(engine, levelName(i), element, {kAny, frames, sizes[i].channels, sizes[i].height, sizes[i].width});
  }
}

void checkTransformer(const StageEngine& engine, const PipelineLimits& limits, StageType element) {
  const auto sizes = levelSizes(limits);
  for (int i = 0; i < kLevels; ++i) {
    require(engine, levelName(i), element, {kAny, kAny, sizes[i].channels, sizes[i].height, sizes[i].width});
  }
  const int queries = limits.objectQueries;
  const int kernel = limits.kernelSize;
  require(engine, "frame_count", StageType::Int32, {kAny});
  require(engine, "text_features", StageType::Float32, {kAny, kAny, limits.textFeatures});
  require(engine, "attention_mask", StageType::Int64, {kAny, kAny});
  require(engine, "window_index", StageType::Int32, {kAny});
  require(engine, "referred_score", StageType::Float32, {kAny, queries});
  require(engine, "query_index", StageType::Int32, {kAny});
  require(engine, "mask_kernels", StageType::Float32, {kAny, kAny, kernel});
  require(engine, "all_mask_kernels", StageType::Float32, {kAny, kAny, queries, kernel});
  require(engine, "mask_features", element, {kAny, kAny, kernel, sizes[0].height, sizes[0].width});
}

size_t mostActivations(const StageEngine& engine, int profiles) {
  size_t bytes = 0;
  for (int profile = 0; profile < profiles; ++profile) bytes = std::max(bytes, engine.activationBytes(profile));
  return bytes;
}

}  // namespace

PipelineEngines openEngines(const PipelineFiles& files, StageLoader& loader, PipelineLimits& limits) {
  PipelineEngines engines;
  engines.shortBackbone = loader.open(files.shortBackbone);
  if (limits.longFrames > 0) engines.longBackbone = loader.open(files.longBackbone);
  engines.transformer = loader.open(files.transformer);

  // FP32 engines serve comparisons; all of one pipeline are alike.
  const bool single = engines.shortBackbone->type("frames") == StageType::Float32;
  const StageType element = single ? StageType::Float32 : StageType::Float16;
  limits.element = single ? ElementType::kFloat32 : ElementType::kFloat16;
  checkBackbone(*engines.shortBackbone, limits, limits.shortFrames, element);
  if (engines.longBackbone) checkBackbone(*engines.longBackbone, limits, limits.longFrames, element);
  checkTransformer(*engines.transformer, limits, element);

  // A backbone has a profile for each number of windows, the transformer one for each form.
  limits.shortScratch = mostActivations(*engines.shortBackbone, limits.windows);
  limits.longScratch = engines.longBackbone ? mostActivations(*engines.longBackbone, limits.windows) : 0;
  limits.transformerScratch = mostActivations(*engines.transformer, limits.longFrames > 0 ? 2 : 1);
  return engines;
}

}  // namespace rvos::tensorrt
