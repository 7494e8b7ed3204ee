#include "../core/mask_statistics.h"

#include "addon.h"
#include "arguments.h"

namespace rvos {

Napi::Value maskStatistics(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const int height = readExtent(info[1], "maskStatistics: height");
  const int width = readExtent(info[2], "maskStatistics: width");
  const size_t length = maskBytes(env, "maskStatistics: mask", height, width);
  const MaskStatistics found = maskStatistics(readBytes(info[0], "maskStatistics: bits", length).Data(), height, width);
  Napi::Array box = Napi::Array::New(env, 4);
  const int sides[4] = {found.x, found.y, found.width, found.height};
  for (uint32_t i = 0; i < 4; ++i) box.Set(i, sides[i]);
  Napi::Object result = Napi::Object::New(env);
  result.Set("area", static_cast<double>(found.area));
  result.Set("box", box);
  return result;
}

Napi::Value maskOverlap(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Napi::Uint8Array a = readBytes(info[0], "maskOverlap: a", 0);
  const Napi::Uint8Array b = readBytes(info[1], "maskOverlap: b", 0);
  if (a.ByteLength() != b.ByteLength()) throwRange(env, "maskOverlap: the masks differ in length");
  const MaskOverlap found = maskOverlap(a.Data(), b.Data(), a.ByteLength());
  Napi::Object result = Napi::Object::New(env);
  result.Set("intersection", static_cast<double>(found.intersection));
  result.Set("union", static_cast<double>(found.unionArea));
  return result;
}

}  // namespace rvos
