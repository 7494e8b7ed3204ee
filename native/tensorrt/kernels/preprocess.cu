// Preprocess kernel: uint8 RGB, BGR or NV12 frames → resize → normalise → float16 or float32 planes of the batch, all new
// frames of a batch in one launch.
//
// Layout: grid (tiles across, tiles down, frames), 256 threads a block, one 64×16 tile of one frame each. Intent and
// layout of a block are in core/preprocess_phases.h, whose phases this kernel runs with barriers between; arithmetic and
// addresses are those that the CPU twin `preprocessOnHost` runs in its tests.
//
// Bound by memory: a source byte leaves device memory once (neighbouring tiles find what they share in the L2 cache), a
// target element is written once, and nothing goes between. What a thread loads from the source is 16 bytes wide,
// what it stores is 8. From compute capability 8.0 on, source rows are copied to shared memory without registers, a chunk
// ahead of the one that is filtered.
#include <cuda_runtime.h>

#include "../../core/preprocess_phases.h"
#include "preprocess.h"

namespace rvos {

namespace {

using namespace preprocess;

/// Blocks that a multiprocessor's registers must suffice for: the more taps, the more weights a thread holds.
constexpr int residentBlocks(int taps) { return taps == kAnyTaps || taps >= 6 ? 3 : 4; }

template <int Taps, bool Nv12>
__global__ void __launch_bounds__(kThreads, residentBlocks(Taps)) preprocessKernel(const __grid_constant__ PreprocessJob job) {
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
  if (Taps != kUnstaged) tile.template stageRows<Nv12>(0, step, thread);
  closeCopies();
  for (int chunk = 0; tile.rowBegin + chunk * step < tile.rowEnd; ++chunk) {
    if (Taps != kUnstaged) tile.template stageRows<Nv12>(chunk + 1, step, thread);
    closeCopies();
    awaitCopiesButLast();
    __syncthreads();
    across.filterRows(tile, chunk, step);
    __syncthreads();
    down.addRows(tile, chunk, step);
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
