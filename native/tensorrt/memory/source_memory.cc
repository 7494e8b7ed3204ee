// See source_memory.h.
#include "source_memory.h"

#include <cstring>

namespace rvos::tensorrt {

namespace {

template <typename Buffer>
void grow(Buffer& buffer, size_t bytes) {
  if (buffer.bytes() >= bytes) return;
  // The old one goes first: both together may be more than there is.
  buffer = Buffer();
  buffer = Buffer(bytes);
}

}  // namespace

void SourceMemory::prepare(const SourceFormat& source) {
  if (layout_ && format_ == source) return;
  layout_.reset();
  auto layout = std::make_unique<const SourceLayout>(slot_.limits, source, normalisation_.channels);
  grow(device_, layout->device.bytes());
  grow(pinned_, layout->pinned.bytes());

  const auto upload = [&](const Region& to, const Region& from, const void* table) {
    std::memcpy(onHost(from), table, from.bytes);
    slot_.stream.copyToDevice(onDevice(to), onHost(from), from.bytes);
  };
  upload(layout->preprocessTable, layout->pinnedPreprocessTable, layout->preprocess.table.data());
  upload(layout->maskTable, layout->pinnedMaskTable, layout->maskHead.table.data());
  layout_ = std::move(layout);
  format_ = source;
}

}  // namespace rvos::tensorrt
