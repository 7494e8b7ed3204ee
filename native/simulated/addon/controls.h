// What tests see and set of the simulated device: `setStageRunner` and `simulatedDevice`.
#pragma once

#include <napi.h>

namespace rvos::simulated {

void registerControls(Napi::Env env, Napi::Object exports);

}  // namespace rvos::simulated
