// What the addon exports for running.
#include "runtime.h"

#include "addon.h"
#include "runtime_state.h"

#if RVOS_SIMULATED
#include "../../simulated/addon/controls.h"
#endif

namespace rvos::tensorrt {

void registerRuntime(Napi::Env env, Napi::Object exports) {
  EnvironmentState& state = environmentState(env);
  state.runtime = std::make_shared<RuntimeState>(env);
  state.textEncoder = Napi::Persistent(textEncoderClass(env));
  state.pipeline = Napi::Persistent(pipelineClass(env));
  const auto add = [&](const char* name, Napi::Value (*function)(const Napi::CallbackInfo&)) {
    exports.Set(name, Napi::Function::New(env, function, name));
  };
  add("openTextEncoder", openTextEncoder);
  add("openPipeline", openPipeline);
  add("planMemory", planMemory);
  add("measureCopies", measureCopies);
  add("measureEngine", measureEngine);
#if RVOS_SIMULATED
  simulated::registerControls(env, exports);
#endif
}

}  // namespace rvos::tensorrt
