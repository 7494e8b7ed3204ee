// Streams of the simulated device: each is a thread with a queue, so that work of two streams really runs at the same
// time and an event that nobody waits for shows as wrong results. Random delays before operations, drawn from a seed,
// bring the interleavings about that seldom happen. An operation that throws makes the device fail: every call after
// that tells so, until `recover` (CUDA would need a new process).
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <functional>

namespace rvos::simulated {

/// Runs on the stream's thread.
using Operation = std::function<void()>;

/// Queues an operation, or notes it for the graph while the stream is captured. `kind` is what counters go by.
cudaError_t enqueue(cudaStream_t stream, const char* kind, Operation operation);

/// Delays of up to `microseconds` before each operation; 0: none.
void delayOperations(uint64_t seed, unsigned microseconds);

/// The next capture fails when it ends, as with a stage that cannot be captured.
void failCaptures(unsigned count);

/// Forgets that the device failed.
void recover();

struct StreamCounters {
  size_t hostToDevice = 0;
  size_t hostToDeviceBytes = 0;
  size_t deviceToHost = 0;
  size_t deviceToDevice = 0;
  size_t kernels = 0;
  size_t stages = 0;
  size_t graphsCaptured = 0;
  size_t graphLaunches = 0;
};
StreamCounters streamCounters();
void countCopy(cudaMemcpyKind kind, size_t bytes);

/// Sets the calling thread's last error and returns it.
cudaError_t failed(cudaError_t status);
/// cudaSuccess, or why the device cannot be used any more.
cudaError_t deviceStatus();
/// Whether the calling thread captures a stream: calls that allocate are then not allowed.
bool capturing();

}  // namespace rvos::simulated
