// See addon.h.
#include "addon.h"

#include <dlfcn.h>

#include <cuda_runtime.h>

#include "../../tensorrt/device/device_query.h"

#if !RVOS_SIMULATED
#include "../../tensorrt/libraries/compat.h"
#endif

namespace rvos::tensorrt {

EnvironmentState& environmentState(Napi::Env env) { return *env.GetInstanceData<EnvironmentState>(); }

/// TensorRT, CUDA and threads of abandoned builds hold addresses inside this file after the last worker that loaded it has
/// ended and Node has closed it.
static void keepLoaded() {
  Dl_info self{};
  if (dladdr(reinterpret_cast<const void*>(&keepLoaded), &self) == 0 || self.dli_fname == nullptr) return;
  dlopen(self.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
}

static Napi::Object init(Napi::Env env, Napi::Object exports) {
  keepLoaded();
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

}  // namespace rvos::tensorrt

using rvos::tensorrt::init;
NODE_API_MODULE(rvos_tensorrt, init)
