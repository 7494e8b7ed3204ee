// `buildEngine` of the addon. A build has a thread of its own, which speaks to JavaScript through a thread-safe function
// only: first progress, at last that it is over. If the environment ends before that (a worker is terminated), its
// clean-up hook cancels the build and waits for the thread, so that nothing of it outlives the environment.
#include "../../tensorrt/engine_builder.h"

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "builder.h"
#include "errors.h"
#include "values.h"

namespace rvos::tensorrt {

namespace {

EngineBuild readBuild(const Napi::Value& value) {
  const Napi::Object object = readObject(value, "buildEngine: build");
  EngineBuild build;
  build.graph = readString(object.Get("graph"), "buildEngine: graph");
  build.output = readString(object.Get("output"), "buildEngine: output");
  build.profiles = readProfiles(object.Get("profiles"), "buildEngine: profiles");
  build.targets = readIntegers(object.Get("targets"), "buildEngine: targets");
  build.timingCache = readOptionalString(object.Get("timingCache"), "buildEngine: timingCache");
  return build;
}

Napi::Object progressToJs(Napi::Env env, const BuildProgress& progress) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("phase", progress.phase);
  object.Set("step", progress.step);
  object.Set("steps", progress.steps);
  object.Set("parents", stringsToJs(env, progress.parents));
  return object;
}

Napi::Object reportToJs(Napi::Env env, const EngineBuildReport& report) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("seconds", report.seconds);
  object.Set("engineBytes", static_cast<double>(report.engineBytes));
  if (report.scratchBytes) {
    object.Set("scratchBytes", static_cast<double>(*report.scratchBytes));
  } else {
    object.Set("scratchBytes", env.Null());
  }
  object.Set("peakHostBytes", static_cast<double>(report.peakHostBytes));
  object.Set("tensors", tensorsToJs(env, report.tensors));
  object.Set("warnings", stringsToJs(env, report.warnings));
  return object;
}

/// Lives until its promise is settled or its environment ends; all but `run` belongs to the JavaScript thread.
class BuildTask {
 public:
  static Napi::Value start(Napi::Env env, EngineBuild build, const Napi::Value& onProgress) {
    auto task = std::unique_ptr<BuildTask>(new BuildTask(env, std::move(build), onProgress));
    BuildTask& started = *task;
    const std::shared_ptr<std::atomic<bool>> cancelled = started.cancelled_;
    Napi::Object object = Napi::Object::New(env);
    object.Set("done", started.deferred_.Promise());
    object.Set("cancel", Napi::Function::New(env, [cancelled](const Napi::CallbackInfo&) { *cancelled = true; }, "cancel"));
    // Registered after the thread-safe function's own hook, therefore called before it: the function still works while
    // the thread ends.
    started.hook_ = env.AddCleanupHook(endWithEnvironment, task.get());
    try {
      started.thread_ = std::thread([&started] { started.run(); });
    } catch (const std::system_error& error) {
      started.hook_.Remove(env);
      started.channel_.Release();
      throw Failure(code::kOutOfMemory, std::string("no thread for the engine build: ") + error.what());
    }
    static_cast<void>(task.release());  // `settle` or `endWithEnvironment` takes it back
    return object;
  }

 private:
  using Message = std::function<void(Napi::Env)>;

  static void deliver(Napi::Env env, Napi::Function, std::nullptr_t*, Message* message) {
    const std::unique_ptr<Message> owned(message);
    // Without an environment there is nobody left to tell.
    if (static_cast<napi_env>(env) != nullptr && owned) (*owned)(env);
  }

  using Channel = Napi::TypedThreadSafeFunction<std::nullptr_t, Message, deliver>;

  BuildTask(Napi::Env env, EngineBuild build, const Napi::Value& onProgress)
      : build_(std::move(build)),
        deferred_(Napi::Promise::Deferred::New(env)),
        cancelled_(std::make_shared<std::atomic<bool>>(false)),
        channel_(Channel::New(env, "rvos engine build", 0, 1)) {
    if (onProgress.IsFunction()) onProgress_ = Napi::Persistent(onProgress.As<Napi::Function>());
  }

  void run() {
    try {
      std::function<void(const BuildProgress&)> report;
      if (!onProgress_.IsEmpty()) {
        report = [this](const BuildProgress& progress) {
          tell([this, progress](Napi::Env env) { onProgress_.Call({progressToJs(env, progress)}); });
        };
      }
      report_ = tensorrt::buildEngine(build_, report, *cancelled_);
    } catch (...) {
      failure_ = toFailure(std::current_exception(), code::kBuildFailed);
    }
    tell([this](Napi::Env env) { settle(env); });
    channel_.Release();
  }

  void tell(Message message) {
    auto owned = std::make_unique<Message>(std::move(message));
    if (channel_.NonBlockingCall(owned.get()) == napi_ok) static_cast<void>(owned.release());
  }

  void settle(Napi::Env env) {
    const std::unique_ptr<BuildTask> self(this);
    thread_.join();
    hook_.Remove(env);
    if (failure_) {
      deferred_.Reject(toError(env, *failure_).Value());
    } else {
      deferred_.Resolve(reportToJs(env, report_));
    }
  }

  static void endWithEnvironment(BuildTask* task) {
    const std::unique_ptr<BuildTask> self(task);
    *self->cancelled_ = true;
    self->thread_.join();
  }

  const EngineBuild build_;
  const Napi::Promise::Deferred deferred_;
  const std::shared_ptr<std::atomic<bool>> cancelled_;
  Napi::FunctionReference onProgress_;
  Channel channel_;
  Napi::Env::CleanupHook<void (*)(BuildTask*), BuildTask> hook_;
  EngineBuildReport report_;
  std::optional<Failure> failure_;
  std::thread thread_;
};

}  // namespace

Napi::Value buildEngine(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&] {
    EngineBuild build = readBuild(info[0]);
    return BuildTask::start(env, std::move(build), info[0].As<Napi::Object>().Get("onProgress"));
  });
}

}  // namespace rvos::tensorrt
