// How much memory the process takes while something runs.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

namespace rvos::tensorrt {

/// Looks at the resident memory every 20 ms from construction on, in a thread of its own.
class ResidentMemory {
 public:
  ResidentMemory();
  ~ResidentMemory();

  ResidentMemory(const ResidentMemory&) = delete;
  ResidentMemory& operator=(const ResidentMemory&) = delete;

  /// Largest so far, in bytes; 0 where the system does not tell. If the process has never been larger than during this
  /// time, the system's own high-water mark makes it exact.
  std::int64_t peak();

 private:
  void watch();
  void look();

  const std::int64_t markBefore_;
  std::atomic<std::int64_t> peak_{0};
  std::mutex mutex_;
  std::condition_variable wake_;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace rvos::tensorrt
