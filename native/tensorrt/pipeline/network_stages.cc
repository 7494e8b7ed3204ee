// See network_stages.h.
#include "network_stages.h"

#include <string>

namespace rvos::tensorrt {

namespace {

/// Shapes a slot keeps ready: both backbones and some lengths and numbers of sentences.
constexpr size_t kKeptShapes = 12;

}  // namespace

NetworkStages::NetworkStages(const SlotMemory& slot, const PipelineEngines& engines, StageGraphs::Note note)
    : slot_(slot), engines_(engines), graphs_(slot.stream, kKeptShapes, std::move(note)) {}

void* NetworkStages::input(const Region& region) const {
  return slot_.onDevice(slot_.layout.deviceInputs, region.offset);
}

StageShape NetworkStages::levelShape(int level, int windows, int frames) const {
  const LevelSize size = levelSizes(slot_.limits)[level];
  return {windows, frames, size.channels, size.height, size.width};
}

void NetworkStages::backbone(Form form, int windows) {
  StageKey key;
  key.form = form;
  key.windows = windows;
  graphs_.run(key, [&] { return backboneContext(form, windows); });
}

std::unique_ptr<StageContext> NetworkStages::backboneContext(Form form, int windows) {
  const PipelineLimits& limits = slot_.limits;
  const SlotLayout& layout = slot_.layout;
  StageEngine& engine = form == Form::Short ? *engines_.shortBackbone : *engines_.longBackbone;
  // A backbone has a profile for each number of windows.
  auto context = engine.createContext(windows - 1, {slot_.onDevice(layout.activations), layout.activations.bytes},
                                      slot_.stream.get());
  context->setShape("frames", {windows, limits.frames(form), 3, limits.height, limits.width});
  context->setShape("frame_count", {windows});
  context->bind("frames", slot_.onDevice(layout.frames));
  context->bind("frame_count", input(layout.inputs.frameCount));
  for (int i = 0; i < kLevels; ++i) context->bind(levelName(i), slot_.onDevice(layout.levels[i]));
  return context;
}

void NetworkStages::gather(Form form, int windows, const std::vector<int>& keep) {
  const PipelineLimits& limits = slot_.limits;
  const auto sizes = levelSizes(limits);
  for (int i = 0; i < kLevels; ++i) {
    const size_t frame =
        static_cast<size_t>(sizes[i].channels) * sizes[i].height * sizes[i].width * elementBytes(limits.element);
    for (int b = 0; b < windows; ++b) {
      const size_t from = static_cast<size_t>(b) * limits.frames(form);
      const size_t to = static_cast<size_t>(b) * limits.shortFrames;
      // Neighbours move together.
      for (size_t k = 0, run; k < keep.size(); k += run) {
        run = 1;
        while (k + run < keep.size() && keep[k + run] == keep[k] + static_cast<int>(run)) ++run;
        slot_.stream.copyOnDevice(slot_.onDevice(slot_.layout.keptLevels[i], (to + k) * frame),
                                  slot_.onDevice(slot_.layout.levels[i], (from + keep[k]) * frame), run * frame);
      }
    }
  }
}

void NetworkStages::transformer(Form form, bool gathered, int windows, int sentences, int tokens) {
  StageKey key;
  key.transformer = true;
  key.form = form;
  key.gathered = gathered;
  key.windows = windows;
  key.sentences = sentences;
  key.tokens = tokens;
  graphs_.run(key, [&] { return transformerContext(key); });
}

std::unique_ptr<StageContext> NetworkStages::transformerContext(const StageKey& key) {
  const PipelineLimits& limits = slot_.limits;
  const SlotLayout& layout = slot_.layout;
  auto context =
      engines_.transformer->createContext(key.form == Form::Short ? 0 : 1,
                                          {slot_.onDevice(layout.activations), layout.activations.bytes},
                                          slot_.stream.get());
  for (int i = 0; i < kLevels; ++i) {
    context->setShape(levelName(i), levelShape(i, key.windows, limits.frames(key.form)));
    context->bind(levelName(i), slot_.onDevice(key.gathered ? layout.keptLevels[i] : layout.levels[i]));
  }
  context->setShape("frame_count", {key.windows});
  context->setShape("text_features", {key.sentences, key.tokens, limits.textFeatures});
  context->setShape("attention_mask", {key.sentences, key.tokens});
  context->setShape("window_index", {key.sentences});
  context->bind("frame_count", input(layout.inputs.keptCount));
  context->bind("text_features", input(layout.inputs.features));
  context->bind("attention_mask", input(layout.inputs.attentionMask));
  context->bind("window_index", input(layout.inputs.windowIndex));
  context->bind("referred_score", slot_.onDevice(layout.score));
  context->bind("query_index", slot_.onDevice(layout.queryIndex));
  context->bind("mask_kernels", slot_.onDevice(layout.chosenKernels));
  context->bind("all_mask_kernels", slot_.onDevice(layout.allKernels));
  context->bind("mask_features", slot_.onDevice(layout.maskFeatures));
  return context;
}

}  // namespace rvos::tensorrt
