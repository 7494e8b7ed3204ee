// See runtime_state.h.
#include "runtime_state.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "../../tensorrt/failure.h"
#include "errors.h"

#if RVOS_SIMULATED
#include "../../simulated/addon/stage_runner.h"
#else
#include "../../tensorrt/engines/engine.h"
#endif

namespace rvos::tensorrt {

RuntimeState::RuntimeState(Napi::Env env) : channel_(Channel::New(env, "rvos runtime", 0, 1)) {
#if RVOS_SIMULATED
  loader_ = simulated::createStageLoader(*this);
#else
  loader_ = createEngineLoader();
#endif
  // Only unsettled promises keep the process alive.
  channel_.Unref(env);
  // Registered after the channel's own hook, therefore called before it.
  env.AddCleanupHook([](RuntimeState* state) { state->end(); }, this);
}

void RuntimeState::deliver(Napi::Env env, Napi::Function, std::nullptr_t*, Message* message) {
  const std::unique_ptr<Message> owned(message);
  if (static_cast<napi_env>(env) == nullptr || !owned) return;
  const Napi::HandleScope scope(env);
  (*owned)(env);
}

RuntimeState::Pending RuntimeState::begin(Napi::Env env, Napi::Object kept) {
  const auto deferred = Napi::Promise::Deferred::New(env);
  if (promised_.empty()) channel_.Ref(env);
  const uint64_t id = ++lastId_;
  promised_.emplace(id, Promised{deferred, Napi::Persistent(kept)});
  return {id, deferred.Promise()};
}

RuntimeState::Promised RuntimeState::take(Napi::Env env, uint64_t id) {
  const auto found = promised_.find(id);
  Promised promised = std::move(found->second);
  promised_.erase(found);
  if (promised_.empty()) channel_.Unref(env);
  return promised;
}

void RuntimeState::abandon(Napi::Env env, uint64_t id) { take(env, id); }

void RuntimeState::onEnd(std::weak_ptr<void> owner, Dispose dispose) {
  open_.erase(std::remove_if(open_.begin(), open_.end(), [](const Open& open) { return open.owner.expired(); }),
              open_.end());
  open_.push_back({std::move(owner), std::move(dispose)});
}

void RuntimeState::inBackground(uint64_t id, std::function<Result()> work) {
  const auto run = [this, id, work = std::move(work)] {
    Result result;
    std::exception_ptr error;
    try {
      result = work();
    } catch (...) {
      error = std::current_exception();
    }
    post([this, id](Napi::Env) {
      threads_.at(id).join();
      threads_.erase(id);
    });
    settle(id, std::move(result), error);
  };
  try {
    threads_.emplace(id, std::thread(run));
  } catch (const std::system_error& error) {
    settle(id, nullptr,
           std::make_exception_ptr(Failure(code::kOutOfMemory, std::string("no thread to be had: ") + error.what())));
  }
}

void RuntimeState::settle(uint64_t id, Result result, std::exception_ptr error) {
  post([this, id, result = std::move(result), error](Napi::Env env) {
    const Promised promised = take(env, id);
    if (error) {
      promised.deferred.Reject(toError(env, toFailure(error, code::kDeviceFailed)).Value());
      return;
    }
    try {
      promised.deferred.Resolve(result(env, promised.kept.Value()));
    } catch (const Napi::Error& failed) {
      promised.deferred.Reject(failed.Value());
    }
  });
}

void RuntimeState::tell(uint64_t id, std::function<void(Napi::Env, Napi::Object kept)> message) {
  post([this, id, message = std::move(message)](Napi::Env env) {
    const auto found = promised_.find(id);
    if (found != promised_.end()) message(env, found->second.kept.Value());
  });
}

bool RuntimeState::post(Message message) {
  auto owned = std::make_unique<Message>(std::move(message));
  const std::lock_guard<std::mutex> lock(mutex_);
  if (ended_ || channel_.NonBlockingCall(owned.get()) != napi_ok) return false;
  static_cast<void>(owned.release());
  return true;
}

void RuntimeState::end() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    ended_ = true;
  }
  // Stages that JavaScript runs (in tests) would never come back.
  loader_->abandon();
  for (auto& [id, thread] : threads_) thread.join();
  threads_.clear();
  for (const Open& open : open_) {
    if (const auto alive = open.owner.lock()) open.dispose();
  }
  open_.clear();
  promised_.clear();
  channel_.Release();
}

}  // namespace rvos::tensorrt
