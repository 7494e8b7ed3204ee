// `buildEngine` of the addon. What happens in a build reaches JavaScript through a thread-safe function only: first
// progress, at last that it is over. If the environment ends before that (a worker is terminated), its clean-up hook
// cancels the build and waits for the carrying thread, so that nothing that knows the environment outlives it.
#include <functional>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <variant>

#include "../../tensorrt/building/build_run.h"
#include "builder.h"
#include "errors.h"
#include "fields.h"
#include "values.h"

namespace rvos::tensorrt {

namespace {

EngineBuild readBuild(const Napi::Value& value) {
  const Napi::Object object = readObject(value, "buildEngine: build");
  EngineBuild build;
  build.graph = readString(object.Get("graph"), "buildEngine: graph");
  build.output = readString(object.Get("output"), "buildEngine: output");
  build.profiles = readProfiles(object.Get("profiles"), "buildEngine: profiles");
  if (!object.Get("device").IsUndefined()) {
    build.device = static_cast<int>(readWhole(object.Get("device"), "buildEngine: device", 0, 1 << 10));
  }
  build.targets = readIntegers(object.Get("targets"), "buildEngine: targets");
  build.timingCache = readOptionalString(object.Get("timingCache"), "buildEngine: timingCache");
  build.log = readOptionalString(object.Get("log"), "buildEngine: log");
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

/// Lives until its promise is settled or its environment ends. A thread carries the build's events to JavaScript; all but
/// `carry` belongs to the JavaScript thread.
class BuildTask {
 public:
  static Napi::Value start(Napi::Env env, EngineBuild build, const Napi::Value& onProgress) {
    auto task = std::unique_ptr<BuildTask>(new BuildTask(env, std::move(build), onProgress));
    const Napi::Object handle = task->handle(env);
    BuildTask* started = task.release();  // `settle` or `endWithEnvironment` takes it back
    // Registered after the thread-safe function's own hook, therefore called before it: the function still works while
    // the thread ends.
    started->hook_ = env.AddCleanupHook(endWithEnvironment, started);
    try {
      started->thread_ = std::thread([started] { started->carry(); });
    } catch (const std::system_error& error) {
      const std::unique_ptr<BuildTask> self(started);
      self->hook_.Remove(env);
      self->channel_.Release();
      throw Failure(code::kOutOfMemory, std::string("no thread for the engine build: ") + error.what());
    }
    return handle;
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
      : run_(std::make_shared<BuildRun>(std::move(build))),
        deferred_(Napi::Promise::Deferred::New(env)),
        channel_(Channel::New(env, "rvos engine build", 0, 1)) {
    if (onProgress.IsFunction()) onProgress_ = Napi::Persistent(onProgress.As<Napi::Function>());
  }

  Napi::Object handle(Napi::Env env) const {
    Napi::Object object = Napi::Object::New(env);
    object.Set("done", deferred_.Promise());
    const auto cancel = [run = std::weak_ptr<BuildRun>(run_)](const Napi::CallbackInfo&) {
      if (const auto alive = run.lock()) alive->cancel();
    };
    object.Set("cancel", Napi::Function::New(env, cancel, "cancel"));
    return object;
  }

  void carry() {
    for (bool ended = false; !ended;) {
      BuildRun::Event event = run_->next();
      if (auto* progress = std::get_if<BuildProgress>(&event)) {
        tell([this, told = std::move(*progress)](Napi::Env env) {
          if (!onProgress_.IsEmpty()) onProgress_.Call({progressToJs(env, told)});
        });
      } else {
        ended = true;
        tell([this, end = std::move(event)](Napi::Env env) { settle(env, end); });
      }
    }
    channel_.Release();
  }

  void tell(Message message) {
    auto owned = std::make_unique<Message>(std::move(message));
    if (channel_.NonBlockingCall(owned.get()) == napi_ok) static_cast<void>(owned.release());
  }

  void settle(Napi::Env env, const BuildRun::Event& end) {
    const std::unique_ptr<BuildTask> self(this);
    thread_.join();
    hook_.Remove(env);
    if (const auto* failure = std::get_if<Failure>(&end)) {
      deferred_.Reject(toError(env, *failure).Value());
    } else {
      deferred_.Resolve(reportToJs(env, std::get<EngineBuildReport>(end)));
    }
  }

  static void endWithEnvironment(BuildTask* task) {
    const std::unique_ptr<BuildTask> self(task);
    self->run_->cancel();
    self->thread_.join();
  }

  const std::shared_ptr<BuildRun> run_;
  const Napi::Promise::Deferred deferred_;
  Napi::FunctionReference onProgress_;
  Channel channel_;
  Napi::Env::CleanupHook<void (*)(BuildTask*), BuildTask> hook_;
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
