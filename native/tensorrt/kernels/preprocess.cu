// Preprocess kernel: uint8 RGB, BGR or NV12 frames → resize → normalise → float16 or float32 planes of the batch, all new
// frames of a batch in one launch.
//
// Layout: grid (tiles across, tiles down, frames), 256 threads a block, one 64×16 tile of one frame each. Intent and
// layout of a block are in core/preprocess_phases.h, whose phases this kernel runs with barriers between; arithmetic and
// addresses are those that the CPU twin `preprocessOnHost` runs in its tests.
//
// Bound by memory: a source byte leaves device memory once (neighbouring tiles find what they share in the L2 cache), a
// target element is written once, and nothing goes between. What a thread loads from the source is 16 bytes wide,
// what it stores is 8. The two accesses to device memory of neighbouring chunks overlap with the sums of the one before.
#include <cuda_runtime.h>

#include "../../core/preprocess_phases.h"
#include "preprocess.h"

namespace rvos {

namespace {

using namespace preprocess;

template <int Taps, bool Nv12>
__global__ void __launch_bounds__(kThreads, 4) preprocessKernel(const __grid_constant__ PreprocessJob job) {
  extern __shared__ __align__(16) uint8_t shared[];
  const int frame = blockIdx.z;
  const int64_t position = job.positions ? job.positions[frame] : frame;
  if (position < 0) return;
  const int thread = threadIdx.x;
  const Tile tile(job, blockIdx.x, blockIdx.y, frame, position, shared);
  tile.loadLevels(thread);
  const AcrossThread<Taps, Nv12> across(tile, thread);
  DownThread down(tile, thread);
  const int step = tile.chunkRows();
  for (int begin = tile.rowBegin; begin < tile.rowEnd; begin += step) {
    const int left = tile.rowEnd - begin;
    const int count = left < step ? left : step;
    if (Taps != kUnstaged) tile.template stageRows<Nv12>(begin, count, thread);
    __syncthreads();
    across.filterRows(tile, begin, count);
    __syncthreads();
    down.addRows(tile, begin, count);
  }
  down.write(tile);
}

}  // namespace

cudaError_t launchPreprocess(const PreprocessJob& job, cudaStream_t stream) {
  if (job.frames == 0) return cudaSuccess;
  const dim3 grid((job.shape.targetWidth + kTileWidth - 1) / kTileWidth,
                  (job.shape.targetHeight + kTileHeight - 1) / kTileHeight, job.frames);
  forTaps(job.tiling, [&](auto taps) {
    constexpr int kTaps = decltype(taps)::value;
    if (job.shape.format == PixelFormat::kNv12) {
      preprocessKernel<kTaps, true><<<grid, kThreads, job.tiling.sharedBytes, stream>>>(job);
    } else {
      preprocessKernel<kTaps, false><<<grid, kThreads, job.tiling.sharedBytes, stream>>>(job);
    }
  });
  return cudaGetLastError();
}

}  // namespace rvos
