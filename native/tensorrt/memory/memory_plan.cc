// See memory_plan.h.
#include "memory_plan.h"

#include <algorithm>

#include "failure.h"

namespace rvos::tensorrt {

namespace {

constexpr size_t kAlignment = 256;
/// More than any machine has: beyond it the limits are a mistake.
constexpr size_t kMostBytes = size_t{1} << 48;

size_t aligned(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

size_t tableBytes(const MaskHeadPlan& plan) { return plan.table.size() * sizeof(MaskTap); }

MaskHeadShape maskShape(const PipelineLimits& limits, int height, int width) {
  const LevelSize level = levelSizes(limits)[0];
  MaskHeadShape shape;
  shape.kernelSize = limits.kernelSize;
  shape.featureHeight = level.height;
  shape.featureWidth = level.width;
  shape.paddedHeight = shape.resizedHeight = limits.height;
  shape.paddedWidth = shape.resizedWidth = limits.width;
  shape.height = height;
  shape.width = width;
  return shape;
}

/// Masks on the features' own grid: nothing is resized.
MaskHeadShape linkShape(const PipelineLimits& limits) {
  const LevelSize level = levelSizes(limits)[0];
  MaskHeadShape shape = maskShape(limits, level.height, level.width);
  shape.paddedHeight = shape.resizedHeight = level.height;
  shape.paddedWidth = shape.resizedWidth = level.width;
  return shape;
}

PreprocessShape preprocessShape(const PipelineLimits& limits, const SourceFormat& source) {
  PreprocessShape shape;
  shape.format = source.format;
  shape.height = source.height;
  shape.width = source.width;
  shape.pitch = rowBytes(source.format, source.width);
  shape.targetHeight = limits.height;
  shape.targetWidth = limits.width;
  shape.antialias = source.antialias;
  shape.element = limits.element;
  return shape;
}

/// Adds `count` times what a pair of layouts is made of.
void add(MemoryPlan& plan, const Layout& layout, size_t count, size_t MemoryPart::*side, size_t MemoryPlan::*total) {
  for (const auto& [name, bytes] : layout.parts()) {
    auto part = std::find_if(plan.parts.begin(), plan.parts.end(),
                             [&, part = &name](const MemoryPart& known) { return known.name == *part; });
    if (part == plan.parts.end()) part = plan.parts.insert(plan.parts.end(), MemoryPart{name, 0, 0});
    (*part).*side += bytes * count;
    plan.*total += bytes * count;
  }
}

}  // namespace

Region Layout::take(const char* part, size_t bytes) {
  const Region region{end_, bytes};
  end_ += aligned(bytes);
  if (bytes > kMostBytes || end_ > kMostBytes) {
    throw Failure(code::kOutOfMemory, "the limits ask for more memory than any machine has");
  }
  auto known = std::find_if(parts_.begin(), parts_.end(), [&](const auto& entry) { return entry.first == part; });
  if (known == parts_.end()) known = parts_.insert(parts_.end(), {part, 0});
  known->second += aligned(bytes);
  return region;
}

BatchInputs::BatchInputs(const PipelineLimits& limits) {
  const size_t windows = limits.windows;
  const size_t sentences = limits.sentences;
  const size_t tokens = limits.tokens;
  Layout layout;
  frameCount = layout.take("inputs", windows * sizeof(int32_t));
  keptCount = layout.take("inputs", windows * sizeof(int32_t));
  positions = layout.take("inputs", windows * limits.mostFrames() * sizeof(int32_t));
  windowIndex = layout.take("inputs", sentences * sizeof(int32_t));
  linkCount = layout.take("inputs", sentences * sizeof(int32_t));
  attentionMask = layout.take("inputs", sentences * tokens * sizeof(int64_t));
  features = layout.take("inputs", sentences * tokens * limits.textFeatures * sizeof(float));
  bytes = layout.bytes();
}

SlotLayout::SlotLayout(const PipelineLimits& limits)
    : inputs(limits), linkPlan(planMaskHead(linkShape(limits))) {
  const auto sizes = levelSizes(limits);
  const size_t element = elementBytes(limits.element);
  const size_t frameCount = static_cast<size_t>(limits.windows) * limits.mostFrames();
  const size_t keptCount = static_cast<size_t>(limits.windows) * limits.shortFrames;
  const size_t sentences = limits.sentences;
  const size_t sentenceFrames = sentences * limits.mostFrames();
  const size_t queries = limits.objectQueries;
  const size_t kernel = limits.kernelSize * sizeof(float);
  linkMaskStride = maskWordBytes(sizes[0].height, sizes[0].width);
  const size_t links = queries * limits.mostFrames() * linkMaskStride;

  deviceInputs = device.take("inputs", inputs.bytes);
  activations = device.take("activations", std::max({limits.shortScratch, limits.longScratch,
                                                     limits.transformerScratch}));
  frames = device.take("frames", frameCount * frameElements(limits) * element);
  for (int i = 0; i < kLevels; ++i) {
    const size_t level = static_cast<size_t>(sizes[i].channels) * sizes[i].height * sizes[i].width * element;
    levels[i] = device.take("features", frameCount * level);
    keptLevels[i] = device.take("features", keptCount * level);
  }
  score = device.take("outputs", sentences * queries * sizeof(float));
  queryIndex = device.take("outputs", sentences * sizeof(int32_t));
  chosenKernels = device.take("outputs", sentenceFrames * kernel);
  allKernels = device.take("outputs", sentenceFrames * queries * kernel);
  maskFeatures = device.take("outputs", sentenceFrames * limits.kernelSize * sizes[0].height * sizes[0].width * element);
  linkTable = device.take("links", tableBytes(linkPlan));
  linkMasks = device.take("links", links);

  pinnedInputs = pinned.take("inputs", inputs.bytes);
  pinnedScore = pinned.take("outputs", sentences * queries * sizeof(float));
  pinnedQueryIndex = pinned.take("outputs", sentences * sizeof(int32_t));
  pinnedLinkTable = pinned.take("links", tableBytes(linkPlan));
  pinnedLinkMasks = pinned.take("links", links);
}

SourceLayout::SourceLayout(const PipelineLimits& limits, const SourceFormat& source,
                           const NormaliseLevel (&channels)[3])
    : preprocess(planPreprocess(preprocessShape(limits, source), channels)),
      maskHead(planMaskHead(maskShape(limits, source.height, source.width))),
      frameStride(aligned(frameBytes(preprocess.shape))),
      maskStride(maskWordBytes(source.height, source.width)),
      maskCapacity(static_cast<size_t>(limits.sentences) * limits.mostFrames()) {
  const size_t words = preprocess.table.size() * sizeof(uint32_t);
  for (Region& piece : staging) piece = device.take("sources", kStagedFrames * frameStride);
  preprocessTable = device.take("sources", words);
  maskTable = device.take("masks", tableBytes(maskHead));
  masks = device.take("masks", maskCapacity * maskStride);
  for (Region& piece : pinnedStaging) piece = pinned.take("sources", kStagedFrames * frameStride);
  pinnedPreprocessTable = pinned.take("sources", words);
  pinnedMaskTable = pinned.take("masks", tableBytes(maskHead));
  pinnedMasks = pinned.take("masks", maskCapacity * maskStride);
}

size_t frameElements(const PipelineLimits& limits) { return size_t{3} * limits.height * limits.width; }

size_t tailBytes(const PipelineLimits& limits) {
  return aligned(limits.mostFrames() * frameElements(limits) * elementBytes(limits.element));
}

MemoryPlan planMemory(const PipelineLimits& limits, const std::optional<SourceFormat>& source) {
  MemoryPlan plan;
  const size_t slots = limits.inFlight;
  const SlotLayout slot(limits);
  add(plan, slot.device, slots, &MemoryPart::deviceBytes, &MemoryPlan::deviceBytes);
  add(plan, slot.pinned, slots, &MemoryPart::pinnedBytes, &MemoryPlan::pinnedBytes);
  Layout tails;
  tails.take("tails", limits.streams * tailBytes(limits));
  add(plan, tails, 1, &MemoryPart::deviceBytes, &MemoryPlan::deviceBytes);
  if (source) {
    // Sizes do not depend on what the levels are normalised with.
    const NormaliseLevel channels[3] = {{0.0f, 1.0f}, {0.0f, 1.0f}, {0.0f, 1.0f}};
    const SourceLayout layout(limits, *source, channels);
    add(plan, layout.device, slots, &MemoryPart::deviceBytes, &MemoryPlan::deviceBytes);
    add(plan, layout.pinned, slots, &MemoryPart::pinnedBytes, &MemoryPlan::pinnedBytes);
  }
  return plan;
}

}  // namespace rvos::tensorrt
