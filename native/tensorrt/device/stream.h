// A queue of device work. Does not wait for the legacy default stream.
#pragma once

#include <cstddef>
#include <utility>

#include "check.h"
#include "event.h"

namespace rvos::tensorrt::cuda {

class Stream {
 public:
  Stream() { check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags"); }
  Stream(Stream&& other) noexcept : stream_(std::exchange(other.stream_, nullptr)), reached_(std::move(other.reached_)) {}
  Stream& operator=(Stream&& other) noexcept {
    std::swap(stream_, other.stream_);
    reached_ = std::move(other.reached_);
    return *this;
  }
  ~Stream() {
    if (stream_ != nullptr) settle(cudaStreamDestroy(stream_));
  }

  cudaStream_t get() const { return stream_; }
  /// Waits for all that is queued. By an event whose waiters sleep: cudaStreamSynchronize would keep a core busy.
  void synchronize() const {
    reached_.record(stream_);
    reached_.wait();
  }
  /// Waits and swallows what went wrong: memory that queued work uses may be touched or freed afterwards.
  void drain() const noexcept { settle(cudaStreamSynchronize(stream_)); }

  void copyToDevice(void* device, const void* pinned, size_t bytes) const {
    copy(device, pinned, bytes, cudaMemcpyHostToDevice);
  }
  void copyToHost(void* pinned, const void* device, size_t bytes) const {
    copy(pinned, device, bytes, cudaMemcpyDeviceToHost);
  }
  void copyOnDevice(void* to, const void* from, size_t bytes) const {
    copy(to, from, bytes, cudaMemcpyDeviceToDevice);
  }
  void clear(void* device, size_t bytes) const {
    if (bytes > 0) check(cudaMemsetAsync(device, 0, bytes, stream_), "cudaMemsetAsync");
  }

 private:
  void copy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) const {
    if (bytes > 0) check(cudaMemcpyAsync(to, from, bytes, kind, stream_), "cudaMemcpyAsync");
  }

  cudaStream_t stream_ = nullptr;
  mutable Event reached_;
};

}  // namespace rvos::tensorrt::cuda
