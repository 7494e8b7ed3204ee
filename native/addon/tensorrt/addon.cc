// See addon.h.
#include "addon.h"

#include <cuda_runtime_api.h>

#include "../../tensorrt/device_query.h"

#if !RVOS_SIMULATED
#include "../../tensorrt/compat.h"
#endif

namespace rvos::tensorrt {

EnvironmentState& environmentState(Napi::Env env) { return *env.GetInstanceData<EnvironmentState>(); }

namespace {

Napi::Object init(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new EnvironmentState);  // Node deletes it with the environment
  exports.Set("version", RVOS_VERSION);
#if RVOS_SIMULATED
  exports.Set("flavor", "simulated");
  exports.Set("headerVersion", RVOS_VERSION);
#else
  exports.Set("flavor", compat::kFlavor);
  exports.Set("headerVersion", compat::headerVersion());
#endif
  exports.Set("cudaVersion", cudaVersionName(CUDART_VERSION));
  registerDevices(env, exports);
  registerBuilder(env, exports);
  registerRuntime(env, exports);
  return exports;
}

NODE_API_MODULE(rvos_tensorrt, init)

}  // namespace

}  // namespace rvos::tensorrt
