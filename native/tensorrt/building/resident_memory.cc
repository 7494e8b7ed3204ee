// See resident_memory.h.
#include "resident_memory.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <string>

namespace rvos::tensorrt {

namespace {

/// A line of /proc/self/status, in bytes; 0 if there is none.
std::int64_t statusBytes(const char* name) {
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line)) {
    if (line.rfind(name, 0) == 0) return std::stoll(line.substr(line.find(':') + 1)) * 1024;
  }
  return 0;
}

}  // namespace

ResidentMemory::ResidentMemory() : markBefore_(statusBytes("VmHWM")), thread_([this] { watch(); }) {}

ResidentMemory::~ResidentMemory() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ended_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

std::int64_t ResidentMemory::peak() {
  look();
  const std::int64_t mark = statusBytes("VmHWM");
  return mark > markBefore_ ? mark : peak_.load();
}

void ResidentMemory::watch() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!ended_) {
    look();
    wake_.wait_for(lock, std::chrono::milliseconds(20), [this] { return ended_; });
  }
}

void ResidentMemory::look() {
  const std::int64_t now = statusBytes("VmRSS");
  std::int64_t before = peak_;
  while (now > before && !peak_.compare_exchange_weak(before, now)) {
  }
}

}  // namespace rvos::tensorrt
