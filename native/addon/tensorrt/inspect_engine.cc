// `inspectEngine` of the addon.
#include "../../tensorrt/engines/engine_inspector.h"

#include <optional>
#include <utility>

#include "builder.h"
#include "errors.h"
#include "fields.h"
#include "values.h"

namespace rvos::tensorrt {

namespace {

Napi::Array layersToJs(Napi::Env env, const std::vector<LayerDescription>& layers) {
  Napi::Array array = Napi::Array::New(env, layers.size());
  uint32_t position = 0;
  for (const LayerDescription& layer : layers) {
    Napi::Object entry = Napi::Object::New(env);
    entry.Set("name", layer.name);
    entry.Set("type", layer.type);
    entry.Set("fusedAttention", layer.fusedAttention);
    array.Set(position++, entry);
  }
  return array;
}

/// Deletes itself after OnOK or OnError, as every Napi::AsyncWorker.
class Inspection : public Napi::AsyncWorker {
 public:
  Inspection(Napi::Env env, std::string path, int device)
      : Napi::AsyncWorker(env, "rvos engine inspection"),
        deferred_(Napi::Promise::Deferred::New(env)),
        path_(std::move(path)),
        device_(device) {}

  Napi::Promise promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override {
    try {
      found_ = tensorrt::inspectEngine(path_, device_);
    } catch (...) {
      failure_ = toFailure(std::current_exception(), code::kBadEngine);
    }
  }

  void OnOK() override {
    const Napi::Env env = Env();
    if (failure_) {
      deferred_.Reject(toError(env, *failure_).Value());
      return;
    }
    Napi::Object object = Napi::Object::New(env);
    object.Set("tensors", tensorsToJs(env, found_.tensors));
    object.Set("profiles", profilesToJs(env, found_.profiles));
    object.Set("scratchBytes", static_cast<double>(found_.scratchBytes));
    object.Set("layers", layersToJs(env, found_.layers));
    deferred_.Resolve(object);
  }

 private:
  const Napi::Promise::Deferred deferred_;
  const std::string path_;
  const int device_;
  EngineInspection found_;
  std::optional<Failure> failure_;
};

}  // namespace

Napi::Value inspectEngine(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    std::string path = readString(info[0], "inspectEngine: path");
    const Napi::Value device = info[1];
    const auto index = device.IsUndefined() ? 0 : readWhole(device, "inspectEngine: device", 0, 1 << 10);
    auto* worker = new Inspection(env, std::move(path), static_cast<int>(index));
    const Napi::Promise promise = worker->promise();
    worker->Queue();
    return promise;
  });
}

}  // namespace rvos::tensorrt
