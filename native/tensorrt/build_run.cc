// See build_run.h.
#include "build_run.h"

#include <stdlib.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <exception>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "output_file.h"

namespace rvos::tensorrt {

namespace {

/// Longer than most of TensorRT's steps, shorter than the 2 s that are promised.
constexpr std::chrono::milliseconds kPatience{1500};

std::atomic<int> threadsAlive{0};

/// A thread inside TensorRT does not survive the destructors of TensorRT's own globals, which run after this.
void leaveWithoutDestructors(int status, void*) {
  if (threadsAlive == 0) return;
  std::fflush(nullptr);
  _exit(status);
}

void watchExit() {
  static std::once_flag once;
  std::call_once(once, [] { on_exit(leaveWithoutDestructors, nullptr); });
}

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
  watchExit();
  ++threadsAlive;
  try {
    std::thread([state = state_] {
      state->run();
      --threadsAlive;
    }).detach();
  } catch (const std::system_error& error) {
    --threadsAlive;
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
