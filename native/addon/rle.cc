#include "../core/rle.h"

#include "addon.h"
#include "arguments.h"

namespace rvos {

Napi::Value rleEncode(const Napi::CallbackInfo& info) {
  const int height = readExtent(info[1], "rleEncode: height");
  const int width = readExtent(info[2], "rleEncode: width");
  const size_t length = maskBytes(info.Env(), "rleEncode: mask", height, width);
  const Napi::Uint8Array bits = readBytes(info[0], "rleEncode: bits", length);
  return Napi::String::New(info.Env(), encodeRuns(bits.Data(), height, width));
}

Napi::Value rleDecode(const Napi::CallbackInfo& info) {
  if (!info[0].IsString()) throwType(info.Env(), "rleDecode: counts must be a string");
  const int height = readExtent(info[1], "rleDecode: height");
  const int width = readExtent(info[2], "rleDecode: width");
  const size_t length = maskBytes(info.Env(), "rleDecode: mask", height, width);
  const std::string counts = info[0].As<Napi::String>().Utf8Value();
  if (const char* problem = checkRuns(counts, height, width)) {
    throwRange(info.Env(), std::string("rleDecode: counts ") + problem);
  }
  Napi::Uint8Array bits = Napi::Uint8Array::New(info.Env(), length);
  decodeRuns(counts, height, width, bits.Data());
  return bits;
}

}  // namespace rvos
