// Page-locked host memory with one owner: what copies that run beside the host need.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "device/check.h"

namespace rvos::tensorrt::cuda {

class PinnedBuffer {
 public:
  PinnedBuffer() = default;
  /// Throws OUT_OF_MEMORY.
  explicit PinnedBuffer(size_t bytes) : bytes_(bytes) {
    if (bytes > 0) check(cudaHostAlloc(&data_, bytes, cudaHostAllocDefault), "cudaHostAlloc");
  }
  PinnedBuffer(PinnedBuffer&& other) noexcept { swap(other); }
  PinnedBuffer& operator=(PinnedBuffer&& other) noexcept {
    PinnedBuffer taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~PinnedBuffer() {
    if (data_ != nullptr) settle(cudaFreeHost(data_));
  }

  size_t bytes() const { return bytes_; }
  template <typename T = uint8_t>
  T* at(size_t offset = 0) const {
    return reinterpret_cast<T*>(static_cast<uint8_t*>(data_) + offset);
  }

 private:
  void swap(PinnedBuffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
  }

  void* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace rvos::tensorrt::cuda
