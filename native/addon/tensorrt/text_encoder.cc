// `openTextEncoder` of the addon, and the object that stands for an open text encoder: `NativeTextEncoder`.
#include "../../tensorrt/engines/text_encoder.h"

#include <memory>
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

class TextEncoderObject : public Napi::ObjectWrap<TextEncoderObject> {
 public:
  explicit TextEncoderObject(const Napi::CallbackInfo& info) : Napi::ObjectWrap<TextEncoderObject>(info) {
    if (!info[0].IsExternal()) throw Napi::TypeError::New(info.Env(), "openTextEncoder makes text encoders");
    encoder_ = *info[0].As<Napi::External<std::shared_ptr<TextEncoder>>>().Data();
  }

  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "NativeTextEncoder",
                       {InstanceMethod<&TextEncoderObject::encode>("encode"),
                        InstanceMethod<&TextEncoderObject::dispose>("dispose")});
  }

 private:
  Napi::Value encode(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    return guarded(env, [&]() -> Napi::Value {
      const TextEncoderLimits& limits = encoder_->limits();
      const Fields job(info[0], "job");
      const int sentences = job.integer("sentences", 1, limits.sentences);
      const int tokens = job.integer("tokens", 1, limits.tokens);
      const size_t count = static_cast<size_t>(sentences) * tokens;
      const auto copied = [&](const char* field) {
        const Napi::BigInt64Array array = readLongs(job.value(field), job.what(field), count);
        return std::vector<int64_t>(array.Data(), array.Data() + count);
      };
      return inBackground(info, [encoder = encoder_, ids = copied("inputIds"), mask = copied("attentionMask"), sentences,
                                 tokens]() -> RuntimeState::Result {
        auto features = encoder->encode(ids.data(), mask.data(), sentences, tokens);
        return [features = std::move(features)](Napi::Env env, Napi::Object) -> Napi::Value {
          Napi::Float32Array array = Napi::Float32Array::New(env, features.size());
          std::copy(features.begin(), features.end(), array.Data());
          return array;
        };
      });
    });
  }

  Napi::Value dispose(const Napi::CallbackInfo& info) {
    return inBackground(info, [encoder = encoder_]() -> RuntimeState::Result {
      encoder->dispose();
      return [](Napi::Env env, Napi::Object) { return env.Undefined(); };
    });
  }

  /// This object stays alive until the promise is settled.
  Napi::Value inBackground(const Napi::CallbackInfo& info, std::function<RuntimeState::Result()> work) {
    const Napi::Env env = info.Env();
    RuntimeState& state = *environmentState(env).runtime;
    const RuntimeState::Pending pending = state.begin(env, info.This().As<Napi::Object>());
    state.inBackground(pending.id, std::move(work));
    return pending.promise;
  }

  std::shared_ptr<TextEncoder> encoder_;
};

}  // namespace

Napi::Function textEncoderClass(Napi::Env env) { return TextEncoderObject::define(env); }

Napi::Value openTextEncoder(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const Fields options(info[0], "options");
    const TextEncoderLimits limits{options.integer("sentences"), options.integer("tokens"),
                                   options.integer("features")};
    const int device = options.integer("device", 0, 1 << 10);
    const std::string engine = options.text("engine");
    RuntimeState& state = *environmentState(env).runtime;
    const RuntimeState::Pending pending = state.begin(env, Napi::Object::New(env));
    state.inBackground(pending.id, [&state, limits, device, engine]() -> RuntimeState::Result {
      auto encoder = std::make_shared<TextEncoder>(device, limits, engine, state.loader());
      return [&state, encoder = std::move(encoder)](Napi::Env env, Napi::Object) -> Napi::Value {
        state.onEnd(encoder, [own = std::weak_ptr<TextEncoder>(encoder)] {
          if (const auto alive = own.lock()) alive->dispose();
        });
        auto handed = encoder;
        return environmentState(env).textEncoder.New({Napi::External<std::shared_ptr<TextEncoder>>::New(env, &handed)});
      };
    });
    return pending.promise;
  });
}

}  // namespace rvos::tensorrt
