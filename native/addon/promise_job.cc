// See promise_job.h.
#include "promise_job.h"

#include <utility>

namespace rvos {

namespace {

/// Deletes itself after OnOK or OnError, as every Napi::AsyncWorker.
class PromiseJob : public Napi::AsyncWorker {
 public:
  PromiseJob(Napi::Env env, Napi::Object buffers, std::function<void()> work,
             std::function<Napi::Value(Napi::Env)> result)
      : Napi::AsyncWorker(env, "rvos"),
        deferred_(Napi::Promise::Deferred::New(env)),
        buffers_(Napi::Persistent(buffers)),
        work_(std::move(work)),
        result_(std::move(result)) {}

  Napi::Promise promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override { work_(); }
  void OnOK() override {
    try {
      deferred_.Resolve(result_ ? result_(Env()) : Env().Undefined());
    } catch (const Napi::Error& error) {
      deferred_.Reject(error.Value());
    } catch (const std::exception& error) {
      deferred_.Reject(Napi::Error::New(Env(), error.what()).Value());
    }
  }
  void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

 private:
  Napi::Promise::Deferred deferred_;
  Napi::ObjectReference buffers_;
  std::function<void()> work_;
  std::function<Napi::Value(Napi::Env)> result_;
};

}  // namespace

Napi::Promise runJob(Napi::Env env, std::initializer_list<Napi::Value> buffers, std::function<void()> work) {
  Napi::Array held = Napi::Array::New(env, buffers.size());
  uint32_t index = 0;
  for (const Napi::Value& buffer : buffers) held.Set(index++, buffer);
  return runJob(env, held, std::move(work), nullptr);
}

Napi::Promise runJob(Napi::Env env, Napi::Object buffers, std::function<void()> work,
                     std::function<Napi::Value(Napi::Env)> result) {
  auto* job = new PromiseJob(env, buffers, std::move(work), std::move(result));
  const Napi::Promise promise = job->promise();
  job->Queue();
  return promise;
}

}  // namespace rvos
