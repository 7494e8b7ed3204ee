// See device_memory.h.
#include "device_memory.h"

#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <utility>

namespace rvos::simulated {

namespace {

/// Not canonical on x86-64, not mapped on AArch64: bits 48 to 55.
constexpr uintptr_t kTag = uintptr_t{0xd5} << 48;
constexpr uintptr_t kTagMask = uintptr_t{0xff} << 48;
constexpr size_t kAlignment = 256;

struct Block {
  size_t bytes;
  std::shared_ptr<void> owner;
};

/// Live allocations of one kind, by real address.
class Blocks {
 public:
  void* allocate(size_t bytes) {
    void* data = std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
    if (data == nullptr) return nullptr;
    std::memset(data, 0xff, bytes);
    blocks_[reinterpret_cast<uintptr_t>(data)] = {bytes, std::shared_ptr<void>(data, std::free)};
    inUse_ += bytes;
    return data;
  }

  bool release(uintptr_t address) {
    const auto found = blocks_.find(address);
    if (found == blocks_.end()) return false;
    inUse_ -= found->second.bytes;
    // Nobody sees it again, but an operation that is reading it right now; what that reads is plainly wrong.
    if (found->second.owner.use_count() == 1) std::memset(found->second.owner.get(), 0xff, found->second.bytes);
    blocks_.erase(found);
    return true;
  }

  Span<uint8_t> resolve(uintptr_t address, size_t bytes, bool toEnd, const char* kind) const {
    auto after = blocks_.upper_bound(address);
    if (after != blocks_.begin()) {
      const auto& [start, block] = *std::prev(after);
      const size_t offset = address - start;
      if (offset <= block.bytes && (toEnd || bytes <= block.bytes - offset)) {
        return {reinterpret_cast<uint8_t*>(address), toEnd ? block.bytes - offset : bytes, block.owner};
      }
    }
    throw IllegalAddress(std::string("an operation reached outside ") + kind + " memory");
  }

  size_t inUse() const { return inUse_; }

 private:
  std::map<uintptr_t, Block> blocks_;
  size_t inUse_ = 0;
};

struct Memory {
  std::mutex mutex;
  Blocks device;
  Blocks pinned;
  size_t limit = size_t{4} << 30;
  MemoryCounters counters;
};

/// Never destroyed: threads of the device may outlive static objects.
Memory& memory() {
  static Memory* const instance = new Memory;
  return *instance;
}

uintptr_t untagged(const void* tagged) {
  const auto address = reinterpret_cast<uintptr_t>(tagged);
  if ((address & kTagMask) != kTag) throw IllegalAddress("an operation was given host memory for device memory");
  return address & ~kTagMask;
}

}  // namespace

MemoryCounters memoryCounters() {
  Memory& all = memory();
  const std::lock_guard<std::mutex> lock(all.mutex);
  MemoryCounters counters = all.counters;
  counters.deviceBytes = all.device.inUse();
  counters.pinnedBytes = all.pinned.inUse();
  return counters;
}

size_t deviceCapacity() {
  Memory& all = memory();
  const std::lock_guard<std::mutex> lock(all.mutex);
  return all.limit;
}

void limitDeviceMemory(size_t bytes) {
  Memory& all = memory();
  const std::lock_guard<std::mutex> lock(all.mutex);
  all.limit = bytes;
}

void* allocateDevice(size_t bytes) {
  Memory& all = memory();
  const std::lock_guard<std::mutex> lock(all.mutex);
  void* data = all.device.inUse() + bytes > all.limit ? nullptr : all.device.allocate(bytes);
  if (data == nullptr) {
    ++all.counters.failedAllocations;
    return nullptr;
  }
  ++all.counters.deviceAllocations;
  return reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(data) | kTag);
}

void* allocatePinned(size_t bytes) {
  Memory& all = memory();
  const std::lock_guard<std::mutex> lock(all.mutex);
  void* data = all.pinned.allocate(bytes);
  ++(data == nullptr ? all.counters.failedAllocations : all.counters.pinnedAllocations);
  return data;
}

bool freeDevice(void* data) {
  if ((reinterpret_cast<uintptr_t>(data) & kTagMask) != kTag) return false;
  Memory& all = memory();
  const std::lock_guard<std::mutex> lock(all.mutex);
  return all.device.release(untagged(data));
}

bool freePinned(void* data) {
  Memory& all = memory();
  const std::lock_guard<std::mutex> lock(all.mutex);
  return all.pinned.release(reinterpret_cast<uintptr_t>(data));
}

Span<uint8_t> resolveDevice(const void* tagged, size_t bytes) {
  Memory& all = memory();
  const std::lock_guard<std::mutex> lock(all.mutex);
  return all.device.resolve(untagged(tagged), bytes, false, "device");
}

Span<uint8_t> resolveDeviceRest(const void* tagged) {
  Memory& all = memory();
  const std::lock_guard<std::mutex> lock(all.mutex);
  return all.device.resolve(untagged(tagged), 0, true, "device");
}

Span<uint8_t> resolvePinned(const void* data, size_t bytes) {
  Memory& all = memory();
  const std::lock_guard<std::mutex> lock(all.mutex);
  return all.pinned.resolve(reinterpret_cast<uintptr_t>(data), bytes, false, "page-locked");
}

}  // namespace rvos::simulated
