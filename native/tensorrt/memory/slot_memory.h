// What one batch under way has to itself: a stream, device memory and page-locked memory, laid out once by SlotLayout.
#pragma once

#include <algorithm>

#include "device_buffer.h"
#include "pinned_buffer.h"
#include "device/stream.h"
#include "memory_plan.h"

namespace rvos::tensorrt {

struct SlotMemory {
  /// Throws OUT_OF_MEMORY. Device memory is zeroed: frames that no window has filled are read by engines, and must be finite.
  explicit SlotMemory(const PipelineLimits& given)
      : limits(given), layout(given), device(layout.device.bytes()), pinned(layout.pinned.bytes()) {
    stream.clear(device.at(), device.bytes());
    const auto& table = layout.linkPlan.table;
    std::copy(table.begin(), table.end(), onHost<MaskTap>(layout.pinnedLinkTable));
    stream.copyToDevice(onDevice(layout.linkTable), onHost(layout.pinnedLinkTable), layout.linkTable.bytes);
    stream.synchronize();
  }
  // Queued work uses the memory, so it ends first, however the slot ends.
  ~SlotMemory() { stream.drain(); }
  SlotMemory(const SlotMemory&) = delete;
  SlotMemory& operator=(const SlotMemory&) = delete;

  template <typename T = void>
  T* onDevice(const Region& region, size_t offset = 0) const {
    return device.at<T>(region.offset + offset);
  }
  template <typename T = uint8_t>
  T* onHost(const Region& region, size_t offset = 0) const {
    return pinned.at<T>(region.offset + offset);
  }

  const PipelineLimits limits;
  const SlotLayout layout;
  cuda::DeviceBuffer device;
  cuda::PinnedBuffer pinned;
  cuda::Stream stream;
};

}  // namespace rvos::tensorrt
