// The builder part of the addon's contract without TensorRT: `buildEngine` puts the ONNX graph into the file that stands
// for an engine, in a few steps that report progress and can be cancelled.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "../../addon/tensorrt/addon.h"
#include "../../addon/tensorrt/errors.h"
#include "../../addon/tensorrt/fields.h"
#include "../../addon/tensorrt/runtime_state.h"
#include "../../tensorrt/device/check.h"
#include "../engine_file.h"

namespace rvos::simulated {

namespace {

using tensorrt::Failure;
using tensorrt::Fields;
using tensorrt::RuntimeState;
namespace code = tensorrt::code;

constexpr int kSteps = 4;
constexpr auto kStepTime = std::chrono::milliseconds(3);

Napi::Array tensorsToJs(Napi::Env env, const std::vector<GraphTensor>& tensors) {
  Napi::Array list = Napi::Array::New(env, tensors.size());
  for (uint32_t i = 0; i < tensors.size(); ++i) {
    const GraphTensor& tensor = tensors[i];
    Napi::Array shape = Napi::Array::New(env, tensor.shape.size());
    for (uint32_t k = 0; k < tensor.shape.size(); ++k) shape.Set(k, static_cast<double>(tensor.shape[k]));
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("name", tensor.name);
    entry.Set("mode", tensor.input ? "input" : "output");
    entry.Set("dtype", tensor.dtype);
    entry.Set("shape", shape);
    list.Set(i, entry);
  }
  return list;
}

Napi::Value json(Napi::Env env, const char* function, const Napi::Value& value) {
  const Napi::Object object = env.Global().Get("JSON").As<Napi::Object>();
  return object.Get(function).As<Napi::Function>().Call(object, {value});
}

struct Build {
  std::string graph;
  std::string output;
  std::string profiles;
  std::vector<InputRange> ranges;
  int device = 0;
};

std::vector<int64_t> readExtents(const Fields& range, const char* field) {
  std::vector<int64_t> extents;
  const Napi::Array list = range.list(field);
  for (uint32_t i = 0; i < list.Length(); ++i) {
    extents.push_back(tensorrt::readWhole(list.Get(i), tensorrt::place(range.what(field), i), 0, 1 << 30));
  }
  return extents;
}

std::vector<InputRange> readRanges(const Fields& build) {
  std::vector<InputRange> ranges;
  const Napi::Array profiles = build.list("profiles");
  for (uint32_t i = 0; i < profiles.Length(); ++i) {
    const Fields profile(profiles.Get(i), tensorrt::place(build.what("profiles"), i));
    const Napi::Array names = Napi::Value(profiles.Get(i)).As<Napi::Object>().GetPropertyNames();
    for (uint32_t k = 0; k < names.Length(); ++k) {
      const std::string name = Napi::Value(names.Get(k)).As<Napi::String>();
      const Fields range = profile.object(name.c_str());
      ranges.push_back({static_cast<int>(i), name, readExtents(range, "min"), readExtents(range, "max")});
    }
  }
  return ranges;
}

/// Names in profiles must be inputs of the graph, of as many axes.
void checkRanges(const EngineFile& engine) {
  for (const InputRange& range : engine.ranges) {
    const auto fits = [&](const GraphTensor& tensor) {
      return tensor.input && tensor.name == range.input && tensor.shape.size() == range.least.size() &&
             range.least.size() == range.most.size();
    };
    if (std::any_of(engine.tensors.begin(), engine.tensors.end(), fits)) continue;
    throw Failure(code::kBadProfile, "the graph has no input " + range.input + " of as many axes");
  }
}

EngineFile build(const Build& build, const std::atomic<bool>& cancelled, const std::function<void(int)>& report) {
  const auto started = std::chrono::steady_clock::now();
  tensorrt::cuda::useDevice(build.device);
  EngineFile engine;
  engine.graph = readWholeFile(build.graph, code::kBadGraph);
  engine.tensors = readSignature(engine.graph);
  const size_t slash = build.graph.rfind('/');
  const std::string weights = (slash == std::string::npos ? "." : build.graph.substr(0, slash)) + "/weights.bin";
  if (std::ifstream(weights).is_open()) engine.weights = readWholeFile(weights, code::kBadGraph);
  engine.profiles = build.profiles;
  engine.ranges = build.ranges;
  checkRanges(engine);
  for (int step = 1; step <= kSteps; ++step) {
    report(step);
    std::this_thread::sleep_until(started + step * kStepTime);
    if (cancelled) throw Failure(code::kCancelled, "the build was cancelled");
  }
  std::ofstream file(build.output, std::ios::binary);
  file << writeEngine(engine);
  file.close();
  if (!file) {
    std::remove(build.output.c_str());
    throw Failure(code::kNotWritable, "cannot write " + build.output);
  }
  return engine;
}

Napi::Value buildEngine(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return tensorrt::guarded(env, [&]() -> Napi::Value {
    const Fields fields(info[0], "buildEngine");
    Build wanted{fields.text("graph"), fields.text("output"), "", readRanges(fields)};
    if (fields.has("device")) wanted.device = fields.integer("device", 0, 1 << 10);
    wanted.profiles = json(env, "stringify", fields.value("profiles")).As<Napi::String>();
    const auto cancelled = std::make_shared<std::atomic<bool>>(false);
    RuntimeState& state = *tensorrt::environmentState(env).runtime;
    Napi::Object kept = Napi::Object::New(env);
    kept.Set("build", info[0]);
    const RuntimeState::Pending pending = state.begin(env, kept);
    const auto report = [&state, id = pending.id](int step) {
      state.tell(id, [step](Napi::Env env, Napi::Object kept) {
        const Napi::Value listener = Napi::Value(kept.Get("build")).As<Napi::Object>().Get("onProgress");
        if (!listener.IsFunction()) return;
        Napi::Object progress = Napi::Object::New(env);
        progress.Set("phase", "simulated build");
        progress.Set("step", step);
        progress.Set("steps", kSteps);
        progress.Set("parents", Napi::Array::New(env));
        listener.As<Napi::Function>().Call({progress});
      });
    };
    state.inBackground(pending.id, [wanted, cancelled, report]() -> RuntimeState::Result {
      const auto started = std::chrono::steady_clock::now();
      const EngineFile engine = build(wanted, *cancelled, report);
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - started;
      const size_t bytes = writeEngine(engine).size();
      return [tensors = engine.tensors, seconds, bytes](Napi::Env env, Napi::Object) -> Napi::Value {
        Napi::Object result = Napi::Object::New(env);
        result.Set("seconds", seconds.count());
        result.Set("engineBytes", static_cast<double>(bytes));
        result.Set("scratchBytes", static_cast<double>(kScratchBytes));
        result.Set("peakHostBytes", 0);
        result.Set("tensors", tensorsToJs(env, tensors));
        result.Set("warnings", Napi::Array::New(env));
        return result;
      };
    });
    Napi::Object task = Napi::Object::New(env);
    task.Set("done", pending.promise);
    task.Set("cancel", Napi::Function::New(env, [cancelled](const Napi::CallbackInfo&) { *cancelled = true; }));
    return task;
  });
}

Napi::Value inspectEngine(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto deferred = Napi::Promise::Deferred::New(env);
  try {
    if (!Napi::Value(info[1]).IsUndefined()) {
      tensorrt::cuda::useDevice(static_cast<int>(tensorrt::readWhole(info[1], "inspectEngine: device", 0, 1 << 10)));
    }
    const EngineFile engine = readEngine(info[0].ToString());
    Napi::Object result = Napi::Object::New(env);
    result.Set("tensors", tensorsToJs(env, engine.tensors));
    result.Set("profiles", json(env, "parse", Napi::String::New(env, engine.profiles)));
    result.Set("scratchBytes", static_cast<double>(kScratchBytes));
    result.Set("layers", Napi::Array::New(env));
    deferred.Resolve(result);
  } catch (const Failure& failure) {
    deferred.Reject(tensorrt::toError(env, failure).Value());
  }
  return deferred.Promise();
}

}  // namespace

}  // namespace rvos::simulated

namespace rvos::tensorrt {

void registerBuilder(Napi::Env env, Napi::Object exports) {
  const auto add = [&](const char* name, Napi::Value (*function)(const Napi::CallbackInfo&)) {
    exports.Set(name, Napi::Function::New(env, function, name));
  };
  add("load", [](const Napi::CallbackInfo& info) -> Napi::Value {
    Napi::Object result = Napi::Object::New(info.Env());
    result.Set("libraryVersion", RVOS_VERSION);
    return result;
  });
  add("aheadOfTimeTargets", [](const Napi::CallbackInfo& info) -> Napi::Value { return Napi::Array::New(info.Env()); });
  add("buildEngine", simulated::buildEngine);
  add("inspectEngine", simulated::inspectEngine);
}

}  // namespace rvos::tensorrt
