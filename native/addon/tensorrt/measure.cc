// `measureCopies` and `measureEngine` of the addon: what the benchmark compares with.
#include "../../tensorrt/device/device_measurement.h"

#include <string>
#include <utility>
#include <vector>

#include "addon.h"
#include "errors.h"
#include "fields.h"
#include "runtime.h"
#include "runtime_state.h"

namespace rvos::tensorrt {

namespace {

StageShape readShape(const Napi::Array& list, const std::string& what) {
  StageShape shape;
  if (list.Length() > shape.axes.size()) throw Failure(code::kBadArgument, what + " has more than 8 axes");
  for (uint32_t axis = 0; axis < list.Length(); ++axis) {
    shape.axes[shape.rank++] = readWhole(list.Get(axis), place(what, axis), 1, int64_t{1} << 31);
  }
  return shape;
}

void readTensors(const Fields& options, const char* field, bool input, std::vector<MeasuredTensor>& tensors) {
  const Napi::Object shapes = options.value(field).As<Napi::Object>();
  const Fields checked = options.object(field);
  const Napi::Array names = shapes.GetPropertyNames();
  for (uint32_t i = 0; i < names.Length(); ++i) {
    const std::string name = Napi::Value(names.Get(i)).As<Napi::String>().Utf8Value();
    tensors.push_back({name, readShape(checked.list(name.c_str()), checked.what(name.c_str())), input});
  }
}

/// A promise of what `work` gives, on a thread of its own.
Napi::Value inBackground(Napi::Env env, std::function<RuntimeState::Result(RuntimeState&)> work) {
  RuntimeState& state = *environmentState(env).runtime;
  const RuntimeState::Pending pending = state.begin(env, Napi::Object::New(env));
  state.inBackground(pending.id, [&state, work = std::move(work)] { return work(state); });
  return pending.promise;
}

}  // namespace

Napi::Value measureCopies(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&] {
    const Fields options(info[0], "options");
    const int device = options.integer("device", 0, 1 << 10);
    const auto bytes = static_cast<size_t>(options.whole("bytes", 1, int64_t{1} << 40));
    const int runs = options.integer("runs", 1);
    return inBackground(env, [device, bytes, runs](RuntimeState&) -> RuntimeState::Result {
      const CopyRates rates = measureCopies(device, bytes, runs);
      return [rates](Napi::Env env, Napi::Object) -> Napi::Value {
        Napi::Object result = Napi::Object::New(env);
        result.Set("onDevice", rates.onDevice);
        result.Set("toDevice", rates.toDevice);
        result.Set("toHost", rates.toHost);
        return result;
      };
    });
  });
}

Napi::Value measureEngine(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&] {
    const Fields options(info[0], "options");
    const int device = options.integer("device", 0, 1 << 10);
    const std::string engine = options.text("engine");
    const int runs = options.integer("runs", 1);
    std::vector<MeasuredTensor> tensors;
    readTensors(options, "inputs", true, tensors);
    readTensors(options, "outputs", false, tensors);
    return inBackground(env, [device, engine, runs, tensors](RuntimeState& state) -> RuntimeState::Result {
      const std::vector<double> milliseconds = measureEngine(device, engine, state.loader(), tensors, runs);
      return [milliseconds](Napi::Env env, Napi::Object) -> Napi::Value {
        Napi::Float64Array array = Napi::Float64Array::New(env, milliseconds.size());
        std::copy(milliseconds.begin(), milliseconds.end(), array.Data());
        return array;
      };
    });
  });
}

}  // namespace rvos::tensorrt
