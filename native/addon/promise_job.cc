// See promise_job.h.
#include "promise_job.h"

#include <utility>

namespace rvos {

namespace {

/// Deletes itself after OnOK or OnError, as every Napi::AsyncWorker.
class PromiseJob : public Napi::AsyncWorker {
 public:
  PromiseJob(Napi::Env env, Napi::Object buffers, std::function<void()> work)
      : Napi::AsyncWorker(env, "rvos"),
        deferred_(Napi::Promise::Deferred::New(env)),
        buffers_(Napi::Persistent(buffers)),
        work_(std::move(work)) {}

  Napi::Promise promise() const { return deferred_.Promise(); }

 protected:
  void Execute() override { work_(); }
  void OnOK() override { deferred_.Resolve(Env().Undefined()); }
  void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

 private:
  Napi::Promise::Deferred deferred_;
  Napi::ObjectReference buffers_;
  std::function<void()> work_;
};

}  // namespace

Napi::Promise runJob(Napi::Env env, std::initializer_list<Napi::Value> buffers, std::function<void()> work) {
  Napi::Array held = Napi::Array::New(env, buffers.size());
  uint32_t index = 0;
  for (const Napi::Value& buffer : buffers) held.Set(index++, buffer);
  auto* job = new PromiseJob(env, held, std::move(work));
  const Napi::Promise promise = job->promise();
  job->Queue();
  return promise;
}

}  // namespace rvos
