// See build_run.h.
#include "build_run.h"

#include <stdlib.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "output_file.h"

namespace rvos::tensorrt {

namespace {

/// Longer than most of TensorRT's steps, shorter than the 2 s that are promised.
constexpr std::chrono::milliseconds kPatience{1500};

/// Builds whose threads have not ended, and the outputs that are still theirs. Outlives every thread.
class ThreadsAlive {
 public:
  static ThreadsAlive& get() {
    static auto& only = *new ThreadsAlive;
    return only;
  }

  void add(const void* build, const std::string& output) {
    const std::lock_guard<std::mutex> lock(mutex_);
    outputs_[build] = output;
  }

  /// The build's output is no longer its own: it is finished, or another build may have a file of that name.
  void disown(const void* build) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = outputs_.find(build);
    if (found != outputs_.end()) found->second.clear();
  }

  void remove(const void* build) {
    const std::lock_guard<std::mutex> lock(mutex_);
    outputs_.erase(build);
  }

  /// Registered for the end of the process after TensorRT was opened, so it runs before the destructors of TensorRT's
  /// globals, which a thread inside TensorRT does not survive: the process ends here and without them.
  static void endProcess(int status, void*) {
    ThreadsAlive& alive = get();
    const std::lock_guard<std::mutex> lock(alive.mutex_);
    if (alive.outputs_.empty()) return;
    for (const auto& [build, output] : alive.outputs_) {
      if (!output.empty()) OutputFile::remove(output);
    }
    std::fflush(nullptr);
    _exit(status);
  }

 private:
  ThreadsAlive() { on_exit(endProcess, nullptr); }

  std::mutex mutex_;
  std::map<const void*, std::string> outputs_;
};

}  // namespace

/// Belongs to the build's thread and to whoever waits for it; the last one frees it.
struct BuildRun::State {
  explicit State(EngineBuild wanted) : build(std::move(wanted)) {}

  void run() {
    std::variant<EngineBuildReport, Failure> end{EngineBuildReport{}};
    try {
      end = buildEngine(
          build,
          [this](const BuildProgress& reported) {
            const std::lock_guard<std::mutex> lock(mutex);
            progress = reported;
            changed.notify_all();
          },
          cancelled);
    } catch (...) {
      end = toFailure(std::current_exception(), code::kBuildFailed);
    }
    // From here on the output, if there is one, is a whole engine: it outlives the process.
    ThreadsAlive::get().disown(this);
    const std::lock_guard<std::mutex> lock(mutex);
    result = std::move(end);
    changed.notify_all();
  }

  const EngineBuild build;
  std::atomic<bool> cancelled{false};
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<BuildProgress> progress;
  std::optional<std::variant<EngineBuildReport, Failure>> result;
};

BuildRun::BuildRun(EngineBuild build) : state_(std::make_shared<State>(std::move(build))) {
  ThreadsAlive::get().add(state_.get(), state_->build.output);
  try {
    std::thread([state = state_] {
      state->run();
      ThreadsAlive::get().remove(state.get());
    }).detach();
  } catch (const std::system_error& error) {
    ThreadsAlive::get().remove(state_.get());
    throw Failure(code::kOutOfMemory, std::string("no thread for the engine build: ") + error.what());
  }
}

BuildRun::~BuildRun() {
  cancel();
  while (!ended_) next();
}

void BuildRun::cancel() {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  state_->cancelled = true;
  state_->changed.notify_all();
}

BuildRun::Event BuildRun::next() {
  State& state = *state_;
  std::unique_lock<std::mutex> lock(state.mutex);
  state.changed.wait(lock, [&] { return state.result || state.progress || state.cancelled; });
  if (state.cancelled) {
    state.changed.wait_for(lock, kPatience, [&] { return state.result.has_value(); });
    OutputFile::remove(state.build.output);
    ThreadsAlive::get().disown(&state);
    ended_ = true;
    return Failure(code::kCancelled, "the engine build was cancelled");
  }
  if (state.result) {
    ended_ = true;
    return std::visit([](auto& end) { return Event(std::move(end)); }, *state.result);
  }
  Event event = std::move(*state.progress);
  state.progress.reset();
  return event;
}

}  // namespace rvos::tensorrt
