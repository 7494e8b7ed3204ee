// The plain stages on a GPU: one thread an element, one launch for each output that needs another.
#include <cuda_runtime.h>

#include "plain_stages.h"

namespace rvos::selftest {

namespace {

constexpr int kThreads = 256;

unsigned blocksFor(size_t count) { return static_cast<unsigned>((count + kThreads - 1) / kThreads); }

__device__ __forceinline__ size_t threadIndex() { return static_cast<size_t>(blockIdx.x) * kThreads + threadIdx.x; }

__global__ void levelKernel(const __grid_constant__ PlainBackboneJob job, int level, size_t count) {
  const size_t at = threadIndex();
  if (at < count) job.outputs[level][at] = plainLevel(job, level, at);
}

__global__ void scoreKernel(const __grid_constant__ PlainTransformerJob job) {
  const size_t at = threadIndex();
  if (at >= static_cast<size_t>(job.sentences) * job.queries) return;
  job.score[at] = plainScore(job, static_cast<int>(at / job.queries), static_cast<int>(at % job.queries));
}

__global__ void queryKernel(const __grid_constant__ PlainTransformerJob job) {
  const size_t sentence = threadIndex();
  if (sentence < static_cast<size_t>(job.sentences)) {
    job.queryIndex[sentence] = plainQuery(job, static_cast<int>(sentence));
  }
}

__global__ void kernelKernel(const __grid_constant__ PlainTransformerJob job, size_t count) {
  const size_t at = threadIndex();
  if (at < count) job.allKernels[at] = plainKernel(job, at);
}

__global__ void chosenKernel(const __grid_constant__ PlainTransformerJob job, size_t count) {
  const size_t at = threadIndex();
  if (at < count) job.chosenKernels[at] = plainChosenKernel(job, at);
}

__global__ void featureKernel(const __grid_constant__ PlainTransformerJob job, size_t count) {
  const size_t at = threadIndex();
  if (at < count) job.maskFeatures[at] = plainFeature(job, at);
}

}  // namespace

cudaError_t launchPlainBackbone(const PlainBackboneJob& job, cudaStream_t stream) {
  for (int level = 0; level < kLevels; ++level) {
    const size_t count = static_cast<size_t>(job.windows) * job.frames * elementsOf(job.levels[level]);
    levelKernel<<<blocksFor(count), kThreads, 0, stream>>>(job, level, count);
  }
  return cudaGetLastError();
}

cudaError_t launchPlainTransformer(const PlainTransformerJob& job, cudaStream_t stream) {
  const size_t kernels = static_cast<size_t>(job.sentences) * job.frames * job.kernelSize;
  const size_t area = static_cast<size_t>(job.levels[0].height) * job.levels[0].width;
  scoreKernel<<<blocksFor(static_cast<size_t>(job.sentences) * job.queries), kThreads, 0, stream>>>(job);
  queryKernel<<<blocksFor(job.sentences), kThreads, 0, stream>>>(job);
  kernelKernel<<<blocksFor(kernels * job.queries), kThreads, 0, stream>>>(job, kernels * job.queries);
  chosenKernel<<<blocksFor(kernels), kThreads, 0, stream>>>(job, kernels);
  featureKernel<<<blocksFor(kernels * area), kThreads, 0, stream>>>(job, kernels * area);
  return cudaGetLastError();
}

}  // namespace rvos::selftest
