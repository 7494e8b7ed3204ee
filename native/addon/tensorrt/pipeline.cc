// `openPipeline` and `planMemory` of the addon, and the object that stands for an open pipeline: `NativePipeline`.
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "../../tensorrt/pipeline/window_pipeline.h"
#include "addon.h"
#include "errors.h"
#include "pipeline_arguments.h"
#include "runtime.h"
#include "runtime_state.h"
#include "stage_tensors.h"

namespace rvos::tensorrt {

namespace {

/// Holds the pipeline; the last holder frees it: `dispose`, the finaliser, or the end of the environment. While a promise
/// is unsettled the object is kept alive, so the finaliser never finds work under way.
class PipelineObject : public Napi::ObjectWrap<PipelineObject> {
 public:
  explicit PipelineObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<PipelineObject>(info) {
    if (!info[0].IsExternal()) throw Napi::TypeError::New(info.Env(), "openPipeline makes pipelines");
    pipeline_ = *info[0].As<Napi::External<std::shared_ptr<WindowPipeline>>>().Data();
  }

  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "NativePipeline",
                       {InstanceAccessor<&PipelineObject::plan>("plan"),
                        InstanceAccessor<&PipelineObject::lastTimings>("lastTimings"),
                        InstanceMethod<&PipelineObject::run>("run"),
                        InstanceMethod<&PipelineObject::cancel>("cancel"),
                        InstanceMethod<&PipelineObject::forget>("forget"),
                        InstanceMethod<&PipelineObject::runStage>("runStage"),
                        InstanceMethod<&PipelineObject::dispose>("dispose")});
  }

 private:
  RuntimeState& state(Napi::Env env) const { return *environmentState(env).runtime; }

  Napi::Value plan(const Napi::CallbackInfo& info) { return planToJs(info.Env(), pipeline_->plan()); }

  Napi::Value lastTimings(const Napi::CallbackInfo& info) {
    Napi::Object timings = Napi::Object::New(info.Env());
    for (const auto& [stage, milliseconds] : pipeline_->lastTimes()) timings.Set(stage, milliseconds);
    return timings;
  }

  Napi::Value run(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return guarded(env, [&] {
      RuntimeState& own = state(env);
      BatchArguments arguments = readBatch(info[0], pipeline_->limits());
      arguments.kept.Set("pipeline", info.This());
      const RuntimeState::Pending pending = own.begin(env, arguments.kept);
      const auto done = [&own, id = pending.id](BatchResult result, std::exception_ptr error) {
        own.settle(id, [queries = std::move(result.objectQueries)](Napi::Env env, Napi::Object kept) -> Napi::Value {
          Napi::Array results = kept.Get("results").As<Napi::Array>();
          for (uint32_t i = 0; i < queries.size(); ++i) {
            Napi::Value(results.Get(i)).As<Napi::Object>().Set("objectQuery", queries[i]);
          }
          static_cast<void>(env);
          return results;
        }, std::move(error));
      };
      uint64_t id;
      try {
        id = pipeline_->submit(std::move(arguments.request), done);
      } catch (...) {
        own.abandon(env, pending.id);
        throw;
      }
      Napi::Object started = Napi::Object::New(env);
      started.Set("id", static_cast<double>(id));
      started.Set("done", pending.promise);
      return started;
    });
  }

  void cancel(const Napi::CallbackInfo& info) {
    guarded(info.Env(), [&] {
      pipeline_->cancel(static_cast<uint64_t>(readWhole(info[0], "cancel: id", 0, int64_t{1} << 53)));
    });
  }

  void forget(const Napi::CallbackInfo& info) {
    guarded(info.Env(), [&] {
      pipeline_->forget(readWhole(info[0], "forget: stream", -(int64_t{1} << 53), int64_t{1} << 53));
    });
  }

  Napi::Value runStage(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return guarded(env, [&]() -> Napi::Value {
      RuntimeState& own = state(env);
      const std::string name = info[0].IsString() ? info[0].As<Napi::String>().Utf8Value() : "";
      if (name != "backbone" && name != "transformer") {
        throw Failure(code::kBadArgument, "runStage: stage must be backbone or transformer");
      }
      HostTensors inputs = readTensors(info[1], "inputs");
      Napi::Object kept = Napi::Object::New(env);
      kept.Set("pipeline", info.This());
      const RuntimeState::Pending pending = own.begin(env, kept);
      const auto done = [&own, id = pending.id](HostTensors outputs, std::exception_ptr error) {
        const auto result = [outputs = std::move(outputs)](Napi::Env env, Napi::Object) -> Napi::Value {
          return tensorsToJs(env, outputs);
        };
        own.settle(id, result, std::move(error));
      };
      try {
        pipeline_->runStage(name == "backbone" ? SingleStage::Backbone : SingleStage::Transformer, std::move(inputs),
                            done);
      } catch (...) {
        own.abandon(env, pending.id);
        throw;
      }
      return pending.promise;
    });
  }

  Napi::Value dispose(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    Napi::Object kept = Napi::Object::New(env);
    kept.Set("pipeline", info.This());
    RuntimeState& own = state(env);
    const RuntimeState::Pending pending = own.begin(env, kept);
    own.inBackground(pending.id, [pipeline = pipeline_]() -> RuntimeState::Result {
      pipeline->dispose();
      return [](Napi::Env env, Napi::Object) { return env.Undefined(); };
    });
    return pending.promise;
  }

  std::shared_ptr<WindowPipeline> pipeline_;
};

/// A warning of the process: the pipeline works, but slower than it should.
void warn(RuntimeState& state, const std::string& message) {
  state.post([message](Napi::Env env) {
    const Napi::Object process = env.Global().Get("process").As<Napi::Object>();
    process.Get("emitWarning").As<Napi::Function>().Call(process, {Napi::String::New(env, "rvos: " + message)});
  });
}

}  // namespace

Napi::Function pipelineClass(Napi::Env env) { return PipelineObject::define(env); }

Napi::Value openPipeline(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const Fields options(info[0], "options");
    const PipelineLimits limits = readLimits(options);
    const PipelineFiles files = readFiles(options, limits);
    const Normalisation normalisation = readNormalisation(options);
    const int device = options.integer("device", 0, 1 << 10);
    RuntimeState& state = *environmentState(env).runtime;
    const RuntimeState::Pending pending = state.begin(env, Napi::Object::New(env));
    state.inBackground(pending.id, [&state, limits, files, normalisation, device]() -> RuntimeState::Result {
      auto pipeline = std::make_shared<WindowPipeline>(device, limits, files, normalisation, state.loader(),
                                                       [&state](const std::string& note) { warn(state, note); });
      return [&state, pipeline = std::move(pipeline)](Napi::Env env, Napi::Object) -> Napi::Value {
        state.onEnd(pipeline, [own = std::weak_ptr<WindowPipeline>(pipeline)] {
          if (const auto alive = own.lock()) alive->dispose();
        });
        auto handed = pipeline;
        return environmentState(env).pipeline.New({Napi::External<std::shared_ptr<WindowPipeline>>::New(env, &handed)});
      };
    });
    return pending.promise;
  });
}

Napi::Value planMemory(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&] {
    const Fields options(info[0], "options");
    std::optional<SourceFormat> source;
    if (options.has("source")) source = readSourceSize(options.object("source"));
    return planToJs(env, planMemory(readLimits(options), source));
  });
}

}  // namespace rvos::tensorrt
