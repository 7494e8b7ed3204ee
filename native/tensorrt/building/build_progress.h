// TensorRT's progress reports during a build, and the way to end it: the next step that finishes is told to stop.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "libraries/compat.h"

namespace rvos::tensorrt {

struct BuildProgress {
  /// As TensorRT names it.
  std::string phase;
  /// Steps of this phase done, and in all.
  int step = 0;
  int steps = 0;
  /// Phases around this one, outermost first.
  std::vector<std::string> parents;
};

/// May be called by several of TensorRT's threads at once, so `report` is too, one at a time.
class BuildMonitor final : public nvinfer1::IProgressMonitor {
 public:
  /// `report` is called at most once in `interval`.
  BuildMonitor(std::function<void(const BuildProgress&)> report, const std::atomic<bool>& cancelled,
               std::chrono::milliseconds interval);

  void phaseStart(const char* phase, const char* parent, std::int32_t steps) noexcept override;
  bool stepComplete(const char* phase, std::int32_t step) noexcept override;
  void phaseFinish(const char* phase) noexcept override;

 private:
  struct Phase {
    std::string parent;
    int step = 0;
    int steps = 0;
  };

  void tell(const std::string& phase);

  const std::function<void(const BuildProgress&)> report_;
  const std::atomic<bool>& cancelled_;
  const std::chrono::milliseconds interval_;
  std::mutex mutex_;
  std::map<std::string, Phase> phases_;
  std::chrono::steady_clock::time_point lastReport_{};
};

}  // namespace rvos::tensorrt
