// See stage_runner.h.
#include "stage_runner.h"

#include <condition_variable>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "../../addon/tensorrt/addon.h"
#include "../../addon/tensorrt/runtime_state.h"
#include "../../addon/tensorrt/stage_tensors.h"
#include "../../tensorrt/failure.h"
#include "../stage.h"

namespace rvos::simulated {

namespace {

using tensorrt::HostTensors;
using tensorrt::RuntimeState;

/// One call under way: answered once, from JavaScript or because the environment ends.
struct Answer {
  std::mutex mutex;
  std::condition_variable given;
  bool done = false;
  HostTensors outputs;
  std::string error;

  void give(HostTensors result, std::string failure) {
    {
      const std::lock_guard<std::mutex> lock(mutex);
      if (done) return;
      done = true;
      outputs = std::move(result);
      error = std::move(failure);
    }
    given.notify_all();
  }
};

class Runner final : public StageRunner {
 public:
  explicit Runner(RuntimeState& state) : state_(state) {}

  void set(Napi::Function function) { function_ = Napi::Persistent(function); }

  HostTensors run(const StageCall& call) override {
    const auto answer = std::make_shared<Answer>();
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (abandoned_) return {};
      latest_.push_back(answer);
    }
    if (!state_.post([this, call, answer](Napi::Env env) { ask(env, call, answer); })) return {};
    std::unique_lock<std::mutex> lock(answer->mutex);
    answer->given.wait(lock, [&] { return answer->done; });
    forget(answer);
    if (!answer->error.empty()) throw std::runtime_error(answer->error);
    return std::move(answer->outputs);
  }

  /// Nobody answers any more. JavaScript thread.
  void abandon() {
    std::vector<std::shared_ptr<Answer>> waiting;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      abandoned_ = true;
      waiting = latest_;
    }
    for (const auto& answer : waiting) answer->give({}, "");
    function_.Reset();
  }

 private:
  void ask(Napi::Env env, const StageCall& call, const std::shared_ptr<Answer>& answer) {
    try {
      if (function_.IsEmpty()) throw Napi::Error::New(env, "no stage runner was set");
      Napi::Object argument = Napi::Object::New(env);
      argument.Set("engine", call.engine);
      argument.Set("profile", call.profile);
      argument.Set("inputs", tensorrt::tensorsToJs(env, call.inputs));
      const Napi::Value result = function_.Call({argument});
      if (!result.IsPromise()) return take(result, answer);
      const auto fulfilled = [answer](const Napi::CallbackInfo& info) { take(info[0], answer); };
      const auto rejected = [answer](const Napi::CallbackInfo& info) {
        answer->give({}, "the stage runner failed: " + info[0].ToString().Utf8Value());
      };
      const Napi::Object promise = result.As<Napi::Object>();
      promise.Get("then").As<Napi::Function>().Call(
          promise, {Napi::Function::New(env, fulfilled), Napi::Function::New(env, rejected)});
    } catch (const Napi::Error& error) {
      // In a thread that is being terminated every call of JavaScript fails: nobody waits for the answer.
      answer->give({}, runsJavaScript(env) ? "the stage runner failed: " + error.Message() : "");
    }
  }

  static bool runsJavaScript(Napi::Env env) {
    napi_value result;
    if (napi_run_script(env, Napi::String::New(env, "0"), &result) == napi_ok) return true;
    napi_value exception;
    napi_get_and_clear_last_exception(env, &exception);
    return false;
  }

  static void take(const Napi::Value& result, const std::shared_ptr<Answer>& answer) {
    try {
      answer->give(tensorrt::readTensors(result, "the stage runner's result"), "");
    } catch (const tensorrt::Failure& failure) {
      answer->give({}, failure.what());
    } catch (const Napi::Error&) {
      answer->give({}, "");
    }
  }

  void forget(const std::shared_ptr<Answer>& answer) {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (auto at = latest_.begin(); at != latest_.end(); ++at) {
      if (*at == answer) {
        latest_.erase(at);
        return;
      }
    }
  }

  RuntimeState& state_;
  Napi::FunctionReference function_;
  std::mutex mutex_;
  bool abandoned_ = false;
  std::vector<std::shared_ptr<Answer>> latest_;
};

class Loader final : public tensorrt::StageLoader {
 public:
  explicit Loader(RuntimeState& state) : runner(std::make_shared<Runner>(state)) {}

  std::shared_ptr<tensorrt::StageEngine> open(const std::string& path) override { return openStage(path, runner); }
  void abandon() override { runner->abandon(); }

  const std::shared_ptr<Runner> runner;
};

}  // namespace

std::shared_ptr<tensorrt::StageLoader> createStageLoader(RuntimeState& state) {
  return std::make_shared<Loader>(state);
}

Napi::Value setStageRunner(const Napi::CallbackInfo& info) {
  if (!info[0].IsFunction()) throw Napi::TypeError::New(info.Env(), "setStageRunner: expected a function");
  auto& loader = static_cast<Loader&>(tensorrt::environmentState(info.Env()).runtime->loader());
  loader.runner->set(info[0].As<Napi::Function>());
  return info.Env().Undefined();
}

}  // namespace rvos::simulated
