// See batch_inputs.h.
#include "batch_inputs.h"

#include <algorithm>
#include <cstring>

namespace rvos::tensorrt {

namespace {

/// Writes what a pass needs and returns where it ends.
size_t writePass(const SlotMemory& slot, const BatchRequest& batch, const Pass& pass) {
  const BatchInputs& inputs = slot.layout.inputs;
  const size_t base = slot.layout.pinnedInputs.offset;
  const size_t width = slot.limits.textFeatures;
  int32_t* window = slot.pinned.at<int32_t>(base + inputs.windowIndex.offset);
  int32_t* links = slot.pinned.at<int32_t>(base + inputs.linkCount.offset);
  int64_t* mask = slot.pinned.at<int64_t>(base + inputs.attentionMask.offset);
  float* features = slot.pinned.at<float>(base + inputs.features.offset);
  for (int p = 0; p < pass.sentences; ++p) {
    const SentenceRequest& sentence = batch.sentences[pass.first + p];
    window[p] = sentence.window;
    links[p] = static_cast<int32_t>(sentence.link.size());
    const size_t row = static_cast<size_t>(p) * pass.tokens;
    std::fill_n(mask + row, sentence.tokens, 1);
    std::fill_n(mask + row + sentence.tokens, pass.tokens - sentence.tokens, 0);
    std::memcpy(features + row * width, sentence.features, sentence.tokens * width * sizeof(float));
    std::fill_n(features + (row + sentence.tokens) * width, (pass.tokens - sentence.tokens) * width, 0.0f);
  }
  return inputs.features.offset + static_cast<size_t>(pass.sentences) * pass.tokens * width * sizeof(float);
}

void upload(const SlotMemory& slot, size_t from, size_t end) {
  slot.stream.copyToDevice(slot.onDevice(slot.layout.deviceInputs, from), slot.onHost(slot.layout.pinnedInputs, from),
                           end - from);
}

}  // namespace

Pass passFrom(const PipelineLimits& limits, const BatchRequest& batch, size_t first) {
  Pass pass;
  pass.first = first;
  pass.sentences = static_cast<int>(std::min<size_t>(limits.sentences, batch.sentences.size() - first));
  int longest = 1;
  for (int p = 0; p < pass.sentences; ++p) longest = std::max(longest, batch.sentences[first + p].tokens);
  pass.tokens = limits.paddedTokens(longest);
  return pass;
}

void uploadBatchInputs(const SlotMemory& slot, const BatchRequest& batch, const Pass& pass) {
  const BatchInputs& inputs = slot.layout.inputs;
  const size_t base = slot.layout.pinnedInputs.offset;
  const int frames = slot.limits.frames(formOf(slot.limits, batch));
  int32_t* count = slot.pinned.at<int32_t>(base + inputs.frameCount.offset);
  int32_t* kept = slot.pinned.at<int32_t>(base + inputs.keptCount.offset);
  int32_t* position = slot.pinned.at<int32_t>(base + inputs.positions.offset);
  for (size_t b = 0; b < batch.windows.size(); ++b) {
    const WindowRequest& window = batch.windows[b];
    count[b] = window.count;
    kept[b] = keptFrames(batch, window);
    for (int t = window.shared; t < window.count; ++t) *position++ = static_cast<int32_t>(b) * frames + t;
  }
  upload(slot, 0, writePass(slot, batch, pass));
}

void uploadPassInputs(const SlotMemory& slot, const BatchRequest& batch, const Pass& pass) {
  upload(slot, slot.layout.inputs.windowIndex.offset, writePass(slot, batch, pass));
}

}  // namespace rvos::tensorrt
