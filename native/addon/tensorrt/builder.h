// The functions that `registerBuilder` exports, one concern a file.
#pragma once

#include <napi.h>

namespace rvos::tensorrt {

Napi::Value load(const Napi::CallbackInfo& info);
Napi::Value aheadOfTimeTargets(const Napi::CallbackInfo& info);
Napi::Value buildEngine(const Napi::CallbackInfo& info);
Napi::Value inspectEngine(const Napi::CallbackInfo& info);

}  // namespace rvos::tensorrt
