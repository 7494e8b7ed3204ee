// See addon.h.
#include "addon.h"

#if !RVOS_SIMULATED
#include <cuda_runtime_api.h>

#include "../../tensorrt/compat.h"
#include "../../tensorrt/device_query.h"
#endif

namespace rvos::tensorrt {

EnvironmentState& environmentState(Napi::Env env) { return *env.GetInstanceData<EnvironmentState>(); }

static Napi::Object init(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new EnvironmentState);  // Node deletes it with the environment
  exports.Set("version", RVOS_VERSION);
#if RVOS_SIMULATED
  exports.Set("flavor", "simulated");
  exports.Set("headerVersion", RVOS_VERSION);
  exports.Set("cudaVersion", "0.0");
#else
  exports.Set("flavor", compat::kFlavor);
  exports.Set("headerVersion", compat::headerVersion());
  exports.Set("cudaVersion", cudaVersionName(CUDART_VERSION));
#endif
  registerDevices(env, exports);
  registerBuilder(env, exports);
  registerRuntime(env, exports);
  return exports;
}

}  // namespace rvos::tensorrt

using rvos::tensorrt::init;
NODE_API_MODULE(rvos_tensorrt, init)
