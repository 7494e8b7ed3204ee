// Mask-head kernel: mask kernels and mask features of a batch → bit-packed masks at the original size, one launch for all
// sentences, object queries and frames. No image of logits leaves a block: the masks alone go to device memory, a
// bit a pixel.
//
// Layout: grid (strips of 32 rows, object queries · frames, sentences), 256 threads a block. Intent and layout of a block
// are in core/mask_head_phases.h, whose phases this kernel runs with barriers between; arithmetic and addresses are those
// that the CPU twin `maskHeadOnHost` runs in its tests.
//
// A 720p mask of a 360×640 network is 115 KB from 230 KB of features: that few bytes leave a block busy with its pixels and
// not with memory. Hence what is done per pixel is little: two multiplications and an addition, a comparison and a vote.
#include <cuda_runtime.h>

#include "../../core/mask_head_phases.h"
#include "mask_head.h"

namespace rvos {

namespace {

using namespace mask_head;

/// One warp's piece of the strip.
template <typename Feature>
__device__ __forceinline__ void walkColumns(const Strip<Feature>& strip, int piece, int lane) {
  ColumnLane<Feature> mine(strip, piece, lane);
  uint32_t words[kColumns] = {};
  for (int row = mine.firstRow; row < mine.endRow; ++row) {
    const MaskTap tap = strip.taps[row];
    if (mine.differs(tap)) {
      mine.hold(strip, tap);
      RVOS_UNROLL
      for (int i = 0; i < kColumns; ++i) words[i] = __ballot_sync(0xffffffffu, mine.foreground(i));
    }
    mine.keep(row, words);
  }
  mine.store(strip);
}

template <typename Feature, int K>
__global__ void __launch_bounds__(kThreads, 4) maskHeadKernel(const __grid_constant__ MaskHeadJob job) {
  extern __shared__ __align__(16) uint8_t shared[];
  const int thread = threadIdx.x;
  const int query = blockIdx.y / job.frames;
  const int frame = blockIdx.y - query * job.frames;
  const Strip<Feature> strip(job, blockIdx.x, query, frame, blockIdx.z, shared);
  if (strip.rows <= 0) return;
  strip.template makeLogits<K>(thread);
  __syncthreads();
  const int pieces = ColumnLane<Feature>::pieces(job.shape.width);
  for (int piece = thread / kWarp; piece < pieces; piece += kWarps) walkColumns(strip, piece, thread % kWarp);
  __syncthreads();
  strip.writeWords(thread);
}

template <typename Feature>
__global__ void __launch_bounds__(kThreads) wideMaskHeadKernel(const __grid_constant__ MaskHeadJob job) {
  const int query = blockIdx.y / job.frames;
  const int frame = blockIdx.y - query * job.frames;
  const Strip<Feature> strip(job, blockIdx.x, query, frame, blockIdx.z, nullptr);
  strip.writeWordsUnshared(threadIdx.x);
}

template <typename Feature>
void launch(const MaskHeadJob& job, dim3 grid, cudaStream_t stream) {
  if (job.tiling.logitRows == 0) {
    wideMaskHeadKernel<Feature><<<grid, kThreads, 0, stream>>>(job);
  } else if (job.shape.kernelSize == 8) {
    maskHeadKernel<Feature, 8><<<grid, kThreads, job.tiling.sharedBytes, stream>>>(job);
  } else {
    maskHeadKernel<Feature, 0><<<grid, kThreads, job.tiling.sharedBytes, stream>>>(job);
  }
}

}  // namespace

cudaError_t launchMaskHead(const MaskHeadJob& job, cudaStream_t stream) {
  const int queries = job.chosen ? 1 : job.queryCount;
  const dim3 grid((job.shape.height + kStripRows - 1) / kStripRows, queries * job.frames, job.sentences);
  if (grid.y == 0 || grid.z == 0) return cudaSuccess;
  if (job.featureType == ElementType::kFloat16) {
    launch<Half>(job, grid, stream);
  } else {
    launch<float>(job, grid, stream);
  }
  return cudaGetLastError();
}

}  // namespace rvos
