// Device memory with one owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "device/check.h"

namespace rvos::tensorrt::cuda {

class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  /// Throws OUT_OF_MEMORY.
  explicit DeviceBuffer(size_t bytes) : bytes_(bytes) {
    if (bytes > 0) check(cudaMalloc(&data_, bytes), "cudaMalloc");
  }
  DeviceBuffer(DeviceBuffer&& other) noexcept { swap(other); }
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    DeviceBuffer taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~DeviceBuffer() {
    if (data_ != nullptr) settle(cudaFree(data_));
  }

  size_t bytes() const { return bytes_; }
  /// Address `offset` bytes in: for kernels and copies only, never to be read on the host.
  template <typename T = void>
  T* at(size_t offset = 0) const {
    return reinterpret_cast<T*>(reinterpret_cast<uintptr_t>(data_) + offset);
  }

 private:
  void swap(DeviceBuffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
  }

  void* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace rvos::tensorrt::cuda
