// See mask_return.h.
#include "mask_return.h"

#include <algorithm>
#include <cstring>

#include "kernels/mask_head.h"
#include "link_choice.h"

namespace rvos::tensorrt {

namespace {

size_t maskBytes(const SourceFormat& source) { return (static_cast<size_t>(source.height) * source.width + 7) / 8; }

const WindowRequest& windowOf(const BatchRequest& batch, const SentenceRequest& sentence) {
  return batch.windows[static_cast<size_t>(sentence.window)];
}

void launch(const MaskHeadJob& job, const cuda::Stream& stream) {
  cuda::check(launchMaskHead(job, stream.get()), "mask-head kernel");
}

}  // namespace

void MaskReturn::run(const BatchRequest& batch, const Pass& pass, Form form, std::vector<int>& chosen) {
  const int frames = slot_.limits.frames(form);
  const auto* begin = batch.sentences.data() + pass.first;
  const bool linked = std::any_of(begin, begin + pass.sentences, [](const auto& s) { return !s.link.empty(); });
  if (linked) link(batch, pass, frames);
  const size_t queries = slot_.limits.objectQueries;
  timer_.measure("download", [&] {
    download(slot_.layout.pinnedScore, slot_.layout.score, pass.sentences * queries * sizeof(float));
    download(slot_.layout.pinnedQueryIndex, slot_.layout.queryIndex, pass.sentences * sizeof(int32_t));
  });
  if (batch.allQueries) {
    allMasks(batch, pass, frames);
  } else {
    chosenMasks(batch, pass, frames);
  }
  const float* scores = slot_.onHost<const float>(slot_.layout.pinnedScore);
  const int32_t* index = slot_.onHost<const int32_t>(slot_.layout.pinnedQueryIndex);
  for (int p = 0; p < pass.sentences; ++p) {
    chosen[pass.first + p] = index[p];
    std::memcpy(begin[p].scores, scores + p * queries, queries * sizeof(float));
  }
}

MaskHeadJob MaskReturn::job(int first, int sentences, int frames) const {
  const PipelineLimits& limits = slot_.limits;
  const LevelSize size = levelSizes(limits)[0];
  const size_t kernels = static_cast<size_t>(frames) * limits.objectQueries * limits.kernelSize * sizeof(float);
  const size_t features =
      static_cast<size_t>(frames) * limits.kernelSize * size.height * size.width * elementBytes(limits.element);
  const BatchInputs& inputs = slot_.layout.inputs;
  const size_t from = first * sizeof(int32_t);
  MaskHeadJob job;
  job.kernels = slot_.onDevice<const float>(slot_.layout.allKernels, first * kernels);
  job.features = slot_.onDevice<const void>(slot_.layout.maskFeatures, first * features);
  job.featureType = limits.element;
  job.sentences = sentences;
  job.frames = frames;
  job.objectQueries = limits.objectQueries;
  job.frameCount = slot_.onDevice<const int32_t>(slot_.layout.deviceInputs, inputs.keptCount.offset);
  job.window = slot_.onDevice<const int32_t>(slot_.layout.deviceInputs, inputs.windowIndex.offset + from);
  return job;
}

void MaskReturn::download(const Region& pinned, const Region& device, size_t bytes) const {
  slot_.stream.copyToHost(slot_.onHost(pinned), slot_.onDevice(device), bytes);
}

void MaskReturn::link(const BatchRequest& batch, const Pass& pass, int frames) {
  const SlotLayout& layout = slot_.layout;
  const LevelSize size = levelSizes(slot_.limits)[0];
  download(layout.pinnedQueryIndex, layout.queryIndex, pass.sentences * sizeof(int32_t));
  int32_t* index = slot_.onHost<int32_t>(layout.pinnedQueryIndex);
  for (int p = 0; p < pass.sentences; ++p) {
    const SentenceRequest& sentence = batch.sentences[pass.first + p];
    if (sentence.link.empty()) continue;
    MaskHeadJob masks = job(p, 1, frames);
    masks.shape = layout.linkPlan.shape;
    masks.tiling = layout.linkPlan.tiling;
    masks.table = slot_.onDevice<const MaskTap>(layout.linkTable);
    masks.queryCount = slot_.limits.objectQueries;
    masks.frameCount = slot_.onDevice<const int32_t>(layout.deviceInputs,
                                                     layout.inputs.linkCount.offset + p * sizeof(int32_t));
    masks.window = nullptr;
    masks.masks = slot_.onDevice<uint8_t>(layout.linkMasks);
    masks.maskStride = layout.linkMaskStride;
    timer_.measure("mask-head", [&] { launch(masks, slot_.stream); });
    download(layout.pinnedLinkMasks, layout.linkMasks,
             static_cast<size_t>(slot_.limits.objectQueries) * frames * layout.linkMaskStride);
    slot_.stream.synchronize();
    const LinkCandidates candidates{slot_.onHost<const uint8_t>(layout.pinnedLinkMasks), layout.linkMaskStride,
                                    slot_.limits.objectQueries, frames, size.height, size.width};
    const auto found = linkedObjectQuery(candidates, sentence.link, batch.source.height, batch.source.width);
    if (found) index[p] = *found;
  }
  slot_.stream.copyToDevice(slot_.onDevice(layout.queryIndex), index, pass.sentences * sizeof(int32_t));
  slot_.stream.synchronize();
}

void MaskReturn::chosenMasks(const BatchRequest& batch, const Pass& pass, int frames) {
  const SourceLayout& layout = source_.layout();
  MaskHeadJob masks = job(0, pass.sentences, frames);
  masks.shape = layout.maskHead.shape;
  masks.tiling = layout.maskHead.tiling;
  masks.table = source_.onDevice<const MaskTap>(layout.maskTable);
  masks.chosen = slot_.onDevice<const int32_t>(slot_.layout.queryIndex);
  masks.masks = source_.onDevice<uint8_t>(layout.masks);
  masks.maskStride = layout.maskStride;
  timer_.measure("mask-head", [&] { launch(masks, slot_.stream); });
  const size_t stride = frames * layout.maskStride;
  timer_.measure("download", [&] {
    for (int p = 0; p < pass.sentences; ++p) {
      const int kept = keptFrames(batch, windowOf(batch, batch.sentences[pass.first + p]));
      slot_.stream.copyToHost(source_.onHost(layout.pinnedMasks, p * stride), source_.onDevice(layout.masks, p * stride),
                              kept * layout.maskStride);
    }
  });
  slot_.stream.synchronize();
  const size_t bytes = maskBytes(batch.source);
  for (int p = 0; p < pass.sentences; ++p) {
    const SentenceRequest& sentence = batch.sentences[pass.first + p];
    const int kept = keptFrames(batch, windowOf(batch, sentence));
    for (int t = 0; t < kept; ++t) {
      std::memcpy(sentence.masks + t * bytes, source_.onHost(layout.pinnedMasks, p * stride + t * layout.maskStride),
                  bytes);
    }
  }
}

void MaskReturn::allMasks(const BatchRequest& batch, const Pass& pass, int frames) {
  const SourceLayout& layout = source_.layout();
  const size_t bytes = maskBytes(batch.source);
  const int queries = slot_.limits.objectQueries;
  const int chunk = static_cast<int>(std::min<size_t>(queries, layout.maskCapacity / frames));
  for (int p = 0; p < pass.sentences; ++p) {
    const SentenceRequest& sentence = batch.sentences[pass.first + p];
    const int kept = keptFrames(batch, windowOf(batch, sentence));
    for (int first = 0; first < queries; first += chunk) {
      const int count = std::min(chunk, queries - first);
      MaskHeadJob masks = job(p, 1, frames);
      masks.shape = layout.maskHead.shape;
      masks.tiling = layout.maskHead.tiling;
      masks.table = source_.onDevice<const MaskTap>(layout.maskTable);
      masks.firstQuery = first;
      masks.queryCount = count;
      masks.masks = source_.onDevice<uint8_t>(layout.masks);
      masks.maskStride = layout.maskStride;
      timer_.measure("mask-head", [&] { launch(masks, slot_.stream); });
      timer_.measure("download", [&] {
        slot_.stream.copyToHost(source_.onHost(layout.pinnedMasks), source_.onDevice(layout.masks),
                                static_cast<size_t>(count) * frames * layout.maskStride);
      });
      slot_.stream.synchronize();
      for (int q = 0; q < count; ++q) {
        for (int t = 0; t < kept; ++t) {
          const size_t from = (static_cast<size_t>(q) * frames + t) * layout.maskStride;
          std::memcpy(sentence.masks + (static_cast<size_t>(first + q) * kept + t) * bytes,
                      source_.onHost(layout.pinnedMasks, from), bytes);
        }
      }
    }
  }
}

}  // namespace rvos::tensorrt
