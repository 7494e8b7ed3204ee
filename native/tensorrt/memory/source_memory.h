// Memory of a slot that depends on the size of source frames: staging, masks, and the tables that kernels read. Laid out
// anew when frames of another form appear, allocated anew only when they need more than any before.
#pragma once

#include <memory>

#include "device_buffer.h"
#include "pinned_buffer.h"
#include "memory_plan.h"
#include "slot_memory.h"

namespace rvos::tensorrt {

/// What levels are normalised with, in the order red, green, blue.
struct Normalisation {
  NormaliseLevel channels[3];
};

class SourceMemory {
 public:
  SourceMemory(const SlotMemory& slot, const Normalisation& normalisation)
      : slot_(slot), normalisation_(normalisation) {}

  /// Ready for frames of this form. The slot's stream must be idle. Throws OUT_OF_MEMORY; what was there before is then
  /// gone, and the next call starts afresh.
  void prepare(const SourceFormat& source);

  /// Valid after `prepare`.
  const SourceLayout& layout() const { return *layout_; }
  const SourceFormat& format() const { return format_; }

  template <typename T = void>
  T* onDevice(const Region& region, size_t offset = 0) const {
    return device_.at<T>(region.offset + offset);
  }
  template <typename T = uint8_t>
  T* onHost(const Region& region, size_t offset = 0) const {
    return pinned_.at<T>(region.offset + offset);
  }

 private:
  const SlotMemory& slot_;
  Normalisation normalisation_;
  SourceFormat format_;
  std::unique_ptr<const SourceLayout> layout_;
  cuda::DeviceBuffer device_;
  cuda::PinnedBuffer pinned_;
};

}  // namespace rvos::tensorrt
