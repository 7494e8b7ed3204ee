// The plain stages in host memory, element by element; on the simulated device that is also what a stream runs.
#include "plain_stages.h"

#ifdef RVOS_SIMULATED
#include "simulated/device_memory.h"
#include "simulated/streams.h"
#endif

namespace rvos::selftest {

void plainBackboneOnHost(const PlainBackboneJob& job) {
  for (int level = 0; level < kLevels; ++level) {
    const size_t count = static_cast<size_t>(job.windows) * job.frames * elementsOf(job.levels[level]);
    for (size_t at = 0; at < count; ++at) job.outputs[level][at] = plainLevel(job, level, at);
  }
}

void plainTransformerOnHost(const PlainTransformerJob& job) {
  for (int sentence = 0; sentence < job.sentences; ++sentence) {
    for (int query = 0; query < job.queries; ++query) {
      job.score[static_cast<size_t>(sentence) * job.queries + query] = plainScore(job, sentence, query);
    }
    job.queryIndex[sentence] = plainQuery(job, sentence);
  }
  const size_t kernels = static_cast<size_t>(job.sentences) * job.frames * job.kernelSize;
  for (size_t at = 0; at < kernels * job.queries; ++at) job.allKernels[at] = plainKernel(job, at);
  for (size_t at = 0; at < kernels; ++at) job.chosenKernels[at] = plainChosenKernel(job, at);
  const size_t area = static_cast<size_t>(job.levels[0].height) * job.levels[0].width;
  for (size_t at = 0; at < kernels * area; ++at) job.maskFeatures[at] = plainFeature(job, at);
}

#ifdef RVOS_SIMULATED

namespace sim = simulated;

cudaError_t launchPlainBackbone(const PlainBackboneJob& queued, cudaStream_t stream) {
  return sim::enqueue(stream, "stage", [queued] {
    PlainBackboneJob job = queued;
    const size_t frames = static_cast<size_t>(job.windows) * job.frames;
    const auto input = sim::onDevice(job.input, frames * 3 * job.height * job.width);
    const auto counts = sim::onDevice(job.frameCount, job.windows);
    job.input = input.data;
    job.frameCount = counts.data;
    sim::Span<uint16_t> levels[kLevels];
    for (int i = 0; i < kLevels; ++i) {
      levels[i] = sim::onDevice(job.outputs[i], frames * elementsOf(job.levels[i]));
      job.outputs[i] = levels[i].data;
    }
    plainBackboneOnHost(job);
  });
}

cudaError_t launchPlainTransformer(const PlainTransformerJob& queued, cudaStream_t stream) {
  return sim::enqueue(stream, "stage", [queued] {
    PlainTransformerJob job = queued;
    const size_t sentences = job.sentences;
    const size_t kernels = sentences * job.frames * job.kernelSize;
    const size_t area = static_cast<size_t>(job.levels[0].height) * job.levels[0].width;
    sim::Span<uint16_t> levels[kLevels];
    for (int i = 0; i < kLevels; ++i) {
      levels[i] = sim::onDevice(job.inputs[i], static_cast<size_t>(job.windows) * job.frames * elementsOf(job.levels[i]));
      job.inputs[i] = levels[i].data;
    }
    const auto counts = sim::onDevice(job.frameCount, job.windows);
    const auto text = sim::onDevice(job.text, sentences * job.tokens * job.textFeatures);
    const auto attention = sim::onDevice(job.attention, sentences * job.tokens);
    const auto windows = sim::onDevice(job.windowIndex, sentences);
    const auto score = sim::onDevice(job.score, sentences * job.queries);
    const auto query = sim::onDevice(job.queryIndex, sentences);
    const auto chosen = sim::onDevice(job.chosenKernels, kernels);
    const auto all = sim::onDevice(job.allKernels, kernels * job.queries);
    const auto features = sim::onDevice(job.maskFeatures, kernels * area);
    job.frameCount = counts.data;
    job.text = text.data;
    job.attention = attention.data;
    job.windowIndex = windows.data;
    job.score = score.data;
    job.queryIndex = query.data;
    job.chosenKernels = chosen.data;
    job.allKernels = all.data;
    job.maskFeatures = features.data;
    plainTransformerOnHost(job);
  });
}

#endif

}  // namespace rvos::selftest
