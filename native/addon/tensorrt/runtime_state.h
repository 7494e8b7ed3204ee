// What the runtime part of the addon has once per environment: the way from any thread back to JavaScript, the promises
// that are not settled yet, threads that open and dispose, and all that is open. When the environment ends (a worker is
// terminated, the process exits), its clean-up hook ends all of it before JavaScript's memory goes away.
#pragma once

#include <napi.h>

#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "../../tensorrt/engines/stage.h"

namespace rvos::tensorrt {

class RuntimeState {
 public:
  /// Runs on the JavaScript thread.
  using Message = std::function<void(Napi::Env)>;
  /// What a promise resolves to; `kept` is what was kept alive for it.
  using Result = std::function<Napi::Value(Napi::Env, Napi::Object kept)>;
  /// Waits and frees; any number of times.
  using Dispose = std::function<void()>;

  explicit RuntimeState(Napi::Env env);
  RuntimeState(const RuntimeState&) = delete;
  RuntimeState& operator=(const RuntimeState&) = delete;

  StageLoader& loader() { return *loader_; }

  // ── JavaScript thread ──

  struct Pending {
    uint64_t id;
    Napi::Promise promise;
  };
  /// A promise to be settled by id. `kept` lives until then, and the process does.
  Pending begin(Napi::Env env, Napi::Object kept);
  /// The call failed before it began.
  void abandon(Napi::Env env, uint64_t id);
  /// Called when the environment ends, if that happens first.
  void onEnd(std::weak_ptr<void> owner, Dispose dispose);
  /// Work that takes long, on a thread of its own. Ends by settling the promise `id`, with what `work` gives or throws.
  void inBackground(uint64_t id, std::function<Result()> work);

  // ── any thread ──

  void settle(uint64_t id, Result result, std::exception_ptr error);
  /// While the promise `id` is unsettled, with what is kept for it.
  void tell(uint64_t id, std::function<void(Napi::Env, Napi::Object kept)> message);
  /// False when the environment takes no messages any more.
  bool post(Message message);

 private:
  struct Promised {
    Napi::Promise::Deferred deferred;
    Napi::ObjectReference kept;
  };
  struct Open {
    std::weak_ptr<void> owner;
    Dispose dispose;
  };

  static void deliver(Napi::Env env, Napi::Function, std::nullptr_t*, Message* message);
  using Channel = Napi::TypedThreadSafeFunction<std::nullptr_t, Message, deliver>;

  Promised take(Napi::Env env, uint64_t id);
  void end();

  std::shared_ptr<StageLoader> loader_;
  Channel channel_;
  std::map<uint64_t, Promised> promised_;
  std::map<uint64_t, std::thread> threads_;
  std::vector<Open> open_;
  uint64_t lastId_ = 0;
  /// Guards `ended_` against messages from other threads.
  std::mutex mutex_;
  bool ended_ = false;
};

}  // namespace rvos::tensorrt
