// The kernels' launchers, on the simulated device: the CPU twins, run by the stream on device memory that was checked first.
#include <algorithm>

#include "../tensorrt/kernels/mask_head.h"
#include "../tensorrt/kernels/preprocess.h"
#include "device_memory.h"
#include "streams.h"

namespace rvos {

namespace sim = simulated;

cudaError_t launchPreprocess(const PreprocessJob& queued, cudaStream_t stream) {
  if (queued.frames == 0) return cudaSuccess;
  return sim::enqueue(stream, "kernel", [queued] {
    PreprocessJob job = queued;
    const size_t last = static_cast<size_t>(job.frames) - 1;
    const auto table = sim::resolveDeviceRest(job.table);
    const auto source = sim::resolveDevice(job.source, last * job.frameStride + frameBytes(job.shape));
    const auto positions = sim::onDevice(job.positions, job.positions != nullptr ? job.frames : 0);
    const auto target = sim::resolveDeviceRest(job.target);
    const size_t frame = size_t{3} * job.shape.targetHeight * job.shape.targetWidth * elementBytes(job.shape.element);
    for (int i = 0; i < job.frames; ++i) {
      const int position = job.positions != nullptr ? positions.data[i] : i;
      if (position >= 0 && (static_cast<size_t>(position) + 1) * frame > target.bytes) {
        throw sim::IllegalAddress("preprocess writes beyond its target");
      }
    }
    job.table = reinterpret_cast<const uint32_t*>(table.data);
    job.source = source.data;
    job.positions = job.positions != nullptr ? positions.data : nullptr;
    job.target = target.data;
    preprocessOnHost(job);
  });
}

cudaError_t launchMaskHead(const MaskHeadJob& queued, cudaStream_t stream) {
  return sim::enqueue(stream, "kernel", [queued] {
    MaskHeadJob job = queued;
    const MaskHeadShape& shape = job.shape;
    const size_t sentences = job.sentences;
    const size_t frames = sentences * job.frames;
    const size_t feature = static_cast<size_t>(shape.kernelSize) * shape.featureHeight * shape.featureWidth;
    const auto table = sim::onDevice(job.table, static_cast<size_t>(shape.height) + shape.width);
    const auto kernels = sim::onDevice(job.kernels, frames * job.objectQueries * shape.kernelSize);
    const auto features = sim::resolveDevice(job.features, frames * feature * elementBytes(job.featureType));
    sim::Span<int32_t> chosen;
    sim::Span<int32_t> counts;
    sim::Span<int32_t> window;
    if (job.chosen != nullptr) chosen = sim::onDevice(job.chosen, sentences);
    if (job.window != nullptr) window = sim::onDevice(job.window, sentences);
    if (job.frameCount != nullptr) {
      size_t count = sentences;
      for (size_t p = 0; p < sentences && job.window != nullptr; ++p) {
        count = p == 0 ? window.data[0] + size_t{1} : std::max(count, window.data[p] + size_t{1});
      }
      counts = sim::onDevice(job.frameCount, count);
    }
    for (size_t p = 0; p < sentences && job.chosen != nullptr; ++p) {
      if (chosen.data[p] < 0 || chosen.data[p] >= job.objectQueries) {
        throw sim::IllegalAddress("mask head: an object query out of range");
      }
    }
    const size_t masks = frames * (job.chosen != nullptr ? 1 : job.queryCount);
    const auto target = sim::resolveDevice(job.masks, masks * job.maskStride);
    job.table = table.data;
    job.kernels = kernels.data;
    job.features = features.data;
    job.chosen = chosen.data;
    job.window = window.data;
    job.frameCount = counts.data;
    job.masks = target.data;
    maskHeadOnHost(job);
  });
}

}  // namespace rvos
