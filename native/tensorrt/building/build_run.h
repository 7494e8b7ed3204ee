// An engine build under way in a thread of its own. TensorRT can be told to stop only between its steps, and some of them
// take many seconds (TensorRT-RTX generating code). A cancelled build that does not stop in time is therefore abandoned:
// its output is removed, its thread ends on its own at the next step, and nobody waits for it, not even the process.
#pragma once

#include <memory>
#include <variant>

#include "engine_builder.h"
#include "failure.h"

namespace rvos::tensorrt {

class BuildRun {
 public:
  using Event = std::variant<BuildProgress, EngineBuildReport, Failure>;

  /// Starts the build. Throws OUT_OF_MEMORY if there is no thread for it.
  explicit BuildRun(EngineBuild build);
  /// Cancels what is still under way, and waits as `next` does.
  ~BuildRun();

  BuildRun(const BuildRun&) = delete;
  BuildRun& operator=(const BuildRun&) = delete;

  /// May be called from any thread, any number of times.
  void cancel();

  /// Waits for what happens next: newest progress, at most every 50 ms, or the end, which is a report or a failure. After
  /// `cancel` that is CANCELLED, within 1.5 s, and there is no output. Not to be called again after the end.
  Event next();

 private:
  struct State;

  const std::shared_ptr<State> state_;
  bool ended_ = false;
};

}  // namespace rvos::tensorrt
