// The functions the addon exports, one concern a file. All are stateless, so any number of worker threads may load it.
#pragma once

#include <napi.h>

namespace rvos {

Napi::Value resize(const Napi::CallbackInfo& info);
Napi::Value normalise(const Napi::CallbackInfo& info);
Napi::Value maskHead(const Napi::CallbackInfo& info);
Napi::Value preprocessBatch(const Napi::CallbackInfo& info);
Napi::Value maskHeadBatch(const Napi::CallbackInfo& info);
Napi::Value rleEncode(const Napi::CallbackInfo& info);
Napi::Value rleDecode(const Napi::CallbackInfo& info);
Napi::Value maskStatistics(const Napi::CallbackInfo& info);
Napi::Value maskOverlap(const Napi::CallbackInfo& info);
Napi::Value openVino(const Napi::CallbackInfo& info);
Napi::Value overlay(const Napi::CallbackInfo& info);

}  // namespace rvos
