// Memory of the simulated device. Stricter than CUDA, so that mistakes show:
//  - A device pointer is tagged in its upper bits: reading or writing it on the host faults at once.
//  - New memory is filled with 0xff bytes (NaN in every float format), so reading what nobody wrote shows in results.
//  - Every access of an operation is checked against live allocations when the operation runs; freed, foreign or short
//    memory makes the device fail as an illegal address does.
//  - Copies between host and device want page-locked host memory: with other memory CUDA would make them synchronous.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>

namespace rvos::simulated {

/// An operation touched memory it must not: becomes cudaErrorIllegalAddress.
class IllegalAddress : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// What tests look at; counts since the process started.
struct MemoryCounters {
  size_t deviceBytes = 0;
  size_t pinnedBytes = 0;
  size_t deviceAllocations = 0;
  size_t pinnedAllocations = 0;
  size_t failedAllocations = 0;
};
MemoryCounters memoryCounters();

size_t deviceCapacity();
/// Further cudaMalloc calls fail beyond this many bytes in use.
void limitDeviceMemory(size_t bytes);

/// Null when memory is short.
void* allocateDevice(size_t bytes);
void* allocatePinned(size_t bytes);
/// False: not the start of such memory.
bool freeDevice(void* data);
bool freePinned(void* data);

/// Memory as an operation sees it, alive as long as this is.
template <typename T>
struct Span {
  T* data = nullptr;
  size_t bytes = 0;
  std::shared_ptr<void> owner;
};

Span<uint8_t> resolveDevice(const void* tagged, size_t bytes);
Span<uint8_t> resolvePinned(const void* data, size_t bytes);
/// From `tagged` to the end of its allocation.
Span<uint8_t> resolveDeviceRest(const void* tagged);

/// `count` values of device memory. Throws IllegalAddress.
template <typename T>
Span<T> onDevice(const T* tagged, size_t count) {
  if (count == 0) return {};
  Span<uint8_t> bytes = resolveDevice(tagged, count * sizeof(T));
  return {reinterpret_cast<T*>(bytes.data), bytes.bytes, std::move(bytes.owner)};
}

}  // namespace rvos::simulated
