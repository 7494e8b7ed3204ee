// See build_progress.h.
#include "build_progress.h"

#include <algorithm>
#include <utility>

namespace rvos::tensorrt {

namespace {

/// Deeper than TensorRT nests; ends the walk if names ever formed a ring.
constexpr std::size_t kDeepest = 16;

}  // namespace

BuildMonitor::BuildMonitor(std::function<void(const BuildProgress&)> report, const std::atomic<bool>& cancelled,
                           std::chrono::milliseconds interval)
    : report_(std::move(report)), cancelled_(cancelled), interval_(interval) {}

void BuildMonitor::phaseStart(const char* phase, const char* parent, std::int32_t steps) noexcept {
  try {
    const std::lock_guard<std::mutex> lock(mutex_);
    phases_[phase] = Phase{parent == nullptr ? "" : parent, 0, steps};
    tell(phase);
  } catch (...) {
    // Out of memory: progress is lost, the build goes on.
  }
}

bool BuildMonitor::stepComplete(const char* phase, std::int32_t step) noexcept {
  try {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = phases_.find(phase);
    if (found != phases_.end()) {
      found->second.step = std::max(found->second.step, step + 1);
      tell(found->first);
    }
  } catch (...) {
  }
  return !cancelled_;
}

void BuildMonitor::phaseFinish(const char* phase) noexcept {
  try {
    const std::lock_guard<std::mutex> lock(mutex_);
    phases_.erase(phase);
  } catch (...) {
  }
}

void BuildMonitor::tell(const std::string& phase) {
  const auto now = std::chrono::steady_clock::now();
  if (!report_ || cancelled_ || now - lastReport_ < interval_) return;
  lastReport_ = now;
  const Phase& own = phases_.at(phase);
  BuildProgress progress{phase, own.step, own.steps, {}};
  auto around = phases_.find(own.parent);
  while (around != phases_.end() && progress.parents.size() < kDeepest) {
    progress.parents.insert(progress.parents.begin(), around->first);
    around = phases_.find(around->second.parent);
  }
  report_(progress);
}

}  // namespace rvos::tensorrt
